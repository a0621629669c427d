import type { ProbeTarget } from '../base/index.ts'
import { BalancerConfigError } from './errors.ts'
import { fnv1a } from './fnv1a.ts'
import { POOL_NAME } from './server.ts'

/** Where clients come in. */
export interface FrontendConfig {
  /** As after HAProxy's `bind`: `:80`, `10.0.0.1:443 ssl crt /etc/ssl/site.pem`. Each of several has a line of its own, and its own parameters. */
  readonly bind: string | readonly string[]
  /** Where goes what no route takes; absent: 503. */
  readonly pool?: string
  /** The first that fits counts. None by default, and in mode `tcp`. */
  readonly routes?: readonly RouteConfig[]
  /** That of its pools; `http` by default. */
  readonly mode?: 'http' | 'tcp'
  /** Addresses with TLS, besides those of `bind`. */
  readonly tls?: {
    readonly binds: readonly string[]
    /** PEM files, or directories of them. */
    readonly certificates: readonly string[]
    readonly minVersion?: '1.2' | '1.3'
  }
  /** What came without TLS is answered 308; not by default. */
  readonly redirectToHttps?: boolean
  /** The PROXY protocol comes first on each connection; not by default. */
  readonly acceptProxy?: boolean
}

export interface RouteConfig {
  /** Compared without port and case; `*.example.org` is every name below. Empty: any. */
  readonly hosts: readonly string[]
  /** A prefix of whole segments, without a slash at its end; absent: any. */
  readonly path?: string
  readonly pool: string
}

export type CheckConfig = (
  | {
      readonly http: string
      readonly host?: string
      /** Good answers, `200-299,301`; 200 to 399 by default. */
      readonly expect?: string
    }
  | { readonly tcp: true }
) & {
  /** Pause between two checks of a server that is up, ms; 1000 by default. Changes are looked into at a quicker pace. */
  readonly intervalMs?: number
  /** ms; 500 by default. */
  readonly timeoutMs?: number
  /** Failures in a row that take a server out; 2 by default. */
  readonly fall?: number
  /** Good checks in a row that bring it back; 1 by default. */
  readonly rise?: number
  /** Where they ask; the server's own by default. */
  readonly port?: number
}

export interface PoolConfig {
  /** `http` by default. A TCP pool has no companion for unsafe methods, and no door. */
  readonly mode?: 'http' | 'tcp'
  /** HAProxy's algorithm; `leastconn` by default, since a hung server attracts fewest requests with it. */
  readonly balance?: string
  /** TCP by default: nobody said that the application answers a path. */
  readonly check?: CheckConfig
  /** `cookie`: a dynamic one, its value the same on every balancer and after a reload; the others are tables of this balancer. */
  readonly sticky?: 'cookie' | 'source' | 'none' | { readonly header: string }
  /** The cookie's name; `SRV` by default. */
  readonly cookieName?: string
  /** The dynamic cookie's key; the pool's name by default. */
  readonly cookieKey?: string
  /** The PROXY protocol to servers; none by default. */
  readonly sendProxy?: 'v1' | 'v2'
  /** TLS to servers; none by default. `ca` is a path or `@system-ca`, its default. */
  readonly serverTls?: { readonly verify: 'none' | 'required'; readonly ca?: string }
  readonly retries?: {
    /** 3 by default; 0: nothing is tried again. */
    readonly attempts?: number
    /** Words of `retry-on` for GET, HEAD and OPTIONS; for others only `conn-failure`. */
    readonly on?: readonly string[]
    /** Every method is repeated like a GET; not by default. */
    readonly unsafe?: boolean
  }
  /** While no server lives, requests wait: 10 s or as long as `timeoutServerMs` allows, 1000 at a time by default; 0 ms: none. */
  readonly hold?: { readonly timeMs?: number; readonly requests?: number }
  /** ms until a server that came takes its full share; 0 by default. */
  readonly slowStartMs?: number
  /** Fewest servers that a drain or a stop may leave; 0 by default. */
  readonly minServers?: number
  /** Servers that are much slower than the others get less; true by default. */
  readonly outliers?: boolean
  /** Silence of a server that is taken for a hang, ms; 30 000 by default (5 s would cut event streams), 1 h in mode `tcp`. */
  readonly timeoutServerMs?: number
  /** To reach a server, ms; 250 by default. */
  readonly timeoutConnectMs?: number
  /** How long a request waits for a free server, ms; 5000 by default. */
  readonly timeoutQueueMs?: number
  /** Concurrent requests per server; none by default. */
  readonly maxconn?: number
  /** Requests that may wait for each server; none by default. */
  readonly maxqueue?: number
  /** Fewest slots of the `slots` template; 20 by default. */
  readonly slots?: number
}

export interface BalancerConfig {
  /** A built-in one, or a user's file; with `source` that text instead of what the file holds by now. */
  readonly template: 'slots' | 'named' | { readonly path: string; readonly source?: string }
  /** HAProxy's file, written by us. */
  readonly configPath: string
  /** Holds the admin and the master socket; short, because socket paths are (97 bytes). */
  readonly runDir: string
  /** `haproxy` from the path, else /usr/sbin/haproxy. */
  readonly haproxyPath?: string
  readonly frontends: Readonly<Record<string, FrontendConfig>>
  readonly pools: Readonly<Record<string, PoolConfig>>
  /** HAProxy's own page; none by default. */
  readonly stats?: { readonly bind: string }
  readonly node: { readonly name: string; readonly ip: string }
  /** HAProxy's `maxconn`; 10 000 by default. What the descriptors do not allow is cut, since HAProxy would not start with it. */
  readonly maxConnections?: number
  /** The user's own values, `data` in a template. */
  readonly data?: Readonly<Record<string, unknown>>
  /** Longest wait for the requests of a server that left, ms; 30 000 by default. */
  readonly drainTimeoutMs?: number
  /** Shortest time between two reloads, ms; 1000 by default. What comes in between is one reload. */
  readonly reloadSpacingMs?: number
  /** Workers from before a reload: at most `max`, 8 by default; `maxAgeMs` (1 h) is HAProxy's `hard-stop-after`. */
  readonly oldWorkers?: { readonly max?: number; readonly maxAgeMs?: number }
  /** What becomes of somebody else's changes; `restore` by default. */
  readonly drift?: 'restore' | 'adopt'
}

/**
 * A request that the door lets in is sent again by HAProxy, which counts as an attempt, after those that the death of the last
 * server has cost it: one in flight, three refused (`error-limit`), one more by the other thread. So many more than a pool asks for.
 */
const DOOR_ATTEMPTS = 6
/** The door answers so long before HAProxy would stop waiting for it. */
const HOLD_SPARE_MS = 500

/** How requests of a pool wait while it has no server; undefined: they do not. */
export function holdOf(pool: PoolConfig): { readonly timeMs: number; readonly requests: number } | undefined {
  const longestMs = Math.max(0, timeoutServerOf(pool) - HOLD_SPARE_MS)
  const timeMs = Math.min(pool.hold?.timeMs ?? 10_000, longestMs)
  return pool.mode === 'tcp' || timeMs <= 0 ? undefined : { timeMs, requests: pool.hold?.requests ?? 1_000 }
}

/** A TCP pool's connections may well be silent for long: databases, mail. ms. */
export function timeoutServerOf(pool: PoolConfig): number {
  return pool.timeoutServerMs ?? (pool.mode === 'tcp' ? 3_600_000 : 30_000)
}

/** HAProxy's `retries`. */
export function attemptsOf(pool: PoolConfig): number {
  return (pool.retries?.attempts ?? 3) + (holdOf(pool) === undefined ? 0 : DOOR_ATTEMPTS)
}

/** Words for `retry-on`, of methods that may be repeated and of the others; empty: no such line. */
export function retryOnOf(pool: PoolConfig): { readonly safe: readonly string[]; readonly unsafe: readonly string[] } {
  const {
    attempts = 3,
    on = ['empty-response', 'junk-response', 'response-timeout'],
    unsafe = false,
  } = pool.retries ?? {}
  const door = holdOf(pool) === undefined ? [] : ['425']
  const own = attempts === 0 ? [] : ['conn-failure', ...on]
  const once = attempts === 0 ? [] : ['conn-failure']
  return { safe: unique([...own, ...door]), unsafe: unique([...(unsafe ? own : once), ...door]) }
}

function unique(words: readonly string[]): string[] {
  return [...new Set(words)]
}

/**
 * What the agent itself asks a server before it enters. Where only HAProxy knows how to speak to it (TLS, the PROXY protocol), or
 * its checks ask elsewhere or expect something else, no more than that the port opens.
 */
export function probeTargetOf(pool: PoolConfig | undefined, ip: string, port: number): ProbeTarget {
  const check = pool?.check
  const at = check?.port ?? port
  const speaksPlain = check?.port !== undefined || (pool?.sendProxy === undefined && pool?.serverTls === undefined)
  if (check === undefined || !('http' in check) || !speaksPlain || check.expect !== undefined)
    return { kind: 'tcp', ip, port: at }
  return { kind: 'http', ip, port: at, path: check.http, ...(check.host === undefined ? {} : { host: check.host }) }
}

/** Unix socket of a pool's door; a name that would make the path too long is replaced by a number that depends on it alone. */
export function doorPath({ runDir }: Pick<BalancerConfig, 'runDir'>, pool: string): string {
  const plain = `${runDir}/door.${pool}.sock`
  return Buffer.byteLength(plain) <= SOCKET_PATH_BYTES_MAX ? plain : `${runDir}/door.${fnv1a(pool).toString(36)}`
}

/** HAProxy adds a suffix of its own while it binds, so that less than the system's 108 bytes is left. */
export const SOCKET_PATH_BYTES_MAX = 96

/**
 * Checks what will stand in configuration lines.
 * @throws BalancerConfigError naming every problem by path
 */
export function assertSound(config: BalancerConfig): void {
  const problems = [
    ...Object.entries(config.pools).flatMap(([name, pool]) => poolProblems(name, pool)),
    ...Object.entries(config.frontends).flatMap(([name, frontend]) => frontendProblems(name, frontend, config)),
    ...socketProblems(config),
  ]
  if (config.maxConnections !== undefined && !isWithin(config.maxConnections, 100_000_000))
    problems.push('maxConnections: 1 to 100000000')
  if (config.stats !== undefined && !BIND.test(config.stats.bind)) problems.push('stats.bind: not an address to bind')
  if (problems.length > 0) throw new BalancerConfigError(problems.join('\n'))
}

const BIND = /^[A-Za-z0-9_.:*@[\]/,=+ -]{1,512}$/
const WORD_PATH = /^[A-Za-z0-9_.:@/,=+-]{1,255}$/
const STATUSES = /^[1-5]\d\d(?:-[1-5]\d\d)?(?:,[1-5]\d\d(?:-[1-5]\d\d)?){0,9}$/
const RETRY_WORD = /^(?:conn-failure|empty-response|junk-response|response-timeout|[45]\d\d)$/
const DAY_MS = 86_400_000

function poolProblems(name: string, pool: PoolConfig): string[] {
  const problems: string[] = []
  const at = `pools.${name}`
  if (!POOL_NAME.test(name)) problems.push(`${at}: a pool's name is 1 to 48 of A-Z a-z 0-9 _ -`)
  if (!/^[a-z0-9_() .-]{1,64}$/i.test(pool.balance ?? 'leastconn')) problems.push(`${at}.balance: not an algorithm`)
  if (!/^[A-Za-z0-9_.-]{1,128}$/.test(pool.cookieKey ?? 'x'))
    problems.push(`${at}.cookieKey: 1 to 128 of A-Z a-z 0-9 _ . -`)
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(pool.cookieName ?? 'x'))
    problems.push(`${at}.cookieName: 1 to 64 of A-Z a-z 0-9 _ -`)
  if (typeof pool.sticky === 'object' && !/^[A-Za-z0-9_-]{1,64}$/.test(pool.sticky.header))
    problems.push(`${at}.sticky.header: 1 to 64 of A-Z a-z 0-9 _ -`)
  if (pool.mode === 'tcp' && pool.sticky !== undefined && !['source', 'none'].includes(String(pool.sticky)))
    problems.push(`${at}.sticky: a TCP pool takes source`)
  if (!WORD_PATH.test(pool.serverTls?.ca ?? 'x')) problems.push(`${at}.serverTls.ca: not a path`)
  if (!(pool.retries?.on ?? []).every(word => RETRY_WORD.test(word))) problems.push(`${at}.retries.on: unknown word`)
  problems.push(...checkProblems(at, pool), ...numberProblems(at, pool))
  return problems
}

function numberProblems(at: string, pool: PoolConfig): string[] {
  const problems: string[] = []
  for (const [key, max] of [
    ['timeoutServerMs', DAY_MS],
    ['timeoutConnectMs', DAY_MS],
    ['timeoutQueueMs', DAY_MS],
    ['maxconn', 1_000_000],
    ['maxqueue', 1_000_000],
    ['slots', 10_000],
  ] as const) {
    if (!isWithin(pool[key] ?? 1, max)) problems.push(`${at}.${key}: 1 to ${max}`)
  }
  for (const [key, value, max] of [
    ['slowStartMs', pool.slowStartMs, DAY_MS],
    ['minServers', pool.minServers, 10_000],
    ['retries.attempts', pool.retries?.attempts, 10],
    ['hold.timeMs', pool.hold?.timeMs, 600_000],
  ] as const) {
    if (!isWithin((value ?? 0) + 1, max + 1)) problems.push(`${at}.${key}: 0 to ${max}`)
  }
  if (!isWithin(pool.hold?.requests ?? 1, 10_000)) problems.push(`${at}.hold.requests: 1 to 10000`)
  return problems
}

function checkProblems(at: string, { check = { tcp: true } }: PoolConfig): string[] {
  const problems: string[] = []
  if ('http' in check && !/^\/[!$-;=?-Z_a-z~&%]{0,255}$/.test(check.http)) problems.push(`${at}.check.http: not a path`)
  if ('http' in check && !/^[A-Za-z0-9.:[\]-]{1,253}$/.test(check.host ?? 'x'))
    problems.push(`${at}.check.host: not a host name`)
  if ('http' in check && !STATUSES.test(check.expect ?? '200')) problems.push(`${at}.check.expect: not statuses`)
  for (const [key, max] of [
    ['intervalMs', DAY_MS],
    ['timeoutMs', DAY_MS],
    ['fall', 100],
    ['rise', 100],
    ['port', 65_535],
  ] as const) {
    if (!isWithin(check[key] ?? 1, max)) problems.push(`${at}.check.${key}: 1 to ${max}`)
  }
  return problems
}

function isWithin(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= max
}

function frontendProblems(name: string, frontend: FrontendConfig, config: BalancerConfig): string[] {
  const problems: string[] = []
  const at = `frontends.${name}`
  const binds = [...plainBinds(frontend), ...(frontend.tls?.binds ?? [])]
  if (!POOL_NAME.test(name)) problems.push(`${at}: a frontend's name is 1 to 48 of A-Z a-z 0-9 _ -`)
  if (binds.length === 0 || binds.some(bind => !BIND.test(bind))) problems.push(`${at}.bind: not an address to bind`)
  const { tls, routes = [], mode = 'http' } = frontend
  if (tls !== undefined && (tls.certificates.length === 0 || !tls.certificates.every(path => WORD_PATH.test(path))))
    problems.push(`${at}.tls.certificates: not paths`)
  if (!routes.every(isSoundRoute)) problems.push(`${at}.routes: not a host or path`)
  for (const pool of [...(frontend.pool === undefined ? [] : [frontend.pool]), ...routes.map(route => route.pool)]) {
    if (!Object.hasOwn(config.pools, pool)) problems.push(`${at}.pool: no pool ${pool}`)
    else if ((config.pools[pool]?.mode ?? 'http') !== mode) problems.push(`${at}.mode: not that of pool ${pool}`)
  }
  if (mode === 'tcp' && (frontend.pool === undefined || routes.length > 0 || frontend.redirectToHttps === true))
    problems.push(`${at}.mode: tcp has one pool, no routes and no redirect`)
  return problems
}

const HOST = /^(?:\*\.)?[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){0,20}$/
const PREFIX = /^\/[A-Za-z0-9_.~%+:@/-]{0,250}$/

function isSoundRoute({ hosts, path }: RouteConfig): boolean {
  return (hosts.length > 0 || path !== undefined) && hosts.every(host => HOST.test(host)) && PREFIX.test(path ?? '/')
}

function socketProblems(config: BalancerConfig): string[] {
  const { admin, master } = socketPaths(config)
  const bytes = Math.max(Buffer.byteLength(admin), Buffer.byteLength(master))
  if (bytes > SOCKET_PATH_BYTES_MAX) return [`runDir: ${master} is longer than ${SOCKET_PATH_BYTES_MAX} bytes`]
  return /^[A-Za-z0-9_./@+:-]+$/.test(config.runDir) ? [] : ['runDir: only A-Z a-z 0-9 _ . / @ + : -']
}

/** HAProxy's unix sockets; `peers` only where a pool has a stick table. */
export function socketPaths({ runDir }: Pick<BalancerConfig, 'runDir'>): {
  readonly admin: string
  readonly master: string
  readonly peers: string
} {
  return {
    admin: `${runDir}/haproxy.sock`,
    master: `${runDir}/haproxy-master.sock`,
    peers: `${runDir}/haproxy-peers.sock`,
  }
}

/** What stands after `bind`, line by line. */
export function bindsOf(frontend: FrontendConfig): readonly string[] {
  const { tls, acceptProxy = false } = frontend
  const proxy = acceptProxy ? ' accept-proxy' : ''
  const alpn = frontend.mode === 'tcp' ? '' : ' alpn h2,http/1.1'
  const crt = (tls?.certificates ?? []).map(path => ` crt ${path}`).join('')
  const secure = ` ssl${crt}${alpn} ssl-min-ver TLSv${tls?.minVersion ?? '1.2'}`
  return [
    ...plainBinds(frontend).map(bind => `${bind}${proxy}`),
    ...(tls?.binds ?? []).map(bind => `${withParameters(bind, secure)}${proxy}`),
  ]
}

/** What somebody wrote behind the address stands last, and so outweighs what is given with it. */
function withParameters(bind: string, parameters: string): string {
  const [address = '', ...own] = bind.split(' ')
  return [`${address}${parameters}`, ...own].join(' ')
}

function plainBinds({ bind }: FrontendConfig): readonly string[] {
  return typeof bind === 'string' ? [bind] : bind
}
