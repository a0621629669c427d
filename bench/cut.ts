/** A server host whose cables are cut: until HAProxy sends it no more requests, and until the ring marks it failed. */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Scope } from '../src/base/index.ts'
import { Hosts } from '../test/hosts.ts'
import type { Bench } from './bench.ts'
import { Chain } from './chain.ts'
import { serving } from './haproxy.ts'
import { onHosts } from './place.ts'
import { head, row } from './table.ts'
import { untilServing } from './traffic.ts'

/** Rigs side by side, one cut in each chain of each: a cut is 10 s of waiting, and the next one needs a whole ring. */
const RIGS = 4
/** Of each chain: the balancer is 1, the others serve. */
const HOSTS = 4
const CUT_HOST = 4
const SETTLE_MS = 5_000
const POLL_MS = 20
const TIMEOUT_MS = 60_000

/** Milliseconds since the cut. */
interface Outcome {
  readonly out: number
  readonly failed: number
}

export async function cutTable(bench: Bench): Promise<void> {
  bench.note(`${RIGS} times ${2 * HOSTS} hosts with cables`)
  await using scope = new Scope()
  const rigs = await Promise.all(Array.from({ length: RIGS }, (_, n) => rigOf(n, bench, scope)))
  await pause(SETTLE_MS) // joined in two batches, they cause two reloads by hand
  bench.note('cutting')
  const [ours, theirs] = await Promise.all([
    Promise.all(rigs.map(rig => cut(rig.hosts, rig.muster, CUT_HOST))),
    Promise.all(rigs.map(rig => cut(rig.hosts, rig.handMade, HOSTS + CUT_HOST))),
  ])
  bench.each('cut', { ours, theirs })
  const [out, failed] = [ours.map(one => one.out), ours.map(one => one.failed)]
  const serfs = theirs.map(one => one.failed)
  console.log(head(`host cut to …, ms (n=${RIGS})`, 'hand-made'))
  console.log(
    row(
      'out of the traffic',
      out,
      theirs.map(one => one.out),
    ),
  )
  console.log(head('… beside Serf', 'serf'))
  console.log(row("out of the traffic, beside Serf's detection", out, serfs))
  console.log(row("failed in the balancer's ring", failed, serfs))
}

interface Rig {
  readonly hosts: Hosts
  readonly muster: Chain
  readonly handMade: Chain
}

/** Both chains on one pair of bridges, each with a ring of its own. */
async function rigOf(n: number, bench: Bench, scope: Scope): Promise<Rig> {
  const hosts = scope.use(
    await Hosts.open(
      n,
      Array.from({ length: 2 * HOSTS }, (_, index) => index + 1),
    ),
  )
  const muster = scope.use(new Chain('muster', onHosts(hosts), join(bench.directory, `m${n}`)))
  const handMade = scope.use(new Chain('hand-made', onHosts(hosts, HOSTS), join(bench.directory, `h${n}`)))
  const servers = Array.from({ length: HOSTS - 1 }, (_, index) => index + 2)
  for (const chain of [muster, handMade]) {
    chain.startBalancer()
    await chain.untilBalancing() // by hand, who joins before has joined nobody
    for (const host of servers) {
      chain.webStarting([host])
      chain.agent(host)
    }
  }
  for (const chain of [muster, handMade]) {
    await untilServing(
      chain,
      servers.map(host => chain.ip(host)),
    )
    if ((await chain.failed()) > 0) throw new Error(`${chain.make}: a member has failed before its cable was cut`)
  }
  return { hosts, muster, handMade }
}

/** @param host the number, on the rig, of the chain's host 4 */
async function cut(hosts: Hosts, chain: Chain, host: number): Promise<Outcome> {
  const startedAtMs = performance.now()
  await hosts.cutLink(host)
  const times = { out: Number.NaN, failed: Number.NaN }
  while (Number.isNaN(times.out) || Number.isNaN(times.failed)) {
    const up = await serving(chain.adminSocket)
    const failed = await chain.failed()
    const passedMs = performance.now() - startedAtMs
    if (Number.isNaN(times.out) && up !== undefined && !up.has(hosts.ip(host))) times.out = passedMs
    if (Number.isNaN(times.failed) && failed > 0) times.failed = passedMs
    if (passedMs > TIMEOUT_MS) throw new Error(`${chain.make}: a host without cables stayed in`)
    await pause(POLL_MS)
  }
  return times
}
