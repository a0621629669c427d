import type { BalancerConfig, FrontendConfig, PoolConfig, Supervise } from '../balancer/index.ts'
import { formatAddress } from '../base/index.ts'
import type { Supervisor } from '../supervisor/index.ts'
import type { AgentConfig, BalancerSettings, FrontendSettings, PoolSettings } from './config/types.ts'
import { isHostLocal } from './endpoints/endpoints.ts'
import type { ServerViewConfig } from './endpoints/servers.ts'

/** HAProxy starts in 30 ms and nothing is served meanwhile: it is not made to wait like an application, and never given up. */
const RESTART = { minMs: 20, maxMs: 2_000, stableMs: 5_000, quarantineAfter: 0 } as const

/** The supervisor, as the balancer wants one: HAProxy is a service like any other, adopted when it runs already. */
export function haproxySupervise(supervisor: Supervisor): Supervise {
  const status = () => supervisor.services().find(service => service.name === 'haproxy')
  return {
    async start(spec, runningPid) {
      if (status() === undefined) await supervisor.add({ ...spec, restart: RESTART }, runningPid)
      else await supervisor.start(spec.name)
    },
    status() {
      const now = status()
      if (now === undefined) return { state: 'stopped' }
      const known = {
        ...(now.pid === undefined ? {} : { pid: now.pid }),
        ...(now.reason === undefined ? {} : { reason: now.reason }),
      }
      return { state: now.state, ...known }
    },
    signal: signal => void supervisor.signal('haproxy', signal),
    stop: () => supervisor.stop('haproxy'),
    onChange: listener =>
      supervisor.onChange(changed => {
        if (changed.name === 'haproxy') listener()
      }),
  }
}

/** The agent's settings in the balancer's terms. */
export function balancerConfigOf(config: AgentConfig, settings: BalancerSettings, ip: string): BalancerConfig {
  const { template, stats } = settings
  return {
    template: template === 'slots' || template === 'named' ? template : { path: template },
    configPath: settings.configPath,
    runDir: config.runDir,
    ...(settings.haproxy === undefined ? {} : { haproxyPath: settings.haproxy }),
    frontends: Object.fromEntries(settings.frontends.map(frontend => [frontend.name, frontendConfigOf(frontend)])),
    pools: Object.fromEntries(settings.pools.map(pool => [pool.name, poolConfigOf(pool)])),
    ...(settings.maxConnections === undefined ? {} : { maxConnections: settings.maxConnections }),
    data: settings.data,
    ...(stats === undefined ? {} : { stats: { bind: formatAddress(stats) } }),
    node: { name: config.node.name, ip },
    oldWorkers: settings.oldWorkers,
    drift: settings.drift,
  }
}

function frontendConfigOf({ binds, pool, tls, ...rest }: FrontendSettings): FrontendConfig {
  const { routes, mode, redirectToHttps, acceptProxy } = rest
  return {
    ...{ bind: binds, routes, mode, redirectToHttps, acceptProxy },
    ...(pool === undefined ? {} : { pool }),
    ...(tls === undefined ? {} : { tls }),
  }
}

function poolConfigOf(pool: PoolSettings): PoolConfig {
  const { mode, balance, sendProxy, serverTls, retries, hold, slowStartMs, minServers, outliers } = pool
  return {
    ...{ mode, balance, retries, hold, slowStartMs, minServers, outliers },
    check: checkConfigOf(pool.check),
    ...stickyConfigOf(pool.sticky),
    ...(sendProxy === undefined ? {} : { sendProxy }),
    ...(serverTls === undefined ? {} : { serverTls }),
    timeoutConnectMs: pool.connectTimeoutMs,
    timeoutServerMs: pool.serverTimeoutMs,
    timeoutQueueMs: pool.queueTimeoutMs,
    ...(pool.maxConnections === undefined ? {} : { maxconn: pool.maxConnections }),
    ...(pool.maxQueue === undefined ? {} : { maxqueue: pool.maxQueue }),
    ...(pool.slots === undefined ? {} : { slots: pool.slots }),
  }
}

function stickyConfigOf(sticky: PoolSettings['sticky']): Pick<PoolConfig, 'sticky' | 'cookieName' | 'cookieKey'> {
  if (sticky === undefined) return { sticky: 'none' }
  if (sticky.kind === 'cookie') return { sticky: 'cookie', cookieName: sticky.cookie, cookieKey: sticky.key }
  return { sticky: sticky.kind === 'source' ? 'source' : { header: sticky.header } }
}

function checkConfigOf(check: PoolSettings['check']): NonNullable<PoolConfig['check']> {
  const { intervalMs, timeoutMs, fall, rise } = check
  const pace = { intervalMs, timeoutMs, fall, rise, ...(check.port === undefined ? {} : { port: check.port }) }
  if (check.kind === 'tcp') return { tcp: true, ...pace }
  const host = check.host === undefined ? {} : { host: check.host }
  return { http: check.path, ...host, ...(check.expect === undefined ? {} : { expect: check.expect }), ...pace }
}

/** Where plain members of the ring belong, by the same settings. @param ip of this node */
export function viewConfigOf({ pools, plainPool }: BalancerSettings, ip: string): ServerViewConfig {
  return {
    defaultPool: plainPool,
    ports: Object.fromEntries(pools.map(pool => [pool.name, pool.port])),
    acceptsHostLocal: isHostLocal(ip),
  }
}
