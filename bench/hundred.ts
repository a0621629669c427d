/** 100 servers that join within 5 s: how long, at what cost, and whether anybody is forgotten. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually } from '../test/parts.ts'
import type { Bench } from './bench.ts'
import { type BalancerOptions, Chain, type Make } from './chain.ts'
import { serving } from './haproxy.ts'
import { joinedAt } from './members-plan.ts'
import { onLoopback } from './place.ts'
import { processorWithChildrenMs } from './processor.ts'
import { head, row } from './table.ts'
import { ask } from './traffic.ts'

const SERVERS = 100
const WITHIN_MS = 5_000
const FIRST_HOST = 101
/** Room for all of them, and as many again. */
const SLOTS = 300
const TIMEOUT_MS = 60_000
/** What is still on its way then is lost: longer than one coalescing and one reload take. */
const SETTLE_MS = 5_000

interface Outcome {
  /** From the first member's start until each of them had answered a request. */
  readonly allServeMs: number
  /** The same from when the last one had joined the ring. */
  readonly afterLastMs: number
  /** Requests without an answer, once there had been one. */
  readonly failed: number
  readonly reloads: number
  /** Servers that are not in HAProxy's pool, or not in its file. */
  readonly lost: number
  /** Of the balancer's agent and the children it has waited for. */
  readonly processorMs: number
}

export async function hundredTable(bench: Bench): Promise<void> {
  const byHand = await joinedBy('hand-made', '127.0.66', bench, {})
  const withRoom = await joinedBy('muster', '127.0.67', bench, { slots: SLOTS })
  const byDefault = await joinedBy('muster', '127.0.68', bench, {})
  const rows: [string, keyof Outcome][] = [
    ['until all have answered, ms', 'allServeMs'],
    ['… after the last has joined, ms', 'afterLastMs'],
    ['failed requests meanwhile', 'failed'],
    ['reloads', 'reloads'],
    ['lost updates', 'lost'],
    ["processor, balancer's agent, ms", 'processorMs'],
  ]
  for (const [title, ours] of [
    [`pool with ${SLOTS} slots`, withRoom],
    ['pool as by default', byDefault],
  ] as const) {
    console.log(head(`${SERVERS} joins in ${WITHIN_MS / 1_000} s, ${title}`, 'hand-made'))
    for (const [name, key] of rows) console.log(row(name, [ours[key]], [byHand[key]]))
  }
}

async function joinedBy(make: Make, net: string, bench: Bench, options: BalancerOptions): Promise<Outcome> {
  bench.note(`${make}: ${SERVERS} servers join`)
  await using chain = new Chain(make, onLoopback(net), join(bench.directory, net))
  chain.startBalancer(options)
  await chain.untilBalancing()
  const hosts = Array.from({ length: SERVERS }, (_, index) => FIRST_HOST + index)
  chain.webStarting(hosts)
  const ips = hosts.map(host => chain.ip(host))
  await Promise.all(ips.map(ip => eventually(() => fetch(`http://${ip}:3000/`).then(answer => answer.ok), Boolean)))

  const before = processorWithChildrenMs(chain.balancer.child.pid as number)
  const members = chain.members({
    ips: Object.fromEntries(hosts.map(host => [host, chain.ip(host)])),
    join: `${chain.ip(1)}:7946`,
    tags: { role: 'backend' },
    everyMs: WITHIN_MS / SERVERS,
    rpc: false,
  })
  const { atMs, failed } = await allAnswered(chain, ips)
  await pause(SETTLE_MS)
  const processorMs = processorWithChildrenMs(chain.balancer.child.pid as number) - before
  const [first, last] = (['first', 'last'] as const).map(which => joinedAt(members.output, which) ?? Number.NaN)
  const [allServeMs, afterLastMs] = [atMs - (first ?? Number.NaN), atMs - (last ?? Number.NaN)]
  const lost = await lostOf(chain, ips)
  const outcome = { allServeMs, afterLastMs, failed, reloads: await chain.reloads(), lost, processorMs }
  bench.each(`${make} ${JSON.stringify(options)}`, outcome)
  return outcome
}

/** Asks, one request after the other, until each of them has answered. @returns when that was, milliseconds since 1970 */
async function allAnswered(chain: Chain, ips: readonly string[]): Promise<{ atMs: number; failed: number }> {
  const missing = new Set(ips)
  const giveUpAtMs = performance.now() + TIMEOUT_MS
  let failed = 0
  while (missing.size > 0) {
    const ip = await ask(chain.site)
    missing.delete(ip)
    if (ip === '' && missing.size < ips.length) failed++
    if (performance.now() > giveUpAtMs) throw new Error(`${chain.make}: ${[...missing].join(' ')} never answered`)
    await pause(1) // or a refusal would be asked for again thousands of times a second
  }
  return { atMs: Date.now(), failed }
}

async function lostOf(chain: Chain, ips: readonly string[]): Promise<number> {
  const inPool = await serving(chain.adminSocket)
  const file = readFileSync(chain.haproxyConfig, 'utf8')
  const inFile = new Set(Array.from(file.matchAll(/^\s*server .*?(\d+\.\d+\.\d+\.\d+):/gm), ([, ip]) => ip))
  return ips.filter(ip => inPool?.has(ip) !== true || !inFile.has(ip)).length
}
