/** What this agent knows by itself of what is asked for: its services and, on a balancer, HAProxy's servers. */
import type { BalancerStatus, HaproxyEvidence, ServerStatus } from '../../balancer/index.ts'
import { formatAddress, messageOf, MusterError, type ProbeTarget } from '../../base/index.ts'
import type { ServiceStatus } from '../../supervisor/index.ts'
import type { Agent } from '../agent.ts'
import type { BalancerSettings, PoolSettings } from '../config/types.ts'
import { getOnce } from './drivers/get-once.ts'
import { lookAtProcess } from './drivers/process-look.ts'
import type { LookFacts, PoolFacts, ServerFacts, ServiceFacts } from './facts.ts'
import type { WhyAnswer } from './messages.ts'
import { isServerMeant } from './subject.ts'

/** As many questions of our own at once as do not disturb a server that has trouble already. */
const LOOKS_MAX = 8

/** @param lookMs how long a server has to answer a question of ours */
export async function knownHere(agent: Agent, what: string | undefined, lookMs: number): Promise<WhyAnswer> {
  const [services, { servers, pools }] = await Promise.all([
    servicesHere(agent, what, lookMs),
    serversHere(agent, what, lookMs),
  ])
  return { services, servers, pools }
}

/** The settings in force: of the files, or of the generation that was gone back to. */
export function settingsOf({ parts }: Agent): BalancerSettings | undefined {
  const { config, generations } = parts
  return config.balancer === undefined ? undefined : (generations.current()?.settings ?? config.balancer)
}

async function servicesHere(agent: Agent, what: string | undefined, lookMs: number): Promise<ServiceFacts[]> {
  const { supervisor, serf } = agent.parts
  const { name: node, ip } = serf.local()
  const isMeant = ({ name, serves }: ServiceStatus) =>
    name === what ||
    (serves === undefined
      ? what === undefined || what === node
      : isServerMeant(what, serves.pool, { name: node, ip, port: serves.port }))
  const meant = supervisor.services().filter(one => isMeant(one) && (one.name !== 'haproxy' || what === 'haproxy'))
  return await Promise.all(
    meant.map(async status => {
      const service = agent.services.configured(status.name)
      const isAsked = status.pid !== undefined && service?.ready !== undefined
      const look = isAsked ? await lookAt(agent, service.ready as ProbeTarget, lookMs) : undefined
      return serviceFacts(status, node, agent.parts.deps.clock.wallMs(), look)
    }),
  )
}

function serviceFacts(status: ServiceStatus, node: string, wallMs: number, look: LookFacts | undefined): ServiceFacts {
  const { name, state, since, restarts, pid, reason, serves, lastLines } = status
  const seen = pid === undefined ? undefined : lookAtProcess(pid)
  return {
    ...{ node, name, state, restarts, lastLines, isFrozen: seen?.isFrozen === true },
    sinceMs: Math.max(0, wallMs - since),
    ...(pid === undefined ? {} : { pid }),
    ...(reason === undefined ? {} : { reason }),
    ...(serves === undefined ? {} : { pool: serves.pool, port: serves.port }),
    ...(seen?.listens === undefined ? {} : { listens: seen.listens }),
    ...(look === undefined ? {} : { look }),
  }
}

async function serversHere(
  agent: Agent,
  what: string | undefined,
  lookMs: number,
): Promise<{ readonly servers: ServerFacts[]; readonly pools: PoolFacts[] }> {
  const { balancing } = agent.parts
  const settings = settingsOf(agent)
  if (balancing === undefined || settings === undefined) return { servers: [], pools: [] }
  const status = balancing.status()
  const seen = await haproxySays(agent)
  const meant = status.pools.flatMap(({ name: pool, servers }) =>
    servers.filter(one => isServerMeant(what, pool, one)).map(server => ({ pool, server })),
  )
  const isAll = meant.length <= LOOKS_MAX
  const asked = new Set(meant.filter(({ server }) => isAll || server.state !== 'ready').slice(0, LOOKS_MAX))
  const servers = await Promise.all(
    meant.map(async one => {
      const { pool, server } = one
      const its = settings.pools.find(({ name }) => name === pool)
      const look = asked.has(one) && its !== undefined ? await lookAtServer(agent, its, server, lookMs) : undefined
      return serverFacts(agent, pool, server, {
        ...found(seen, pool, server),
        ...driftOf(agent, status, pool, server),
        ...(look === undefined ? {} : { look }),
      })
    }),
  )
  return { servers, pools: status.pools.map(pool => poolFacts(agent, settings, pool)) }
}

/** HAProxy's own words; none while it cannot be asked, which the status says already. */
async function haproxySays(agent: Agent): Promise<readonly HaproxyEvidence[]> {
  const { config, deps } = agent.parts
  const { haproxyEvidence, socketPaths } = await import('../../balancer/index.ts')
  return haproxyEvidence(socketPaths(config), deps.clock).catch((failure: unknown) => {
    if (!(failure instanceof MusterError)) throw failure
    deps.log.debug({ reason: messageOf(failure) }, 'HAProxy could not be asked')
    return []
  })
}

function found(seen: readonly HaproxyEvidence[], pool: string, server: ServerStatus): Partial<ServerFacts> {
  const address = formatAddress(server)
  const isIts = (one: HaproxyEvidence) =>
    server.slot === undefined
      ? one.address === address || one.server === server.name
      : one.server === server.slot && one.address === address
  const own = seen.find(one => one.backend === pool && isIts(one)) ?? seen.find(isIts)
  if (own === undefined) return {}
  const twin = seen.find(one => one.backend === `${own.backend}.unsafe` && one.server === own.server)
  return {
    ...{ status: own.status, haproxyWeight: own.weight, downs: own.downs, check: own.check },
    ...(own.sinceMs === undefined ? {} : { sinceMs: own.sinceMs }),
    traffic: twin === undefined ? own.traffic : bothOf(own.traffic, twin.traffic),
  }
}

/** A pool's second backend has the same servers, for requests that are never repeated. */
function bothOf(a: HaproxyEvidence['traffic'], b: HaproxyEvidence['traffic']): HaproxyEvidence['traffic'] {
  const quiet = [a.quietMs, b.quietMs].filter(ms => ms !== undefined)
  return {
    sessions: a.sessions + b.sessions,
    queued: a.queued + b.queued,
    perSecond: a.perSecond + b.perSecond,
    requests: a.requests + b.requests,
    errors5xx: a.errors5xx + b.errors5xx,
    connectErrors: a.connectErrors + b.connectErrors,
    responseErrors: a.responseErrors + b.responseErrors,
    retries: a.retries + b.retries,
    redispatches: a.redispatches + b.redispatches,
    quietMs: quiet.length === 0 ? undefined : Math.min(...quiet),
    responseMs: Math.max(a.responseMs, b.responseMs),
    totalMs: Math.max(a.totalMs, b.totalMs),
  }
}

/** The newest change of somebody else's on this server. */
function driftOf(
  agent: Agent,
  { drifts }: BalancerStatus,
  pool: string,
  server: ServerStatus,
): Pick<ServerFacts, 'drift'> {
  const names = [server.slot, server.name].filter(name => name !== undefined).map(name => `${pool}/${name}`)
  const last = drifts.findLast(({ what }) => names.includes(what) || what.endsWith(`(${server.name})`))
  if (last === undefined) return {}
  return { drift: { outcome: last.outcome, agoMs: agent.parts.deps.clock.nowMs() - last.atMs } }
}

function serverFacts(agent: Agent, pool: string, server: ServerStatus, more: Partial<ServerFacts>): ServerFacts {
  const { name, state, reason, weight, slot } = server
  return {
    ...{ balancer: agent.parts.config.node.name, pool, name, address: formatAddress(server), state, reason, weight },
    ...(slot === undefined ? {} : { slot }),
    ...more,
  }
}

function poolFacts(agent: Agent, settings: BalancerSettings, pool: BalancerStatus['pools'][number]): PoolFacts {
  const its = settings.pools.find(({ name }) => name === pool.name)
  return {
    balancer: agent.parts.config.node.name,
    name: pool.name,
    ready: pool.servers.filter(({ state }) => state === 'ready').length,
    servers: pool.servers.length,
    minServers: its?.minServers ?? 1,
    holdMs: its?.hold.timeMs ?? 0,
  }
}

/** The question that HAProxy's check asks. Behind TLS or the PROXY protocol there is none that would be answered. */
function lookAtServer(
  agent: Agent,
  { check, serverTls, sendProxy }: PoolSettings,
  { ip, port: serves }: ServerStatus,
  lookMs: number,
): Promise<LookFacts> | undefined {
  if (serverTls !== undefined || sendProxy !== undefined) return undefined
  const port = check.port ?? serves
  if (check.kind === 'tcp') return lookAt(agent, { kind: 'tcp', ip, port }, lookMs)
  const host = check.host === undefined ? {} : { host: check.host }
  return lookAt(agent, { kind: 'http', ip, port, path: check.path, ...host }, lookMs, check.expect !== undefined)
}

function lookAt(agent: Agent, target: ProbeTarget, timeoutMs: number, takesAny = false): Promise<LookFacts> {
  return getOnce(target, { timeoutMs, clock: agent.parts.deps.clock, takesAny })
}
