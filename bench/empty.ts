/** A balancer is lost with all its host, and an empty one starts in its place: until HAProxy serves the whole pool. */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { connectRpc } from '../src/serf/index.ts'
import { eventually } from '../test/parts.ts'
import type { Bench } from './bench.ts'
import { Chain, type Make } from './chain.ts'
import { onLoopback } from './place.ts'
import { head, row } from './table.ts'
import { untilServing } from './traffic.ts'

const NET = '127.0.75'
const REPETITIONS = 3
const SERVERS = [2, 3, 4, 5] as const
/** Addresses of one chain. */
const HOSTS = 6
const SETTLE_MS = 4_000
const POLL_MS = 5
/** By hand the members come back when one of them happens to try, every 30 s. */
const WITHIN_MS = 120_000

interface Case {
  readonly name: string
  readonly hasList: boolean
  /** The members have noticed the loss. */
  readonly isFailed: boolean
}

const CASES: readonly Case[] = [
  { name: 'joins a member, at once', hasList: true, isFailed: false },
  { name: 'knows nobody, at once', hasList: false, isFailed: false },
  { name: 'knows nobody, marked failed before', hasList: false, isFailed: true },
]

export async function emptyTable(bench: Bench): Promise<void> {
  let taken = 0
  const replaced = (make: Make, one: Case) => untilWhole(make, one, HOSTS * taken++, bench)
  const ours: number[][] = []
  for (const one of CASES) {
    bench.note(`muster: an empty balancer ${one.name}`)
    const times: number[] = []
    for (let i = 0; i < REPETITIONS; i++) times.push(await replaced('muster', one))
    ours.push(times)
  }
  // Mostly waiting, for up to a minute: all side by side.
  bench.note('hand-made: an empty balancer')
  const each = CASES.map(one => Promise.all(Array.from({ length: REPETITIONS }, () => replaced('hand-made', one))))
  const theirs = await Promise.all(each)
  bench.each('empty', { ours, theirs })
  console.log(head('an empty balancer to its whole pool, ms', 'hand-made'))
  for (const [index, { name }] of CASES.entries())
    console.log(row(`${name} (n=${REPETITIONS})`, ours[index] ?? [], theirs[index] ?? []))
}

/** @param before addresses that other chains have */
async function untilWhole(make: Make, { hasList, isFailed }: Case, before: number, bench: Bench): Promise<number> {
  await using chain = new Chain(make, onLoopback(NET, before), join(bench.directory, `e${before}`))
  chain.startBalancer()
  chain.webStarting(SERVERS)
  await chain.untilBalancing() // by hand, who joins before has joined nobody
  for (const host of SERVERS) chain.agent(host)
  const ips = SERVERS.map(host => chain.ip(host))
  await untilServing(chain, ips)
  await pause(SETTLE_MS) // all of them know each other, and no reload is under way
  await chain.loseBalancer()
  if (isFailed) await untilMarkedFailed(chain)
  chain.startBalancer(hasList ? { joins: SERVERS[0] } : {})
  return await untilServing(chain, ips, { pollMs: POLL_MS, withinMs: WITHIN_MS })
}

/** Every server's agent lists the balancer as failed. */
async function untilMarkedFailed(chain: Chain): Promise<void> {
  for (const host of SERVERS) {
    using agent = await connectRpc({ ip: chain.ip(host), port: 7373 }, { timeoutMs: 5_000 })
    await eventually(
      () => agent.members({ name: 'lb', status: 'failed' }),
      failed => failed.length === 1,
      60_000,
    )
  }
}
