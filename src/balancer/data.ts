import type { BalancerConfig, FrontendConfig, PoolConfig } from './config.ts'
import { bindsOf, socketPaths } from './config.ts'
import { endpointOf } from './server.ts'
import type { Slot } from './slots.ts'

/** A server that has a place in the file. */
export interface PlacedServer {
  readonly pool: string
  readonly name: string
  readonly host: string
  readonly ip: string
  readonly port: number
  readonly weight: number
  readonly stance: 'ready' | 'entering' | 'drain' | 'maint'
  readonly state: 'ready' | 'draining' | 'plain'
}

interface ServerData {
  /** Unique within its pool: the member's name, `name:port` from its second endpoint on. */
  readonly server: string
  readonly id: number
  readonly member: string
  readonly host: string
  readonly ip: string
  readonly port: number
  readonly address: string
  readonly weight: number
  readonly disabled: boolean
  readonly draining: boolean
}

interface PoolData {
  readonly name: string
  readonly balance: string
  readonly checkPath: string | null
  readonly checkHost: string | null
  /** Pauses between checks: of a server that is up, one that seems to change, and one that is down. */
  readonly checkIntervalMs: number
  readonly checkFastMs: number
  readonly checkDownMs: number
  readonly sticky: boolean
  readonly cookieName: string
  readonly cookieKey: string
  readonly timeoutConnectMs: number
  readonly timeoutServerMs: number
  readonly timeoutQueueMs: number
  readonly maxconn: number | null
  readonly servers: readonly ServerData[]
  readonly slots: readonly ServerData[]
}

interface FrontendData {
  readonly name: string
  /** For `bind {{bind}}`: of several each comes to stand on a `bind` line of its own. */
  readonly bind: string
  readonly binds: readonly string[]
  readonly pool: string
}

/** What a template sees. Every key is always there; what has no value is null, so that `#if` is enough to ask. */
export interface TemplateData {
  readonly node: { readonly name: string; readonly ip: string }
  readonly frontends: readonly FrontendData[]
  readonly pools: readonly PoolData[]
  readonly members: readonly { readonly name: string; readonly host: string; readonly ip: string }[]
  /**
   * The servers of this balancer's pools, one per member and address, as simple as in the templates that people have had for years.
   * `host` is unique, as HAProxy wants its servers' names: the member's name, `name:port` from its second endpoint on.
   */
  readonly addresses: readonly { readonly host: string; readonly ip: string; readonly port: number }[]
  readonly settings: {
    readonly adminSocket: string
    readonly masterSocket: string
    readonly maxconn: number
    readonly statsBind: string | null
  }
  /** `balancer.data`, the user's own values. */
  readonly data: Readonly<Record<string, unknown>>
}

/** Ordered by pool, name, address: the same servers give the same bytes, whatever the order in which they came. */
export function templateData(
  config: BalancerConfig,
  servers: readonly PlacedServer[],
  slots: ReadonlyMap<string, readonly Readonly<Slot>[]>,
  maxconn: number,
): TemplateData {
  const ordered = [...servers].sort((a, b) => compare(orderKey(a), orderKey(b)))
  const kept = ordered.filter(server => server.stance !== 'maint' && Object.hasOwn(config.pools, server.pool))
  return {
    node: { name: config.node.name, ip: config.node.ip },
    frontends: Object.entries(config.frontends).map(([name, frontend]) => frontendData(name, frontend)),
    pools: Object.entries(config.pools).map(([name, pool]) =>
      poolData(
        name,
        pool,
        ordered.filter(server => server.pool === name),
        slots.get(name) ?? [],
      ),
    ),
    members: uniqueBy(kept, server => server.name).map(({ name, host, ip }) => ({ name, host, ip })),
    addresses: addressesOf(kept),
    settings: {
      adminSocket: socketPaths(config).admin,
      masterSocket: socketPaths(config).master,
      maxconn,
      statsBind: config.stats?.bind ?? null,
    },
    data: config.data ?? {},
  }
}

function frontendData(name: string, frontend: FrontendConfig): FrontendData {
  const binds = bindsOf(frontend)
  return { name, bind: binds.join('\n    bind '), binds, pool: frontend.pool }
}

function poolData(
  name: string,
  pool: PoolConfig,
  servers: readonly PlacedServer[],
  slots: readonly Readonly<Slot>[],
): PoolData {
  return {
    name,
    balance: pool.balance ?? 'leastconn',
    ...checkData(pool.check),
    sticky: pool.sticky === 'cookie',
    cookieName: pool.cookieName ?? 'SRV',
    cookieKey: pool.cookieKey ?? name,
    timeoutConnectMs: pool.timeoutConnectMs ?? 250,
    timeoutServerMs: pool.timeoutServerMs ?? 30_000,
    timeoutQueueMs: pool.timeoutQueueMs ?? 5_000,
    maxconn: pool.maxconn ?? null,
    servers: namedServers(servers),
    slots: slotsData(slots, servers),
  }
}

function checkData(check: PoolConfig['check'] = { tcp: true }) {
  const checkIntervalMs = check.intervalMs ?? 1_000
  return {
    checkPath: 'http' in check ? check.http : null,
    checkHost: ('http' in check ? check.host : undefined) ?? null,
    checkIntervalMs,
    checkFastMs: Math.min(200, checkIntervalMs),
    checkDownMs: Math.min(500, checkIntervalMs),
  }
}

function addressesOf(servers: readonly PlacedServer[]): TemplateData['addresses'] {
  const unique = uniqueBy(servers, server => `${server.host} ${endpointOf(server)}`)
  const taken = new Set<string>()
  return unique.map(server => ({ host: uniqueName(server, taken), ip: server.ip, port: server.port }))
}

/** @param taken grows by the name */
function uniqueName(server: PlacedServer, taken: Set<string>): string {
  const { host, port } = server
  const free = [host, `${host}:${port}`].find(name => !taken.has(name)) ?? `${host}:${fnv1a(endpointOf(server))}`
  taken.add(free)
  return free
}

function namedServers(servers: readonly PlacedServer[]): ServerData[] {
  const taken = new Set<string>()
  const ids = new Set<number>()
  return servers.map(server => {
    const unique = uniqueName(server, taken)
    let id = 1_000_000 + (fnv1a(unique) % 1_000_000_000)
    while (ids.has(id)) id++
    ids.add(id)
    return serverData(unique, id, server)
  })
}

function slotsData(slots: readonly Readonly<Slot>[], servers: readonly PlacedServer[]): ServerData[] {
  const byEndpoint = new Map(servers.map(server => [endpointOf(server), server]))
  return slots.map(({ number, occupant }) => {
    const server = occupant === undefined ? undefined : byEndpoint.get(occupant)
    return serverData(`slot${number}`, 100 + number, server ?? FREE)
  })
}

const FREE: PlacedServer = {
  pool: '',
  name: '',
  host: '',
  ip: '127.0.0.1',
  port: 1,
  weight: 1,
  stance: 'maint',
  state: 'plain',
}

function serverData(name: string, id: number, server: PlacedServer): ServerData {
  return {
    server: name,
    id,
    member: server.name,
    host: server.host,
    ip: server.ip,
    port: server.port,
    address: endpointOf(server),
    weight: server.stance === 'drain' ? 0 : server.weight,
    disabled: server.stance === 'maint',
    draining: server.stance === 'drain',
  }
}

/** Consistent hashing places a server by its id, so the id must not depend on who else is there (FNV-1a, Fowler et al.). */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}

function orderKey(server: PlacedServer): string {
  return `${server.pool}\0${server.name}\0${endpointOf(server)}`
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function uniqueBy<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  return [...new Map([...items].reverse().map(item => [keyOf(item), item])).values()].reverse()
}
