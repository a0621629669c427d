/**
 * `npm run soak`: ten real Serf agents and ten of ours on twenty hosts (network namespaces), encrypted, under faults drawn from
 * a seed. A minute after each fault, and after its end, every view has to agree with the truth, and every event has to have
 * reached every member that could be reached. As root; `-- --minutes 30 --seed 7 --each 10`.
 */
import { parseArgs } from 'node:util'
import { seededRandom, systemRandom } from '../../src/base/index.ts'
import { drawFault, type Fault } from './faults.ts'
import { SoakRing } from './ring.ts'
import { discord, unheard } from './truth.ts'

const AGREE_MS = 60_000
const LOOK_MS = 1_000

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(systemRandom.below(2 ** 31)) },
    each: { type: 'string', default: '10' },
    help: { type: 'boolean', short: 'h' },
  },
})

const say = (sentence: string) => console.log(`${new Date().toISOString().slice(11, 19)}  ${sentence}`)
const pause = (ms: number) => new Promise(done => setTimeout(done, ms))

/** @returns how long it took, ms @throws what still differs after a minute */
async function agreed(ring: SoakRing, after: string): Promise<number> {
  const startedAtMs = performance.now()
  for (;;) {
    const found = await discord(ring).catch((failure: Error) => failure.message)
    const tookMs = performance.now() - startedAtMs
    if (found === undefined) return tookMs
    if (tookMs > AGREE_MS) throw new Error(`a minute after "${after}": ${found}`)
    await pause(LOOK_MS)
  }
}

async function tell(ring: SoakRing, event: string): Promise<void> {
  const from = ring.hosts.find(({ condition }) => condition === 'up')
  if (from === undefined) throw new Error('nobody is up')
  await ring.ask(from, 'event', '-coalesce=false', event)
  const deadlineMs = performance.now() + AGREE_MS
  for (let missing = unheard(ring, event); missing.length > 0; missing = unheard(ring, event)) {
    if (performance.now() > deadlineMs) throw new Error(`the event ${event} has not reached ${missing.join(', ')}`)
    await pause(LOOK_MS / 4)
  }
}

async function suffer(ring: SoakRing, { what, begin, end }: Fault, number: number): Promise<void> {
  await begin()
  const seenMs = await agreed(ring, what)
  await tell(ring, `e${number}`)
  await end?.()
  const overMs = await agreed(ring, `${what}, ended`)
  say(
    `${what}: seen by all after ${(seenMs / 1000).toFixed(1)} s${end === undefined ? '' : `, over after ${(overMs / 1000).toFixed(1)} s`}`,
  )
}

async function main(): Promise<number> {
  const [minutes, seed, each] = [Number(values.minutes), Number(values.seed), Number(values.each)]
  const random = seededRandom(seed)
  say(`${each} Serf and ${each} Muster agents, ${minutes} minutes, seed ${seed}`)
  await using ring = await SoakRing.open(each)
  const interrupted = new Promise<never>((_, reject) => process.once('SIGINT', () => reject(new Error('interrupted'))))
  interrupted.catch(() => undefined)
  const untilMs = performance.now() + minutes * 60_000
  let faults = 0
  try {
    await Promise.race([agreed(ring, 'the start'), interrupted])
    for (; performance.now() < untilMs; faults++)
      await Promise.race([suffer(ring, drawFault(ring, random), faults), interrupted])
  } catch (failure) {
    say(`failed after ${faults} faults: ${failure instanceof Error ? failure.message : String(failure)}`)
    say(`replay: npm run soak -- --minutes ${minutes} --seed ${seed} --each ${each}`)
    return 1
  }
  say(`${faults} faults; every view agreed with the truth after each, and every event reached whom it could`)
  return 0
}

if (values.help === true) {
  console.log('npm run soak -- [--minutes 30] [--seed N] [--each 10]     e.g. npm run soak -- --minutes 5 --each 3')
} else process.exitCode = await main()
