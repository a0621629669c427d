/** How much `muster prove` can send before it is late itself: the rate grows until it says so. There is no peer to set beside it. */
import { resolve } from 'node:path'
import { eventually, Part } from '../test/parts.ts'
import type { Bench } from './bench.ts'
import type { ProverCost } from './proved.ts'

const PROVED = resolve(import.meta.dirname, 'proved.ts')
const ECHO = resolve(import.meta.dirname, 'echo.mjs')
const HOST = '127.0.195.1'
/** Requests a second of each of the four kinds. */
const RATES = [100, 200, 300, 400, 500, 600, 800, 1_000]
/** The pace catches up with a late tick; what is missing at the end was never sent. */
const SENT_MIN = 0.98
const SECONDS = 4

export async function proverTable(bench: Bench): Promise<void> {
  const site = new Part([process.execPath, ECHO], { HOST })
  const url = `http://${HOST}:3000/`
  try {
    await eventually(() => fetch(url).then(answer => answer.ok), Boolean)
    const columns = ['sent per s', 'lag p99, ms', 'µs each', 'on time'].map(name => name.padStart(12)).join('')
    console.log(`\n${"prove's own client".padEnd(34)}${columns}`)
    for (const rate of RATES) {
      bench.note(`${rate} a second of each kind`)
      const cost = await costOf(url, rate)
      bench.each(`rate ${rate}`, cost)
      const isOnTime =
        cost.objection === undefined && cost.sent >= rate * 4 * SECONDS * SENT_MIN && cost.good === cost.sent
      print(rate, cost, isOnTime)
      if (!isOnTime) break
    }
  } finally {
    await site.end('SIGKILL')
  }
}

function print(rate: number, { sent, lagP99Ms, requestUs }: ProverCost, isOnTime: boolean): void {
  const cells = [(sent / SECONDS).toFixed(0), lagP99Ms.toFixed(1), requestUs.toFixed(0), isOnTime ? 'yes' : 'no']
  console.log(`${`${rate} of each kind`.padEnd(34)}${cells.map(cell => cell.padStart(12)).join('')}`)
}

async function costOf(url: string, rate: number): Promise<ProverCost> {
  const part = new Part([process.execPath, ...process.execArgv, PROVED, url, String(rate)])
  const code = await part.exited
  const line = part.output.split('\n').find(text => text.startsWith('{'))
  if (code !== 0 || line === undefined) throw new Error(`the load ended with ${code}: ${part.output.slice(-500)}`)
  return JSON.parse(line) as ProverCost
}
