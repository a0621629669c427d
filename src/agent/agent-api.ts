import type { AgentStatus, Api, ApiBackend, BalancerReport, ServiceReport } from '../api/index.ts'
import { startApi } from '../api/index.ts'
import { formatAddress, type Log } from '../base/index.ts'
import type { ServiceStatus } from '../supervisor/index.ts'
import type { Agent } from './agent.ts'
import { drainCommands } from './draining/draining-commands.ts'
import type { Balancing } from './balancing.ts'
import type { AgentConfig } from './config/index.ts'
import { historyOf } from './journal/journal-api.ts'
import { VERSION } from './version.ts'
import { whyOf } from './why/report.ts'

/**
 * Serves the HTTP API of an agent that is being started; the socket is this agent's before anything else is.
 * @param deps.agent undefined while it starts
 * @throws SocketTakenError when another agent answers on the socket
 */
export function startAgentApi(
  config: AgentConfig,
  deps: { readonly log: Log; readonly agent: () => Agent | undefined },
  signal?: AbortSignal,
): Promise<Api> {
  const { socketPath, listen } = config.api
  const api = { socketPath, ...(listen === undefined ? {} : { listen }) }
  const routes = () => {
    const agent = deps.agent()
    return agent === undefined ? undefined : routesOf(agent)
  }
  return startApi(api, { log: deps.log, routes }, signal)
}

function routesOf(agent: Agent): ApiBackend {
  const { serf } = agent.parts
  return {
    status: async () => statusOf(agent),
    members: async () =>
      serf
        .members()
        .map(({ name, ip, port, status, tags }) => ({ name, address: formatAddress({ ip, port }), status, tags })),
    events: (since, waitMs) => agent.parts.events.after(since, waitMs),
    ...drainCommands(agent),
    configuring: {
      plan: () => agent.configuring.plan(),
      apply: ({ user, ...ask }) => agent.configuring.apply({ ...ask, actor: user ?? 'operator' }),
      rollback: ({ user, ...ask }) => agent.configuring.rollback({ ...ask, actor: user ?? 'operator' }),
      generations: () => agent.configuring.generations(),
    },
    history: ask => historyOf(agent.parts.journal.journal, ask),
    why: what => whyOf(agent, what),
    handover: async () => void agent.handover(),
    version: () => VERSION,
  }
}

async function statusOf(agent: Agent): Promise<AgentStatus> {
  const { serf, balancing, config, journal } = agent.parts
  const members = { alive: 0, leaving: 0, left: 0, failed: 0 }
  for (const { status } of serf.members()) if (status !== 'none') members[status]++
  return {
    node: config.node.name,
    pid: agent.parts.deps.pid,
    version: VERSION,
    members,
    services: servicesOf(agent),
    warnings: [...serf.warnings(), ...agent.warnings(), ...(journal.problem === undefined ? [] : [journal.problem])],
    ...(balancing === undefined ? {} : { balancer: await balancerOf(balancing, agent) }),
  }
}

function servicesOf(agent: Agent): ServiceReport[] {
  const { supervisor } = agent.parts
  return supervisor.services().map(found => {
    const { name, state, pid, restarts, serves } = found
    const reason = found.reason ?? adoptedReasonOf(found)
    const service = agent.services.configured(name)
    const port = serves?.port ?? service?.port
    return {
      ...{ name, state, restarts },
      ...(pid === undefined ? {} : { pid }),
      ...(reason === undefined ? {} : { reason }),
      ...(serves === undefined ? {} : { pool: serves.pool }),
      ...(port === undefined ? {} : { port }),
    }
  })
}

/** Why a service that runs is not as it should be. */
function adoptedReasonOf({ name, orphan, stale }: ServiceStatus): string | undefined {
  if (orphan) return 'not in the configuration any more; it is drained and ended'
  return stale && name !== 'haproxy' ? 'runs as it was configured before; it is drained and restarted' : undefined
}

async function balancerOf(balancing: Balancing, agent: Agent): Promise<BalancerReport> {
  const status = balancing.status()
  const sessionsOn = await balancing.sessions()
  const master = agent.parts.supervisor.services().find(service => service.name === 'haproxy')?.pid
  return {
    haproxy: {
      ...(master === undefined ? {} : { pid: master }),
      version: status.haproxy.version,
      state: status.problem === undefined ? status.haproxy.state : `${status.haproxy.state}: ${status.problem}`,
      reloads: status.reloads,
      oldWorkers: status.haproxy.oldWorkers,
    },
    pools: status.pools.map(pool => ({
      ...{ name: pool.name, retries: pool.retries, waiting: pool.waiting },
      servers: pool.servers.map(({ name, ip, port, state, reason, slot }) => ({
        ...{ name, address: formatAddress({ ip, port }), state, reason },
        ...(sessionsOn === undefined ? {} : { sessions: sessionsOn(pool.name, { ip, port }) }),
        ...(slot === undefined ? {} : { slot }),
      })),
    })),
    refused: status.refused,
    guards: status.guards.map(({ what }) => what),
    drifts: status.drifts.map(({ what, outcome }) => `${what} was changed by somebody else: ${outcome}`),
    advice: adviceOf(status.missingRetries),
  }
}

function adviceOf(missing: readonly { readonly setting: string; readonly cost: string }[]): string[] {
  return missing.map(({ setting, cost }) => `${setting} is missing: ${cost}`)
}
