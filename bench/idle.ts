/** What an agent costs that has nothing to do, in rings of three sizes. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Part } from '../test/parts.ts'
import type { Bench } from './bench.ts'
import { onLoopback } from './place.ts'
import { processorMs, statusMib } from './processor.ts'
import { Ring } from './ring.ts'
import { head, row } from './table.ts'

const RINGS = [
  { size: 3, net: '127.0.63' },
  { size: 50, net: '127.0.64' },
  { size: 200, net: '127.0.65' },
]
/** Of each make, as far as the ring has members; the rest is Serf's. */
const MEASURED = 2
const SETTLE_MS = 10_000
const MEASURE_MS = 30_000

interface IdleCost {
  readonly rssMib: number
  /** The part of it that is shared with nobody and backed by no file. */
  readonly rssAnonMib: number
  /** Milliseconds of processor time per second. */
  readonly cpuMsPerSecond: number
}

export async function idleTable(bench: Bench): Promise<void> {
  for (const { size, net } of RINGS) {
    bench.note(`a ring of ${size}`)
    const { ours, theirs } = await costsIn(size, net, bench)
    const line = (name: string, key: keyof IdleCost) =>
      row(
        name,
        ours.map(cost => cost[key]),
        theirs.map(cost => cost[key]),
        1,
      )
    console.log(head(`an idle agent in a ring of ${size}, ${MEASURE_MS / 1_000} s`, 'serf'))
    console.log(line('resident memory, MiB', 'rssMib'))
    console.log(line('… of it anonymous (RssAnon), MiB', 'rssAnonMib'))
    console.log(line('processor, ms per s', 'cpuMsPerSecond'))
  }
}

async function costsIn(size: number, net: string, bench: Bench): Promise<{ ours: IdleCost[]; theirs: IdleCost[] }> {
  await using ring = new Ring(onLoopback(net), bench.directory)
  const hosts = Array.from({ length: size }, (_, index) => index + 1)
  const serfs = await ring.startSerfs(hosts.slice(0, -MEASURED))
  const musters = await ring.startMusters(hosts.slice(-MEASURED))
  for (const host of hosts.slice(-2 * MEASURED)) ring.hangUp(host) // an agent that is asked has something to do
  await ring.untilWhole(size)
  ring.hangUp()
  bench.note(`a ring of ${size}: measuring`)
  const costs = await idleCosts([...musters, ...serfs.slice(-MEASURED)])
  bench.each(`ring of ${size}`, costs)
  return { ours: costs.slice(0, MEASURED), theirs: costs.slice(MEASURED) }
}

/** Measures all of them over the same seconds, after some of rest. */
async function idleCosts(agents: readonly Part[]): Promise<IdleCost[]> {
  await pause(SETTLE_MS)
  const pids = agents.map(agent => agent.child.pid as number)
  const startedAtMs = performance.now()
  const before = pids.map(processorMs)
  await pause(MEASURE_MS)
  const seconds = (performance.now() - startedAtMs) / 1_000
  return pids.map((pid, index) => ({
    rssMib: statusMib(pid, 'VmRSS'),
    rssAnonMib: statusMib(pid, 'RssAnon'),
    cpuMsPerSecond: (processorMs(pid) - (before[index] ?? 0)) / seconds,
  }))
}
