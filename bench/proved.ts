/** A process that is a load on URL for some seconds, for `prover.ts`: `tsx bench/proved.ts URL RATE`. Its figures are a line of JSON. */
import { setTimeout as pause } from 'node:timers/promises'
import { systemClock, systemRandom } from '../src/base/index.ts'
import { KINDS, selfCheck, startLoad } from '../src/prove/index.ts'
import { processorMs } from './processor.ts'

export interface ProverCost {
  /** What it says of itself; none: it kept its schedule. */
  readonly objection?: string
  readonly sent: number
  readonly good: number
  readonly lagP99Ms: number
  /** Microseconds of processor time for each request, the site's not included. */
  readonly requestUs: number
}

const SECONDS = 4

async function costOf(url: string, rate: number): Promise<ProverCost> {
  const rates = Object.fromEntries(KINDS.map(kind => [kind, rate]))
  await run(url, rates) // a young process is slow
  return await run(url, rates)
}

async function run(url: string, rates: Readonly<Record<string, number>>): Promise<ProverCost> {
  const before = processorMs(process.pid)
  const load = startLoad({ url, rates, echo: true }, { clock: systemClock, random: systemRandom })
  await pause(SECONDS * 1_000)
  const stats = await load.stop()
  const used = processorMs(process.pid) - before
  const objection = selfCheck(stats, load.ownLag())
  const { sent, good } = stats
  const cost = { sent, good, lagP99Ms: load.ownLag().p99Ms, requestUs: (used * 1_000) / sent }
  return objection === undefined ? cost : { ...cost, objection }
}

const [url = '', rate = ''] = process.argv.slice(2)
console.log(JSON.stringify(await costOf(url, Number(rate))))
