import { nearest } from './nearest.ts'
import type { Findings } from './findings.ts'
import type { FileSettings } from './schema.ts'
import type { BalancerSettings, FrontendSettings, PoolSettings } from './types.ts'

type Given = NonNullable<FileSettings['balancer']>
type GivenPool = NonNullable<Given['pools']>[string]

/** The pool of plain members that name none, when the file names no pool at all. */
const DEFAULT_POOL = 'web'

export function resolveBalancer(
  given: Given | undefined,
  stateDir: string,
  findings: Findings,
): BalancerSettings | undefined {
  if (given === undefined) return undefined
  const frontends = frontendsOf(given, findings)
  const names = new Set([...Object.keys(given.pools ?? {}), ...frontends.map(one => one.pool)])
  const plainPool = given.plain_pool ?? (names.has(DEFAULT_POOL) ? DEFAULT_POOL : ([...names][0] ?? DEFAULT_POOL))
  checkPoolNamed('balancer.plain_pool', plainPool, [...names], findings)
  return {
    template: given.template ?? 'slots',
    ...(given.haproxy === undefined ? {} : { haproxy: given.haproxy }),
    configPath: given.config ?? `${stateDir}/haproxy.cfg`,
    stats: given.stats === false ? undefined : (given.stats ?? { ip: '127.0.0.1', port: 1936 }),
    ...(given.max_connections === undefined ? {} : { maxConnections: given.max_connections }),
    frontends,
    pools: [...names].map(name => poolOf(name, given.pools?.[name] ?? {}, findings)),
    plainPool,
    data: given.data ?? {},
  }
}

function frontendsOf(given: Given, findings: Findings): FrontendSettings[] {
  const pools = Object.keys(given.pools ?? {})
  if (given.frontends === undefined) return [{ name: 'http', binds: [':80'], pool: pools[0] ?? DEFAULT_POOL }]
  const takenBy = new Map<string, string>()
  return Object.entries(given.frontends).map(([name, frontend]) => {
    const path = `balancer.frontends.${name}`
    if (given.pools !== undefined) checkPoolNamed(`${path}.pool`, frontend.pool, pools, findings)
    for (const bind of frontend.bind) {
      const other = takenBy.get(bind)
      if (other !== undefined) findings.problem(`${path}.bind`, `${path}.bind: ${bind} is taken by frontends.${other}`)
      takenBy.set(bind, name)
    }
    return { name, binds: frontend.bind, pool: frontend.pool }
  })
}

function checkPoolNamed(path: string, pool: string, pools: readonly string[], findings: Findings): void {
  if (pools.includes(pool)) return
  const meant = nearest(pool, pools)
  const hint = meant === undefined ? '' : `; did you mean "${meant}"?`
  findings.problem(path, `${path}: there is no pool "${pool}"${hint}`)
}

function poolOf(name: string, given: GivenPool, findings: Findings): PoolSettings {
  const check = given.check ?? {}
  if (check.tcp !== undefined && check.http !== undefined) {
    findings.problem(
      `balancer.pools.${name}.check`,
      `balancer.pools.${name}.check: "tcp" and "http" exclude each other`,
    )
  }
  const intervalMs = check.interval ?? 1000
  const host = check.host === undefined ? {} : { host: check.host }
  const sticky = given.sticky
  return {
    name,
    port: given.port ?? 3000,
    balance: given.balance ?? 'leastconn',
    check:
      check.http === undefined ? { kind: 'tcp', intervalMs } : { kind: 'http', path: check.http, ...host, intervalMs },
    ...(sticky === undefined ? {} : { sticky: { cookie: sticky.cookie ?? 'SRV', key: sticky.key ?? name } }),
    connectTimeoutMs: given.timeouts?.connect ?? 250,
    serverTimeoutMs: given.timeouts?.server ?? 30_000,
    queueTimeoutMs: given.timeouts?.queue ?? 5000,
    ...(given.max_connections === undefined ? {} : { maxConnections: given.max_connections }),
    ...(given.slots === undefined ? {} : { slots: given.slots }),
  }
}
