/** What 10 changes a second cost the balancer's agent: members say another weight, one after the other. */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { silentLog, systemClock, systemRandom } from '../src/base/index.ts'
import { type Serf, startSerf } from '../src/serf/index.ts'
import { eventually } from '../test/parts.ts'
import type { Bench } from './bench.ts'
import { Chain, type Make } from './chain.ts'
import { serving } from './haproxy.ts'
import { onLoopback } from './place.ts'
import { processorWithChildrenMs } from './processor.ts'
import { head, row } from './table.ts'

const PER_SECOND = 10
const SECONDS = 20
const HOSTS = Array.from({ length: 10 }, (_, index) => 11 + index)
/** Handlers by hand come a while after the last change. */
const SETTLE_MS = 4_000

interface Cost {
  /** Milliseconds per second, with the children it has waited for. */
  readonly changing: number
  readonly idle: number
  readonly reloads: number
}

export async function updatesTable(bench: Bench): Promise<void> {
  const byHand = await costOf('hand-made', '127.0.195', bench)
  const ours = await costOf('muster', '127.0.196', bench)
  console.log(head(`${PER_SECOND} changes a second for ${SECONDS} s`, 'hand-made'))
  console.log(row("processor, balancer's agent, ms per s", [ours.changing], [byHand.changing], 1))
  console.log(row('… the same without changes', [ours.idle], [byHand.idle], 1))
  console.log(row('reloads', [ours.reloads], [byHand.reloads]))
}

async function costOf(make: Make, net: string, bench: Bench): Promise<Cost> {
  bench.note(`${make}: ${PER_SECOND} changes a second`)
  await using chain = new Chain(make, onLoopback(net), join(bench.directory, net))
  chain.startBalancer({ updates: true })
  await chain.untilBalancing()
  chain.webStarting(HOSTS)
  const members = await Promise.all(HOSTS.map(host => memberOn(chain, host)))
  try {
    await eventually(
      () => serving(chain.adminSocket),
      up => up?.size === HOSTS.length,
      60_000,
    )
    bench.note(`${make}: all serve`)
    await pause(SETTLE_MS)
    const before = await chain.reloads()
    const idle = await processorOf(chain, () => pause(SECONDS * 500))
    bench.note(`${make}: changes begin`)
    const changing = await processorOf(chain, () => change(members))
    const cost = {
      idle: idle / (SECONDS / 2),
      changing: changing / SECONDS,
      reloads: (await chain.reloads()) - before,
    }
    bench.note(`${make}: changes are over`)
    bench.each(make, cost)
    return cost
  } finally {
    await Promise.all(members.map(member => member.stop()))
  }
}

async function memberOn(chain: Chain, host: number): Promise<Serf> {
  const bind = { ip: chain.ip(host), port: 7946 }
  const deps = { clock: systemClock, random: systemRandom, log: silentLog }
  const member = await startSerf({ name: `n${host}`, bind, profile: 'lan', tags: { role: 'backend' } }, deps)
  await member.join([`${chain.ip(1)}:7946`])
  return member
}

async function change(members: readonly Serf[]): Promise<void> {
  const startedAtMs = performance.now()
  const gossiped: Promise<void>[] = []
  for (let turn = 0; turn < PER_SECOND * SECONDS; turn++) {
    await pause(Math.max(0, startedAtMs + (turn * 1_000) / PER_SECOND - performance.now()))
    const member = members[turn % members.length] as Serf
    gossiped.push(member.setTags({ role: 'backend', weight: String(2 + (turn % 97)) })) // known at once, told to all a while later
  }
  await Promise.all(gossiped)
  await pause(SETTLE_MS)
}

async function processorOf(chain: Chain, act: () => Promise<void>): Promise<number> {
  const pid = chain.balancer.child.pid as number
  const before = processorWithChildrenMs(pid)
  await act()
  return processorWithChildrenMs(pid) - before
}
