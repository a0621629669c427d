/** How soon a ring of 100 agrees on one join, leave, kill, and hears an event or a query: all of Muster's, all of Serf's, half of each. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Bench } from './bench.ts'
import { eventSpreadMs, queryTimes } from './news.ts'
import { onLoopback } from './place.ts'
import { type Counts, Ring, type RingMake } from './ring.ts'
import { head, row } from './table.ts'

/** Who is in the ring all the time; with the one that comes and goes it has 100. */
const STEADY = 99
const JOINS = 3
const KILLS = 2
const FIRST_ACTOR = 101
const POLL_MS = 20
const POLL_KILL_MS = 100
/** Longer than from one full exchange to the next in such a ring, 90 s, for what gossip has missed. */
const TIMEOUT_MS = 150_000
const SETTLE_MS = 2_000

type Mix = RingMake | 'half'

const NETS: Readonly<Record<Mix, string>> = { serf: '127.0.71', muster: '127.0.72', half: '127.0.73' }

/** Milliseconds of each repetition. */
interface Times {
  readonly join: number[]
  readonly leave: number[]
  readonly kill: number[]
  /** Until a user event was at all. */
  readonly event: number[]
  /** Until a query's first ack, and its last. */
  readonly first: number[]
  readonly last: number[]
  /** How many acked. */
  readonly acks: number[]
}

export async function convergenceTable(bench: Bench): Promise<void> {
  const theirs = await timesOf('serf', bench)
  const ours = await timesOf('muster', bench)
  const half = await timesOf('half', bench)
  const print = (title: string, words: Partial<Readonly<Record<keyof Times, string>>>) => {
    console.log(head(title, 'serf'))
    for (const [mix, times] of [['all of Muster', ours] as const, ['half of each', half] as const])
      for (const key of Object.keys(words) as (keyof Times)[])
        console.log(row(`${words[key]}, ${mix} (n=${times[key].length})`, times[key], theirs[key]))
  }
  print(`a ring of ${STEADY + 1} agrees on one …, ms`, { join: 'join', leave: 'leave', kill: 'kill' })
  const acks = { first: 'query, first ack', last: 'query, last ack', acks: 'query, acks (no time)' }
  print(`news to all of a ring of ${STEADY + 1}, ms`, { event: 'user event', ...acks })
}

async function timesOf(mix: Mix, bench: Bench): Promise<Times> {
  bench.note(`${mix}: a ring of ${STEADY + 1}`)
  await using ring = new Ring(onLoopback(NETS[mix]), bench.directory)
  const steady = await startSteady(ring, mix)
  const times: Times = { join: [], leave: [], kill: [], event: [], first: [], last: [], acks: [] }
  for (let i = 0; i < JOINS + KILLS; i++) {
    const isKilled = i >= JOINS
    const make = mix === 'half' ? (['muster', 'serf'] as const)[i % 2] : mix
    const host = FIRST_ACTOR + i
    const actor = ring.agent(make ?? 'serf', host, false)
    await ring.client(host)
    times.join.push(await agreed(ring, [...steady, host], { alive: STEADY + 1 }, POLL_MS, () => ring.join(host)))
    await pause(SETTLE_MS) // gossip about the join has ended
    await news(ring, [...steady, host], times, bench)
    bench.note(`${mix}: n${host} ${isKilled ? 'is killed' : 'leaves'}`)
    if (isKilled) {
      const kill = async () => void (await actor.end('SIGKILL'))
      times.kill.push(await agreed(ring, steady, { failed: i - JOINS + 1 }, POLL_KILL_MS, kill))
    } else {
      const leave = async () => (await ring.client(host)).leave()
      times.leave.push(await agreed(ring, steady, { left: i + 1 }, POLL_MS, leave))
      await actor.exited
    }
    ring.hangUp(host)
  }
  bench.each(mix, times)
  return times
}

/** An event and a query from the last of `hosts`, the agent. */
async function news(ring: Ring, hosts: readonly number[], times: Times, bench: Bench): Promise<void> {
  const host = hosts.at(-1) ?? FIRST_ACTOR
  bench.note(`n${host} sends an event and a query`)
  times.event.push(await eventSpreadMs(ring, hosts, host, `event-${host}`))
  const { firstMs, lastMs, acks } = await queryTimes(ring, hosts.length, host, `query-${host}`)
  times.first.push(firstMs)
  times.last.push(lastMs)
  times.acks.push(acks)
}

/** @returns the hosts of 99 members that all know each other */
async function startSteady(ring: Ring, mix: Mix): Promise<number[]> {
  const hosts = Array.from({ length: STEADY }, (_, index) => index + 1)
  const [theirs, ours] = [hosts.filter(host => isSerfs(mix, host)), hosts.filter(host => !isSerfs(mix, host))]
  await ring.startSerfs(theirs)
  // Two processes, as many as the machine has processors; the second joins what the first has begun.
  const middle = ours.length >> 1
  for (const some of [ours.slice(0, middle), ours.slice(middle)]) {
    if (some[0] === undefined) continue
    ring.startMembers(some)
    await ring.client(some[0])
  }
  await Promise.all(hosts.map(host => ring.client(host)))
  await ring.untilWhole(STEADY)
  await pause(SETTLE_MS)
  return hosts
}

/** In a mixed ring every other one, and the first. */
function isSerfs(mix: Mix, host: number): boolean {
  return mix === 'serf' || (mix === 'half' && host % 2 === 1)
}

/** Milliseconds from the start of `act` until all hosts hold these counts, asked round after round. */
async function agreed(
  ring: Ring,
  hosts: readonly number[],
  wanted: Partial<Counts>,
  pollMs: number,
  act: () => Promise<void>,
): Promise<number> {
  const startedAtMs = performance.now()
  const acting = act()
  let waiting = [...hosts]
  while (waiting.length > 0) {
    if (performance.now() - startedAtMs > TIMEOUT_MS)
      throw new Error(`${waiting.length} members do not see ${JSON.stringify(wanted)}`)
    await pause(pollMs)
    const seen = await Promise.all(waiting.map(host => ring.countsOf(host)))
    waiting = waiting.filter((_, index) => !holds(seen[index], wanted))
  }
  const tookMs = performance.now() - startedAtMs
  await acting
  return tookMs
}

function holds(counts: Counts | undefined, wanted: Partial<Counts>): boolean {
  return (['alive', 'failed', 'left'] as const).every(key => wanted[key] === undefined || counts?.[key] === wanted[key])
}
