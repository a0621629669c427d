import { messageOf, type ProcessIdentity, signalProcess, sleep } from '../../base/index.ts'
import { ask } from '../tier/drivers/ask.ts'
import { programOf, workersOf } from '../tier/drivers/haproxy-process.ts'
import type { DemoServer } from '../tier/drivers/tier.ts'
import { keepReloads, type World } from './world.ts'

/** Something that happens to a tier. */
export interface Act {
  readonly name: string
  /** Whose log tells more when it does not take effect. */
  readonly log: string
  readonly target: DemoServer | 'balancer' | undefined
  /** Does it; resolves when it has taken effect. */
  readonly perform: (signal: AbortSignal) => Promise<unknown>
}

/** Prepares an act; undefined: not now, nothing is there that could stand it. */
type Draw = (world: World) => Act | undefined

/** So many servers are left alone at any time. */
const SPARED = 2
export const SERVERS_MAX = 6
const POLL_MS = 20
/** Between two falls of a server: three within a minute, and the balancer holds it out. */
const FALLS_MS_MIN = 65_000
const FREEZE_MS_MIN = 1500
const FREEZE_MS_SPREAD = 2500
const WEIGHT_MAX = 10

export const ACTS = {
  join: world => {
    if (world.tier.servers.length >= SERVERS_MAX) return undefined
    const perform = async (signal: AbortSignal) => {
      const server = await world.tier.addServer()
      await untilServed(world, server, signal)
    }
    return { name: 'join a server', log: 'balancer', target: undefined, perform }
  },
  leave: world => onServer(world, 'leave', (server, signal) => stop(world, server, signal)),
  drain: world =>
    onServer(world, 'muster drain and --undo', async (server, signal) => {
      await until(world, signal, () => world.tier.drain(server))
      await until(world, signal, () => world.tier.undrain(server).then(() => true))
      await untilServed(world, server, signal)
    }),
  replace: world =>
    onServer(world, 'stop and replace', async (server, signal) => {
      await stop(world, server, signal)
      world.tier.returnServer(server)
      await untilServed(world, server, signal)
    }),
  'crash process': world =>
    onFallible(world, 'kill -9 the process of', async (server, signal) => {
      const killed = await duringKill(world, server, () => world.tier.killWeb(server))
      await until(world, signal, async () => isAnother(await world.tier.webOf(server), killed))
      await untilServed(world, server, signal)
    }),
  'crash host': world =>
    onFallible(world, 'kill -9 agent and process of', async (server, signal) => {
      await duringKill(world, server, () => world.tier.killServer(server))
      await world.load.untilNotServed(server.name, {}, signal)
    }),
  freeze: world =>
    onFallible(world, 'freeze', async (server, signal) => {
      await duringKill(world, server, async () => {
        const thaw = await world.tier.freeze(server)
        try {
          await sleep(world.clock, FREEZE_MS_MIN + world.random.float() * FREEZE_MS_SPREAD, signal)
        } finally {
          thaw()
        }
      })
      await untilServed(world, server, signal)
    }),
  weight: world => {
    const server = world.tier.servers.find(({ plain }) => plain !== undefined)
    if (server === undefined || world.busy.has(server)) return undefined
    const weight = 1 + world.random.below(WEIGHT_MAX)
    const perform = async (signal: AbortSignal) => {
      world.tier.changeWeight(server, weight)
      await until(world, signal, async () => (await world.tier.weightOf(server)) === weight)
    }
    return { name: `weight of ${server.name} ${weight}`, log: 'balancer', target: server, perform }
  },
  template: world =>
    onBalancer(world, 'change the template', async signal => {
      const generation = ++world.counts.generation
      world.counts.templateChanges++
      world.tier.writeTemplate(generation)
      signalProcess(world.tier.balancer.identity, 'SIGHUP')
      await until(world, signal, async () => (await generationOf(world)) === String(generation))
    }),
  configuration: world =>
    onBalancer(world, 'change the configuration', async signal => {
      const ms = 5000 + ++world.counts.generation
      world.counts.templateChanges++
      const before = workersOf(world.haproxy)
      world.tier.changeQueueTimeout(ms)
      await until(world, signal, () => {
        const isNew = workersOf(world.haproxy).some(pid => !before.includes(pid))
        return Promise.resolve(isNew && world.tier.haproxyFile().includes(`timeout queue ${ms}ms`))
      })
    }),
  'broken template': world =>
    onBalancer(world, 'break the template', async signal => {
      const refusals = () => world.tier.logOf('balancer', 10_000).split('failed to reload').length
      const before = refusals()
      world.tier.writeTemplate(world.counts.generation, '{{#if broken')
      signalProcess(world.tier.balancer.identity, 'SIGHUP')
      await until(world, signal, () => Promise.resolve(refusals() > before))
      world.tier.writeTemplate(world.counts.generation)
    }),
  'haproxy reload': world => onBalancer(world, 'reload HAProxy', signal => reloadHaproxy(world, signal)),
  'haproxy upgrade': world =>
    onBalancer(world, 'upgrade HAProxy', async signal => {
      world.tier.installHaproxy(programOf(world.haproxy).replace(/ \(deleted\)$/, ''))
      await reloadHaproxy(world, signal)
      await until(world, signal, () => Promise.resolve(!programOf(world.haproxy).endsWith('(deleted)')))
    }),
  'balancer agent killed': world =>
    onBalancer(world, "kill -9 the balancer's agent", async signal => {
      await keepReloads(world)
      await world.tier.killBalancerAgent()
      await nextBalancerAgent(world, signal)
    }),
  'balancer agent handed over': world =>
    onBalancer(world, "hand over the balancer's agent", async signal => {
      await keepReloads(world)
      await world.tier.balancer.handover()
      await nextBalancerAgent(world, signal)
    }),
  'agent killed': world =>
    onServer(world, 'kill -9 the agent of', (server, signal) =>
      nextAgent(world, server, signal, () => world.tier.killAgent(server)),
    ),
  'agent handed over': world =>
    onServer(world, 'hand over the agent of', (server, signal) =>
      nextAgent(world, server, signal, () => server.agent.handover()),
    ),
} satisfies Record<string, Draw>

export type ActKind = keyof typeof ACTS

/** On one of the servers that nothing happens to, while enough others are left. */
function onServer(
  world: World,
  what: string,
  perform: (server: DemoServer, signal: AbortSignal) => Promise<unknown>,
  suits: (server: DemoServer) => boolean = () => true,
): Act | undefined {
  const idle = world.tier.servers.filter(server => !world.busy.has(server) && server.plain === undefined)
  const suitable = idle.filter(suits)
  if (idle.length <= SPARED || suitable.length === 0) return undefined
  const server = suitable[world.random.below(suitable.length)] as DemoServer
  return {
    name: `${what} ${server.name}`,
    log: server.name,
    target: server,
    perform: signal => perform(server, signal),
  }
}

/** The same for what makes a server fall: one that fell a moment ago would be held out as flapping. */
function onFallible(
  world: World,
  what: string,
  perform: (server: DemoServer, signal: AbortSignal) => Promise<unknown>,
): Act | undefined {
  const sinceMs = world.clock.nowMs() - FALLS_MS_MIN
  const fell = (server: DemoServer) => (world.fellAtMs.get(server.name) ?? Number.NEGATIVE_INFINITY) > sinceMs
  const act = onServer(world, what, perform, server => !fell(server))
  if (act !== undefined) world.fellAtMs.set(act.log, world.clock.nowMs())
  return act
}

function onBalancer(world: World, name: string, perform: (signal: AbortSignal) => Promise<unknown>): Act | undefined {
  return world.busy.has('balancer') ? undefined : { name, log: 'balancer', target: 'balancer', perform }
}

async function stop(world: World, server: DemoServer, signal: AbortSignal): Promise<void> {
  const stopped = world.tier.stopServer(server)
  await world.load.untilNotServed(server.name, {}, signal)
  await abortable(stopped, signal)
}

async function untilServed(world: World, server: DemoServer, signal: AbortSignal): Promise<void> {
  await world.load.untilServed(server.name, signal)
}

/** Books what is in flight around a kill or freeze, whatever comes of it. */
async function duringKill<T>({ load }: World, server: DemoServer, kill: () => Promise<T>): Promise<T> {
  load.killBegins(server.name)
  try {
    return await kill()
  } finally {
    load.killEnds(server.name)
  }
}

/** The next agent has to find the HAProxy that the one before has left: the same process. */
async function nextBalancerAgent(world: World, signal: AbortSignal): Promise<void> {
  const agent = world.tier.startBalancer()
  await until(world, signal, async () => {
    const { balancer, members } = await agent.status()
    if (balancer?.haproxy.pid === undefined) return false
    if (balancer.haproxy.pid !== world.haproxy.pid)
      throw new NotThisWay(`HAProxy was not adopted: it was ${world.haproxy.pid} and is ${balancer.haproxy.pid}`)
    return members.alive > 1 // the ring has said what is wanted
  })
}

/** The web server has to be the same process before and after. */
async function nextAgent(
  world: World,
  server: DemoServer,
  signal: AbortSignal,
  end: () => Promise<void>,
): Promise<void> {
  const before = await world.tier.webOf(server)
  await end()
  world.tier.restartAgent(server)
  await until(world, signal, async () => {
    const { services } = await server.agent.status()
    const web = services.find(({ name }) => name === 'web')
    if (web?.state !== 'ready') return false
    if (web.pid !== before?.pid) throw new NotThisWay(`its process was ${before?.pid} and is ${web.pid}`)
    return true
  })
}

async function reloadHaproxy(world: World, signal: AbortSignal): Promise<void> {
  const before = workersOf(world.haproxy)
  signalProcess(world.haproxy, 'SIGUSR2')
  await until(world, signal, () => Promise.resolve(workersOf(world.haproxy).some(pid => !before.includes(pid))))
}

async function generationOf({ tier }: World): Promise<unknown> {
  return (await ask(tier.siteUrl)).headers['x-generation']
}

/** It will not come right by waiting. */
class NotThisWay extends Error {}

/** Looks again and again; what cannot be asked at the moment is not so yet. */
async function until(world: World, signal: AbortSignal, isSo: () => Promise<boolean>): Promise<void> {
  let last = ''
  for (;;) {
    try {
      if (await isSo()) return
    } catch (failure) {
      if (failure instanceof NotThisWay) throw failure
      last = messageOf(failure)
    }
    await sleep(world.clock, POLL_MS, signal).catch((cause: unknown) => {
      throw new Error(`${messageOf(cause)}${last && `; last: ${last}`}`, { cause })
    })
  }
}

function isAnother(now: ProcessIdentity | undefined, before: ProcessIdentity): boolean {
  return now !== undefined && now.pid !== before.pid
}

async function abortable(work: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  await new Promise<void>((resolve, reject) => {
    const fail = () => reject(new Error(`its agent has not ended: ${messageOf(signal.reason)}`))
    signal.addEventListener('abort', fail, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', fail))
  })
}
