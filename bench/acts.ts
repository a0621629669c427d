/** Servers that join, leave and crash, in both chains: until HAProxy's traffic has followed. */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Bench } from './bench.ts'
import { Chain, ended, type Make } from './chain.ts'
import { onLoopback } from './place.ts'
import { Relay } from './relay.ts'
import { head, row } from './table.ts'
import { crashAll, untilIn, untilOut, untilServing } from './traffic.ts'

const NET = '127.0.61'
/** Where a joining agent believes the balancer to be. */
const RELAY_HOST = 90
const JOINS = 7
const CRASH_SERVERS = 5
const CRASH_ROUNDS = 2
const SETTLE_MS = 3_000
/** Always serves; the balancer is 1. */
const STEADY = 10
const FIRST_JOINING = 11
const FIRST_CRASHING = 31

/** Milliseconds of each repetition. */
interface Times {
  readonly join: number[]
  /** Of the same joins: since the first connection that the agent made to the ring. */
  readonly joinFromPushPull: number[]
  readonly leave: number[]
  /** Of servers whose web process is there to be killed: Muster's are supervised. */
  readonly leaveSupervised: number[]
  readonly crash: number[]
}

export async function actsTable(bench: Bench): Promise<void> {
  const ours = await timesOf('muster', 0, bench)
  const theirs = await timesOf('hand-made', 100, bench)
  const rows: [string, keyof Times][] = [
    ['join to traffic, from agent start', 'join'],
    ['join to traffic, from first push/pull', 'joinFromPushPull'],
    ['leave to out', 'leave'],
    ['leave to out, supervised', 'leaveSupervised'],
    ['supervised crash to out', 'crash'],
  ]
  console.log(head('milliseconds, medians', 'hand-made'))
  for (const [name, key] of rows) console.log(row(`${name} (n=${ours[key].length})`, ours[key], theirs[key]))
}

async function timesOf(make: Make, before: number, bench: Bench): Promise<Times> {
  const times: Times = { join: [], joinFromPushPull: [], leave: [], leaveSupervised: [], crash: [] }
  await using chain = new Chain(make, onLoopback(NET, before), join(bench.directory, make))
  chain.startBalancer()
  await chain.web(STEADY)
  await chain.untilBalancing() // by hand, who joins before has joined nobody
  chain.agent(STEADY)
  await untilIn(chain, chain.ip(STEADY))
  bench.note(`${make}: ${JOINS} servers join and leave`)
  for (let i = 0; i < JOINS; i++) await joinAndLeave(chain, FIRST_JOINING + i, times)
  bench.note(`${make}: ${CRASH_SERVERS} servers crash ${CRASH_ROUNDS} times, and leave`)
  await crashAndLeave(chain, times)
  bench.each(make, times)
  return times
}

/** Starts an agent and stops it again, with its web server listening all the time. */
async function joinAndLeave(chain: Chain, host: number, times: Times): Promise<void> {
  const ip = chain.ip(host)
  await chain.web(host)
  await using relay = await Relay.open(chain.ip(RELAY_HOST), chain.ip(1))
  const startedAtMs = performance.now()
  const agent = chain.agent(host, `${chain.ip(RELAY_HOST)}:7946`)
  const joinMs = await untilIn(chain, ip, startedAtMs)
  if (relay.firstAtMs === undefined) throw new Error(`${chain.make}: ${ip} is in traffic without having joined`)
  times.join.push(joinMs)
  times.joinFromPushPull.push(startedAtMs + joinMs - relay.firstAtMs)
  await pause(500)
  agent.child.kill('SIGINT') // both leave on it
  times.leave.push(await untilOut(chain, ip))
  await ended(agent, 20_000)
}

async function crashAndLeave(chain: Chain, times: Times): Promise<void> {
  const hosts = Array.from({ length: CRASH_SERVERS }, (_, i) => FIRST_CRASHING + i)
  const servers = await Promise.all(hosts.map(host => chain.crashable(host)))
  const ips = servers.map(server => server.ip)
  await untilServing(chain, ips)
  await pause(SETTLE_MS) // joined in two batches, they cause two reloads
  for (let round = 0; round < CRASH_ROUNDS; round++) {
    await untilServing(chain, ips)
    times.crash.push(...(await crashAll(chain, servers)))
    for (const server of servers) server.revive()
  }
  await untilServing(chain, ips)
  for (const { agent, ip } of servers) {
    agent.child.kill('SIGINT')
    times.leaveSupervised.push(await untilOut(chain, ip))
  }
}
