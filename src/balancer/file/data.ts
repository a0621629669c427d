import type { BalancerConfig, FrontendConfig, PoolConfig, RouteConfig } from '../config.ts'
import { attemptsOf, bindsOf, doorPath, holdOf, retryOnOf, socketPaths, timeoutServerOf } from '../config.ts'
import { fnv1a } from '../fnv1a.ts'
import { endpointOf } from '../server.ts'
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
  readonly tcp: boolean
  readonly balance: string
  readonly checkPath: string | null
  readonly checkHost: string | null
  readonly checkExpect: string | null
  readonly checkPort: number | null
  readonly checkTimeoutMs: number
  readonly checkFall: number
  readonly checkRise: number
  /** Pauses between checks: of a server that is up, one that seems to change, and one that is down. */
  readonly checkIntervalMs: number
  readonly checkFastMs: number
  readonly checkDownMs: number
  /** By a cookie. */
  readonly sticky: boolean
  readonly cookieName: string
  readonly cookieKey: string
  /** By a table: what `stick on` takes, and the type of its keys. */
  readonly stickOn: string | null
  readonly stickType: string | null
  readonly retries: number
  /** After `retry-on`, for methods that may be repeated, and for the others. */
  readonly retryOn: string | null
  readonly retryOnUnsafe: string | null
  /** The unix socket where requests wait while no server lives. */
  readonly door: string | null
  readonly holdMs: number
  readonly slowStartMs: number | null
  readonly timeoutConnectMs: number
  readonly timeoutServerMs: number
  readonly timeoutQueueMs: number
  readonly maxconn: number | null
  readonly maxqueue: number | null
  /** More words for each `server` line: TLS, the PROXY protocol. Empty, or with a space before it. */
  readonly serverOptions: string
  readonly servers: readonly ServerData[]
  readonly slots: readonly ServerData[]
}

interface RouteData {
  /** Unique within its frontend, for names of ACLs. */
  readonly id: string
  readonly hosts: readonly { readonly match: 'str' | 'end'; readonly value: string }[]
  readonly path: string | null
  /** The ACLs that must all hold. */
  readonly condition: string
  readonly pool: string
}

interface FrontendData {
  readonly name: string
  readonly tcp: boolean
  /** For `bind {{bind}}`: of several each comes to stand on a `bind` line of its own. */
  readonly bind: string
  readonly binds: readonly string[]
  readonly pool: string | null
  readonly routes: readonly RouteData[]
  /** Some of its addresses speak TLS. */
  readonly tls: boolean
  readonly redirectToHttps: boolean
  /** Behind the host in a redirect: `:8443`; empty for 443. */
  readonly httpsPort: string
  readonly timeoutClientMs: number
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
    readonly oldWorkerMs: number
    /** Where the worker before a reload hands its stick tables on; null without such tables. */
    readonly peersSocket: string | null
    /** Something here is in mode tcp. */
    readonly tcp: boolean
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
  const keys = new Map(servers.map(server => [server, orderKey(server)]))
  const ordered = [...servers].sort((a, b) => compare(keys.get(a) ?? '', keys.get(b) ?? ''))
  const kept = ordered.filter(server => server.stance !== 'maint' && Object.hasOwn(config.pools, server.pool))
  return {
    node: { name: config.node.name, ip: config.node.ip },
    frontends: Object.entries(config.frontends).map(([name, frontend]) => frontendData(name, frontend, config)),
    pools: Object.entries(config.pools).map(([name, pool]) =>
      poolData(
        name,
        config,
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
      ...settingsOf(config),
    },
    data: config.data ?? {},
  }
}

const HOUR_MS = 3_600_000

function settingsOf(config: BalancerConfig) {
  const pools = Object.values(config.pools)
  const hasTables = pools.some(pool => stickTable(pool).stickOn !== null)
  return {
    oldWorkerMs: config.oldWorkers?.maxAgeMs ?? HOUR_MS,
    peersSocket: hasTables ? socketPaths(config).peers : null,
    tcp: [...pools, ...Object.values(config.frontends)].some(({ mode }) => mode === 'tcp'),
  }
}

function frontendData(name: string, frontend: FrontendConfig, config: BalancerConfig): FrontendData {
  const binds = bindsOf(frontend)
  const isPool = Object.hasOwn(config.pools, name) // one name for both is deprecated, and refused from HAProxy 3.3 on
  const port = /:(\d+)$/.exec(frontend.tls?.binds[0]?.split(' ')[0] ?? '')?.[1] ?? '443'
  return {
    name: isPool ? `${name}.in` : name,
    tcp: frontend.mode === 'tcp',
    bind: binds.join('\n    bind '),
    binds,
    pool: frontend.pool ?? null,
    routes: (frontend.routes ?? []).map(routeData),
    tls: frontend.tls !== undefined || binds.some(bind => / ssl( |$)/.test(bind)),
    redirectToHttps: frontend.redirectToHttps === true,
    httpsPort: port === '443' ? '' : `:${port}`,
    timeoutClientMs: frontend.mode === 'tcp' ? timeoutServerOf(config.pools[frontend.pool ?? ''] ?? {}) : 60_000,
  }
}

function routeData({ hosts, path, pool }: RouteConfig, at: number): RouteData {
  const id = `route${at + 1}`
  const conditions = [...(hosts.length > 0 ? [`${id}.host`] : []), ...(path === undefined ? [] : [`${id}.path`])]
  return {
    id,
    hosts: hosts.map(host =>
      host.startsWith('*.') ? { match: 'end', value: host.slice(1) } : { match: 'str', value: host },
    ),
    path: path ?? null,
    condition: conditions.join(' '),
    pool,
  }
}

function poolData(
  name: string,
  config: BalancerConfig,
  pool: PoolConfig,
  servers: readonly PlacedServer[],
  slots: readonly Readonly<Slot>[],
): PoolData {
  const hold = holdOf(pool)
  const retryOn = retryOnOf(pool)
  return {
    name,
    tcp: pool.mode === 'tcp',
    balance: pool.balance ?? 'leastconn',
    ...checkData(pool.check),
    sticky: pool.sticky === 'cookie',
    cookieName: pool.cookieName ?? 'SRV',
    cookieKey: pool.cookieKey ?? name,
    ...stickTable(pool),
    retries: attemptsOf(pool),
    retryOn: retryOn.safe.join(' ') || null,
    retryOnUnsafe: retryOn.unsafe.join(' ') || null,
    door: hold === undefined ? null : doorPath(config, name),
    holdMs: hold?.timeMs ?? 0,
    slowStartMs: pool.slowStartMs === undefined || pool.slowStartMs === 0 ? null : pool.slowStartMs,
    timeoutConnectMs: pool.timeoutConnectMs ?? 250,
    timeoutServerMs: timeoutServerOf(pool),
    timeoutQueueMs: pool.timeoutQueueMs ?? 5_000,
    maxconn: pool.maxconn ?? null,
    maxqueue: pool.maxqueue ?? null,
    serverOptions: serverOptions(pool),
    servers: namedServers(servers),
    slots: slotsData(slots, servers),
  }
}

/** The header's value, or the client's address. */
function stickTable({ sticky }: PoolConfig): Pick<PoolData, 'stickOn' | 'stickType'> {
  if (typeof sticky === 'object') return { stickOn: `req.hdr(${sticky.header})`, stickType: 'string len 64' }
  return sticky === 'source' ? { stickOn: 'src', stickType: 'ipv6' } : { stickOn: null, stickType: null }
}

function serverOptions({ serverTls: tls, sendProxy }: PoolConfig): string {
  const ca = tls?.verify === 'required' ? ` ca-file ${tls.ca ?? '@system-ca'}` : ''
  const secure = tls === undefined ? '' : ` ssl verify ${tls.verify}${ca}`
  return `${secure}${sendProxy === undefined ? '' : sendProxy === 'v2' ? ' send-proxy-v2' : ' send-proxy'}`
}

function checkData(check: PoolConfig['check'] = { tcp: true }) {
  const checkIntervalMs = check.intervalMs ?? 1_000
  return {
    checkPath: 'http' in check ? check.http : null,
    checkHost: ('http' in check ? check.host : undefined) ?? null,
    checkExpect: ('http' in check ? check.expect : undefined) ?? null,
    checkPort: check.port ?? null,
    checkTimeoutMs: check.timeoutMs ?? 500,
    checkFall: check.fall ?? 2,
    checkRise: check.rise ?? 1,
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

/** The `server` line of the door in both built-in templates; no member's may be called so. */
const DOOR_NAME = 'door'

function namedServers(servers: readonly PlacedServer[]): ServerData[] {
  const taken = new Set<string>([DOOR_NAME])
  const ids = new Set<number>()
  return servers.map(server => {
    const unique = uniqueName(server, taken)
    // Consistent hashing places a server by its id, so the id must not depend on who else is there.
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
    return serverData(`slot${number}`, 100 + number, server ?? freeSlot(number))
  })
}

/** Never asked, nowhere (TEST-NET-1, RFC 5737), and each elsewhere: equal addresses make equal cookies, of which HAProxy complains. */
function freeSlot(number: number): PlacedServer {
  const ip = `192.0.2.${1 + (number % 250)}`
  return {
    pool: '',
    name: '',
    host: '',
    ip,
    port: 1 + Math.floor(number / 250),
    weight: 1,
    stance: 'maint',
    state: 'plain',
  }
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

function orderKey(server: PlacedServer): string {
  return `${server.pool}\0${server.name}\0${endpointOf(server)}`
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function uniqueBy<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  return [...new Map([...items].reverse().map(item => [keyOf(item), item])).values()].reverse()
}
