import type { Findings } from './findings.ts'
import { nearest } from './nearest.ts'
import type { FileSettings } from './schema.ts'
import type { CheckSettings, PoolSettings, RetrySettings, StickySettings } from './types.ts'

type GivenPool = NonNullable<NonNullable<FileSettings['balancer']>['pools']>[string]

/** TCP: connections of databases or mail may well be silent for long. */
const SERVER_MS = { http: 30_000, tcp: 3_600_000 } as const
const HOLD_MS = 10_000
const HOLD_MS_MAX = 600_000
/** The door's own answer must come before HAProxy gives up waiting for it. */
const HOLD_SPARE_MS = 500

export function checkPoolNamed(path: string, pool: string, pools: readonly string[], findings: Findings): void {
  if (pools.includes(pool)) return
  const meant = nearest(pool, pools)
  const hint = meant === undefined ? '' : `; did you mean "${meant}"?`
  findings.problem(path, `${path}: there is no pool "${pool}"${hint}`)
}

/** A pool with its defaults; what contradicts itself becomes a finding. @param fileAt makes a path absolute */
export function poolOf(
  name: string,
  given: GivenPool,
  mode: 'http' | 'tcp',
  findings: Findings,
  fileAt: (path: string) => string,
): PoolSettings {
  const at = `balancer.pools.${name}`
  const problem = (key: string, sentence: string) => findings.problem(`${at}.${key}`, `${at}.${key}: ${sentence}`)
  if (mode === 'tcp') checkTcp(given, problem)
  const sticky = given.sticky === undefined ? undefined : stickyOf(name, given.sticky, problem)
  const serverTimeoutMs = given.timeouts?.server ?? SERVER_MS[mode]
  return {
    name,
    mode,
    port: given.port ?? 3000,
    balance: given.balance ?? 'leastconn',
    check: checkOf(given, problem),
    ...(sticky === undefined ? {} : { sticky }),
    ...(given.send_proxy === undefined ? {} : { sendProxy: given.send_proxy }),
    ...serverTlsOf(given, problem, fileAt),
    retries: retriesOf(given),
    hold: mode === 'tcp' ? { timeMs: 0, requests: 1000 } : holdOf(given, serverTimeoutMs, problem),
    slowStartMs: given.slow_start ?? 0,
    minServers: given.min_servers ?? 1,
    outliers: given.outliers ?? true,
    connectTimeoutMs: given.timeouts?.connect ?? 250,
    serverTimeoutMs,
    queueTimeoutMs: given.timeouts?.queue ?? 5000,
    ...(given.max_connections === undefined ? {} : { maxConnections: given.max_connections }),
    ...(given.max_queue === undefined ? {} : { maxQueue: given.max_queue }),
    ...(given.slots === undefined ? {} : { slots: given.slots }),
  }
}

type Complain = (key: string, sentence: string) => void

/** What only means something where HAProxy reads requests. */
function checkTcp(given: GivenPool, problem: Complain): void {
  if (given.sticky !== undefined && given.sticky.source === undefined) problem('sticky', 'mode tcp takes source only')
  if ((given.hold?.time ?? 0) > 0) problem('hold', 'mode tcp has no requests that could wait')
  if (given.retries?.on !== undefined) problem('retries.on', 'mode tcp repeats connections only')
  if (given.retries?.unsafe === true) problem('retries.unsafe', 'mode tcp repeats connections only')
  if (/^(?:uri|url_param|hdr)/.test(given.balance ?? '')) problem('balance', 'mode tcp cannot see requests')
}

function checkOf({ check = {} }: GivenPool, problem: Complain): CheckSettings {
  if (check.tcp !== undefined && check.http !== undefined) problem('check', '"tcp" and "http" exclude each other')
  if (check.http === undefined && check.host !== undefined) problem('check.host', 'is for a check with "http"')
  if (check.http === undefined && check.expect !== undefined) problem('check.expect', 'is for a check with "http"')
  const pace = {
    intervalMs: check.interval ?? 1000,
    timeoutMs: check.timeout ?? 500,
    fall: check.fall ?? 2,
    rise: check.rise ?? 1,
    ...(check.port === undefined ? {} : { port: check.port }),
  }
  if (pace.intervalMs === 0) problem('check.interval', 'must be longer than 0')
  if (pace.timeoutMs === 0) problem('check.timeout', 'must be longer than 0')
  if (check.http === undefined) return { kind: 'tcp', ...pace }
  return {
    kind: 'http',
    path: check.http,
    ...(check.host === undefined ? {} : { host: check.host }),
    ...(check.expect === undefined ? {} : { expect: check.expect }),
    ...pace,
  }
}

function stickyOf(name: string, given: NonNullable<GivenPool['sticky']>, problem: Complain): StickySettings {
  if (given.source !== undefined) return { kind: 'source' }
  if (given.header === undefined) return { kind: 'cookie', cookie: given.cookie ?? 'SRV', key: given.key ?? name }
  if (given.cookie !== undefined || given.key !== undefined)
    problem('sticky', '"header" and "cookie" exclude each other')
  return { kind: 'header', header: given.header }
}

function serverTlsOf(
  { server_tls: given }: GivenPool,
  problem: Complain,
  fileAt: (path: string) => string,
): Pick<PoolSettings, 'serverTls'> {
  if (given === undefined) return {}
  const { verify, ca } = given
  if (verify === 'none' && ca !== undefined) problem('server_tls.ca', 'means nothing with "verify: none"')
  if (verify === 'none') return { serverTls: { verify } }
  return { serverTls: { verify, ca: ca === undefined || ca.startsWith('@') ? '@system-ca' : fileAt(ca) } }
}

function retriesOf({ retries = {} }: GivenPool): RetrySettings {
  const others = retries.on ?? ['empty-response', 'junk-response', 'response-timeout']
  return {
    attempts: retries.attempts ?? 3,
    on: [...new Set(['conn-failure', ...others])],
    unsafe: retries.unsafe ?? false,
  }
}

function holdOf({ hold = {} }: GivenPool, serverTimeoutMs: number, problem: Complain): PoolSettings['hold'] {
  const longestMs = Math.max(0, Math.min(HOLD_MS_MAX, serverTimeoutMs - HOLD_SPARE_MS))
  const timeMs = hold.time ?? Math.min(HOLD_MS, longestMs)
  if (timeMs > longestMs)
    problem('hold.time', `must be at least ${HOLD_SPARE_MS} ms below timeouts.server, and at most 10m`)
  return { timeMs, requests: hold.requests ?? 1000 }
}
