import type { BalancerConfig, PoolConfig, Supervise } from '../balancer/index.ts'
import { formatAddress } from '../base/index.ts'
import type { Supervisor } from '../supervisor/index.ts'
import type { AgentConfig, BalancerSettings, PoolSettings } from './config/types.ts'
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
    frontends: Object.fromEntries(settings.frontends.map(f => [f.name, { bind: f.binds, pool: f.pool }])),
    pools: Object.fromEntries(settings.pools.map(pool => [pool.name, poolConfigOf(pool)])),
    ...(settings.maxConnections === undefined ? {} : { maxConnections: settings.maxConnections }),
    data: settings.data,
    ...(stats === undefined ? {} : { stats: { bind: formatAddress(stats) } }),
    node: { name: config.node.name, ip },
  }
}

function poolConfigOf(pool: PoolSettings): PoolConfig {
  return {
    balance: pool.balance,
    check: checkConfigOf(pool.check),
    sticky: pool.sticky === undefined ? 'none' : 'cookie',
    ...(pool.sticky === undefined ? {} : { cookieName: pool.sticky.cookie, cookieKey: pool.sticky.key }),
    timeoutConnectMs: pool.connectTimeoutMs,
    timeoutServerMs: pool.serverTimeoutMs,
    timeoutQueueMs: pool.queueTimeoutMs,
    ...(pool.maxConnections === undefined ? {} : { maxconn: pool.maxConnections }),
    ...(pool.slots === undefined ? {} : { slots: pool.slots }),
  }
}

function checkConfigOf(check: PoolSettings['check']): NonNullable<PoolConfig['check']> {
  const { intervalMs } = check
  if (check.kind === 'tcp') return { tcp: true, intervalMs }
  return { http: check.path, ...(check.host === undefined ? {} : { host: check.host }), intervalMs }
}

/** Where plain members of the ring belong, by the same settings. @param ip of this node */
export function viewConfigOf({ pools, plainPool }: BalancerSettings, ip: string): ServerViewConfig {
  return {
    defaultPool: plainPool,
    ports: Object.fromEntries(pools.map(pool => [pool.name, pool.port])),
    acceptsHostLocal: isHostLocal(ip),
  }
}
