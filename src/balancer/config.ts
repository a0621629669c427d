import { BalancerConfigError } from './errors.ts'
import { POOL_NAME } from './server.ts'

/** Where clients come in. */
export interface FrontendConfig {
  /** As after HAProxy's `bind`: `:80`, `10.0.0.1:443 ssl crt /etc/ssl/site.pem`. Each of several has a line of its own, and its own parameters. */
  readonly bind: string | readonly string[]
  readonly pool: string
}

interface CheckPace {
  /** Pause between two checks of a server that is up, ms; 1000 by default. Changes are looked into at a quicker pace. */
  readonly intervalMs?: number
}

export interface PoolConfig {
  /** HAProxy's algorithm; `leastconn` by default, since a hung server attracts fewest requests with it. */
  readonly balance?: string
  /** TCP by default: nobody said that the application answers a path. */
  readonly check?: ({ readonly http: string; readonly host?: string } | { readonly tcp: true }) & CheckPace
  /** `cookie`: a dynamic one, its value the same on every balancer and after a reload. */
  readonly sticky?: 'cookie' | 'none'
  /** The cookie's name; `SRV` by default. */
  readonly cookieName?: string
  /** The dynamic cookie's key; the pool's name by default. */
  readonly cookieKey?: string
  /** Silence of a server that is taken for a hang, ms; 30 000 by default (5 s would cut event streams). */
  readonly timeoutServerMs?: number
  /** To reach a server, ms; 250 by default. */
  readonly timeoutConnectMs?: number
  /** How long a request waits for a free server, ms; 5000 by default. */
  readonly timeoutQueueMs?: number
  /** Concurrent requests per server; none by default. */
  readonly maxconn?: number
  /** Fewest slots of the `slots` template; 20 by default. */
  readonly slots?: number
}

export interface BalancerConfig {
  readonly template: 'slots' | 'named' | { readonly path: string }
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

function poolProblems(name: string, pool: PoolConfig): string[] {
  const problems: string[] = []
  const at = `pools.${name}`
  if (!POOL_NAME.test(name)) problems.push(`${at}: a pool's name is 1 to 48 of A-Z a-z 0-9 _ -`)
  if (!/^[a-z0-9_() .-]{1,64}$/i.test(pool.balance ?? 'leastconn')) problems.push(`${at}.balance: not an algorithm`)
  if (!/^[A-Za-z0-9_.-]{1,128}$/.test(pool.cookieKey ?? 'x'))
    problems.push(`${at}.cookieKey: 1 to 128 of A-Z a-z 0-9 _ . -`)
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(pool.cookieName ?? 'x'))
    problems.push(`${at}.cookieName: 1 to 64 of A-Z a-z 0-9 _ -`)
  problems.push(...checkProblems(at, pool))
  for (const [key, max] of [
    ['timeoutServerMs', 86_400_000],
    ['timeoutConnectMs', 86_400_000],
    ['timeoutQueueMs', 86_400_000],
    ['maxconn', 1_000_000],
    ['slots', 10_000],
  ] as const) {
    if (!isWithin(pool[key] ?? 1, max)) problems.push(`${at}.${key}: 1 to ${max}`)
  }
  return problems
}

function checkProblems(at: string, { check = { tcp: true } }: PoolConfig): string[] {
  const problems: string[] = []
  if ('http' in check && !/^\/[!$-;=?-Z_a-z~&%]{0,255}$/.test(check.http)) problems.push(`${at}.check.http: not a path`)
  if ('http' in check && !/^[A-Za-z0-9.:[\]-]{1,253}$/.test(check.host ?? 'x'))
    problems.push(`${at}.check.host: not a host name`)
  if (!isWithin(check.intervalMs ?? 1, 86_400_000)) problems.push(`${at}.check.intervalMs: 1 to 86400000`)
  return problems
}

function isWithin(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= max
}

function frontendProblems(name: string, frontend: FrontendConfig, config: BalancerConfig): string[] {
  const problems: string[] = []
  if (!POOL_NAME.test(name)) problems.push(`frontends.${name}: a frontend's name is 1 to 48 of A-Z a-z 0-9 _ -`)
  if (bindsOf(frontend).length === 0 || bindsOf(frontend).some(bind => !BIND.test(bind)))
    problems.push(`frontends.${name}.bind: not an address to bind`)
  if (!Object.hasOwn(config.pools, frontend.pool)) problems.push(`frontends.${name}.pool: no pool ${frontend.pool}`)
  return problems
}

function socketProblems(config: BalancerConfig): string[] {
  const { admin, master } = socketPaths(config)
  const bytes = Math.max(Buffer.byteLength(admin), Buffer.byteLength(master))
  if (bytes > SOCKET_PATH_BYTES_MAX) return [`runDir: ${master} is longer than ${SOCKET_PATH_BYTES_MAX} bytes`]
  return /^[A-Za-z0-9_./@+:-]+$/.test(config.runDir) ? [] : ['runDir: only A-Z a-z 0-9 _ . / @ + : -']
}

/** The two unix sockets of HAProxy. */
export function socketPaths(config: BalancerConfig): { readonly admin: string; readonly master: string } {
  return { admin: `${config.runDir}/haproxy.sock`, master: `${config.runDir}/haproxy-master.sock` }
}

/** What stands after `bind`, line by line. */
export function bindsOf({ bind }: FrontendConfig): readonly string[] {
  return typeof bind === 'string' ? [bind] : bind
}
