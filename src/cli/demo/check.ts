import { type Clock, messageOf, type ProcessIdentity, sleep } from '../../base/index.ts'
import type { Load } from '../../prove/index.ts'
import type { ActResult } from './act-table.ts'
import { withDeadline } from '../tier/deadline.ts'
import type { DemoServer, Tier } from '../tier/drivers/tier.ts'
import type { DemoOptions } from './options.ts'

/** Longer, and an act counts as not having taken effect. */
const ACT_MS_MAX = 20_000
const POLL_MS = 10

interface Act {
  readonly name: string
  readonly kill?: boolean
  /** Does it, and resolves with the milliseconds until traffic followed. */
  readonly perform: (signal: AbortSignal) => Promise<number>
}

/** The seven acts of the check, spread evenly over its time; each waits for the one before. */
export async function performActs(
  deps: { tier: Tier; load: Load; clock: Clock; say: (sentence: string) => void },
  options: DemoOptions,
  signal: AbortSignal,
): Promise<ActResult[]> {
  const { clock, load, say } = deps
  const startedAtMs = clock.nowMs()
  const acts = actsOf(deps, options)
  const results: ActResult[] = []
  const pauseMs = (options.seconds * 1000) / (acts.length + 1)
  for (const [i, act] of acts.entries()) {
    await sleep(clock, Math.max(0, startedAtMs + pauseMs * (i + 0.7) - clock.nowMs()), signal)
    load.begin(act.name)
    const result = await resultOf(act, clock, signal)
    results.push(result)
    say(`${act.name}: ${result.problem ?? `traffic followed after ${result.followedMs?.toFixed(0)} ms`}`)
  }
  await sleep(clock, Math.max(0, startedAtMs + options.seconds * 1000 - clock.nowMs()), signal)
  return results
}

async function resultOf(act: Act, clock: Clock, signal: AbortSignal): Promise<ActResult> {
  const { name, kill = false } = act
  try {
    return { name, kill, followedMs: await withDeadline(clock, ACT_MS_MAX, signal, act.perform) }
  } catch (problem) {
    signal.throwIfAborted()
    return { name, kill, followedMs: undefined, problem: messageOf(problem) }
  }
}

function actsOf(deps: { tier: Tier; load: Load; clock: Clock }, options: DemoOptions): Act[] {
  const { tier, load, clock } = deps
  const [first, second, third] = tier.servers as [DemoServer, DemoServer, DemoServer]
  let fourth: DemoServer | undefined
  const add = async (signal: AbortSignal) => {
    const startedAtMs = clock.nowMs()
    const server = await tier.addServer()
    fourth ??= server
    await load.untilServed(server.name, signal)
    return clock.nowMs() - startedAtMs
  }
  const stop = (server: DemoServer) => async (signal: AbortSignal) => {
    const [followedMs] = await Promise.all([followsStop(load, tier, server, signal), ended(server, signal)])
    return followedMs
  }
  return [
    { name: 'add web-4', perform: add },
    { name: 'add web-5', perform: add },
    { name: `stop ${first.name}`, perform: stop(first) },
    { name: `stop ${second.name}`, perform: stop(second) },
    { name: `kill -9 the process of ${third.name}`, kill: true, perform: signal => killWeb(deps, third, signal) },
    {
      name: 'kill -9 agent and process of web-4',
      kill: true,
      perform: async signal => {
        if (fourth === undefined) throw new Error('it was never added')
        await duringKill(load, () => tier.killServer(fourth as DemoServer))
        return load.untilNotServed(fourth.name, {}, signal)
      },
    },
    { name: "kill -9 the balancer's agent", perform: signal => restartBalancer(deps, options, signal) },
  ]
}

/** The server is out when its last answer has come; that it stays out is seen once its agent has ended. */
async function followsStop(load: Load, tier: Tier, server: DemoServer, signal: AbortSignal): Promise<number> {
  const stopped = tier.stopServer(server)
  const followedMs = await load.untilNotServed(server.name, {}, signal)
  await Promise.race([stopped, aborted(signal)])
  return followedMs
}

async function ended(server: DemoServer, signal: AbortSignal): Promise<void> {
  await Promise.race([server.agent.ended, aborted(signal)])
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = () => reject(new Error('it took too long', { cause: signal.reason }))
    if (signal.aborted) fail()
    else signal.addEventListener('abort', fail, { once: true })
  })
}

/** Books the POSTs in flight around a kill, whatever comes of it. */
async function duringKill<T>(load: Load, kill: () => Promise<T>): Promise<T> {
  load.killBegins()
  try {
    return await kill()
  } finally {
    load.killEnds()
  }
}

/** Out at the kill, and back when its agent has started it again: traffic has followed when the new process serves. */
async function killWeb(
  deps: { tier: Tier; load: Load; clock: Clock },
  server: DemoServer,
  signal: AbortSignal,
): Promise<number> {
  const { tier, load, clock } = deps
  const startedAtMs = clock.nowMs()
  const killed = await duringKill(load, () => tier.killWeb(server))
  let now: ProcessIdentity | undefined
  do {
    await sleep(clock, POLL_MS, signal)
    now = await tier.webOf(server)
  } while (now === undefined || now.pid === killed.pid)
  await load.untilServed(server.name, signal)
  return clock.nowMs() - startedAtMs
}

/** The next agent has to find the HAProxy that the killed one has left: the same process, without a reload. */
async function restartBalancer(
  deps: { tier: Tier; clock: Clock },
  options: DemoOptions,
  signal: AbortSignal,
): Promise<number> {
  const { tier, clock } = deps
  const before = (await tier.balancer.status()).balancer?.haproxy.pid
  const startedAtMs = clock.nowMs()
  await tier.killBalancerAgent()
  const agent = tier.startBalancer(options.template)
  for (;;) {
    await sleep(clock, POLL_MS, signal)
    const status = await agent.status().catch(() => undefined) // not up yet
    const haproxy = status?.balancer?.haproxy
    if (status === undefined || haproxy?.pid === undefined) continue
    if (haproxy.pid !== before) throw new Error(`HAProxy was not adopted: it was ${before} and is ${haproxy.pid}`)
    if (haproxy.reloads > 0) throw new Error(`HAProxy was adopted, but reloaded ${haproxy.reloads} times`)
    const hasCompany = status.members.alive > 1 // the ring has said what is wanted
    if (hasCompany) return clock.nowMs() - startedAtMs
  }
}
