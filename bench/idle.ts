/** What an agent costs that has nothing to do, in rings of three sizes, and one that hears a thousand events a minute. */
import { setTimeout as pause } from 'node:timers/promises'
import type { RpcClient } from '../src/serf/index.ts'
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
/** Where an event is sent by one of the others every 60 ms. */
const BUSY = { size: 5, net: '127.0.66', eventsPerMinute: 1000 }
/** Of each make, as far as the ring has members; the rest is Serf's. */
const MEASURED = 2
const EVENT_BYTES = 64
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
    print(`an idle agent in a ring of ${size}, ${MEASURE_MS / 1_000} s`, await costsIn(size, net, bench))
  }
}

export async function busyTable(bench: Bench): Promise<void> {
  const { size, net, eventsPerMinute } = BUSY
  const costs = await costsIn(size, net, bench, eventsPerMinute)
  print(`an agent that hears ${eventsPerMinute} events/min`, costs)
}

interface Costs {
  readonly ours: readonly IdleCost[]
  readonly theirs: readonly IdleCost[]
}

function print(title: string, { ours, theirs }: Costs): void {
  const line = (name: string, key: keyof IdleCost) =>
    row(
      name,
      ours.map(cost => cost[key]),
      theirs.map(cost => cost[key]),
      1,
    )
  console.log(head(title, 'serf'))
  console.log(line('resident memory, MiB', 'rssMib'))
  console.log(line('… of it anonymous (RssAnon), MiB', 'rssAnonMib'))
  console.log(line('processor, ms per s', 'cpuMsPerSecond'))
}

/** @param eventsPerMinute sent by the first agent, which is Serf's and in a ring this large is not measured */
async function costsIn(size: number, net: string, bench: Bench, eventsPerMinute = 0): Promise<Costs> {
  await using ring = new Ring(onLoopback(net), bench.directory)
  const hosts = Array.from({ length: size }, (_, index) => index + 1)
  const serfs = await ring.startSerfs(hosts.slice(0, -MEASURED))
  const musters = await ring.startMusters(hosts.slice(-MEASURED))
  for (const host of hosts.slice(-2 * MEASURED)) ring.hangUp(host) // an agent that is asked has something to do
  await ring.untilWhole(size)
  ring.hangUp()
  bench.note(`a ring of ${size}: measuring`)
  const silence = new AbortController()
  const sending = eventsPerMinute > 0 ? send(await ring.client(1), eventsPerMinute, silence.signal) : undefined
  const costs = await idleCosts([...musters, ...serfs.slice(-MEASURED)])
  silence.abort()
  await sending
  await ring.client(size)
  const { alive } = await ring.countsOf(size) // of those who were not asked before, as that costs something
  if (alive !== size) throw new Error(`a measured agent knew ${alive} of ${size} members`)
  bench.each(`ring of ${size}`, costs)
  return { ours: costs.slice(0, MEASURED), theirs: costs.slice(MEASURED) }
}

/** Events, each of its own name, until `signal`. */
async function send(client: RpcClient, perMinute: number, signal: AbortSignal): Promise<void> {
  for (let i = 0; !signal.aborted; i++) {
    await client.event(`event-${i}`, new Uint8Array(EVENT_BYTES), false)
    await pause(60_000 / perMinute)
  }
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
