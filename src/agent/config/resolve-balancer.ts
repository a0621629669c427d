import type { Findings } from './findings.ts'
import { checkPoolNamed, poolOf } from './resolve-pool.ts'
import type { FileSettings } from './schema.ts'
import type { BalancerSettings, FrontendSettings, TlsSettings } from './types.ts'

type Given = NonNullable<FileSettings['balancer']>
type GivenFrontend = NonNullable<Given['frontends']>[string]
type Mode = 'http' | 'tcp'

/** The pool of plain members that name none, when the file names no pool at all. */
const DEFAULT_POOL = 'web'
const HOUR_MS = 3_600_000

/** @param fileAt makes a path absolute */
export function resolveBalancer(
  given: Given | undefined,
  stateDir: string,
  findings: Findings,
  fileAt: (path: string) => string,
): BalancerSettings | undefined {
  if (given === undefined) return undefined
  const modes = modesOf(given)
  const frontends = frontendsOf(given, modes, findings, fileAt)
  const names = new Set([...Object.keys(given.pools ?? {}), ...frontends.flatMap(poolsOf)])
  const plainPool = given.plain_pool ?? (names.has(DEFAULT_POOL) ? DEFAULT_POOL : ([...names][0] ?? DEFAULT_POOL))
  checkPoolNamed('balancer.plain_pool', plainPool, [...names], findings)
  const mode = (name: string) => modes.get(name) ?? 'http'
  return {
    template: given.template ?? 'slots',
    ...(given.haproxy === undefined ? {} : { haproxy: given.haproxy }),
    configPath: given.config ?? `${stateDir}/haproxy.cfg`,
    stats: given.stats === false ? undefined : (given.stats ?? { ip: '127.0.0.1', port: 1936 }),
    ...(given.max_connections === undefined ? {} : { maxConnections: given.max_connections }),
    frontends,
    pools: [...names].map(name => poolOf(name, given.pools?.[name] ?? {}, mode(name), findings, fileAt)),
    plainPool,
    data: given.data ?? {},
    oldWorkers: { max: given.old_workers?.max ?? 8, maxAgeMs: given.old_workers?.max_age ?? HOUR_MS },
    watch: given.watch ?? false,
    drift: given.drift ?? 'restore',
  }
}

/** A pool's own word counts, else that of the first frontend which leads to it. */
function modesOf(given: Given): Map<string, Mode> {
  const modes = new Map<string, Mode>()
  for (const [name, pool] of Object.entries(given.pools ?? {})) if (pool.mode !== undefined) modes.set(name, pool.mode)
  for (const frontend of Object.values(given.frontends ?? {}))
    for (const pool of poolsOf({ ...frontend, routes: frontend.routes ?? [] }))
      if (frontend.mode !== undefined && !modes.has(pool)) modes.set(pool, frontend.mode)
  return modes
}

function poolsOf(frontend: {
  readonly pool?: string | undefined
  readonly routes: readonly { readonly pool: string }[]
}): string[] {
  return [...(frontend.pool === undefined ? [] : [frontend.pool]), ...frontend.routes.map(route => route.pool)]
}

function frontendsOf(
  given: Given,
  modes: ReadonlyMap<string, Mode>,
  findings: Findings,
  fileAt: (path: string) => string,
): FrontendSettings[] {
  const pools = Object.keys(given.pools ?? {})
  const plain = { routes: [], mode: modes.get(pools[0] ?? '') ?? 'http', redirectToHttps: false, acceptProxy: false }
  if (given.frontends === undefined) return [{ ...plain, name: 'http', binds: [':80'], pool: pools[0] ?? DEFAULT_POOL }]
  const takenBy = new Map<string, string>()
  return Object.entries(given.frontends).map(([name, asked]) => {
    const path = `balancer.frontends.${name}`
    const frontend = frontendOf(name, asked, modes, fileAt)
    checkFrontend(path, asked, frontend, findings)
    if (given.pools !== undefined) checkPools(path, frontend, pools, findings)
    checkModes(path, frontend, modes, findings)
    for (const [key, bind] of [...frontend.binds.map(one => ['bind', one]), ...tlsBinds(frontend)] as [
      string,
      string,
    ][]) {
      const address = bind.split(' ')[0] as string
      const other = takenBy.get(address)
      if (other !== undefined)
        findings.problem(`${path}.${key}`, `${path}.${key}: ${address} is taken by frontends.${other}`)
      takenBy.set(address, name)
    }
    return frontend
  })
}

function frontendOf(
  name: string,
  given: GivenFrontend,
  modes: ReadonlyMap<string, Mode>,
  fileAt: (path: string) => string,
): FrontendSettings {
  const routes = (given.routes ?? []).map(({ host = [], path, pool }) => {
    const prefix = path?.replace(/\/+$/, '')
    const hosts = host.map(one => one.toLowerCase())
    return { hosts, pool, ...(prefix === undefined || prefix === '' ? {} : { path: prefix }) }
  })
  const first = given.pool ?? routes[0]?.pool ?? ''
  return {
    name,
    binds: given.bind ?? [],
    ...(given.pool === undefined ? {} : { pool: given.pool }),
    routes,
    mode: given.mode ?? modes.get(first) ?? 'http',
    ...(given.tls === undefined ? {} : { tls: tlsOf(given.tls, fileAt) }),
    redirectToHttps: given.redirect_to_https ?? false,
    acceptProxy: given.accept_proxy ?? false,
  }
}

function tlsOf(given: NonNullable<GivenFrontend['tls']>, fileAt: (path: string) => string): TlsSettings {
  return { binds: given.bind, certificates: given.certificates.map(fileAt), minVersion: given.min_version ?? '1.2' }
}

function tlsBinds({ tls }: FrontendSettings): [string, string][] {
  return (tls?.binds ?? []).map(bind => ['tls.bind', bind])
}

function checkFrontend(path: string, given: GivenFrontend, frontend: FrontendSettings, findings: Findings): void {
  const problem = (key: string, sentence: string) => findings.problem(`${path}${key}`, `${path}${key}: ${sentence}`)
  if (frontend.binds.length + tlsBinds(frontend).length === 0)
    problem('.bind', 'is needed, such as ":80", unless "tls" has one')
  if (frontend.tls?.certificates.length === 0) problem('.tls.certificates', 'at least one is needed')
  if (frontend.pool === undefined && frontend.routes.length === 0) problem('.pool', 'is needed, or "routes"')
  if (frontend.redirectToHttps && frontend.tls === undefined)
    problem('.redirect_to_https', 'there is no "tls" in this frontend to redirect to')
  if (frontend.redirectToHttps && frontend.binds.length === 0)
    problem('.redirect_to_https', 'there is no "bind" without TLS to redirect from')
  given.routes?.forEach((route, at) => {
    if (route.host === undefined && route.path === undefined) problem(`.routes.${at}`, 'takes a host, a path or both')
  })
  if (frontend.mode === 'http') return
  if (frontend.pool === undefined) problem('.pool', 'is needed in mode tcp')
  if (frontend.routes.length > 0) problem('.routes', 'mode tcp has neither hosts nor paths')
  if (frontend.redirectToHttps) problem('.redirect_to_https', 'mode tcp cannot redirect')
}

function checkPools(path: string, frontend: FrontendSettings, pools: readonly string[], findings: Findings): void {
  if (frontend.pool !== undefined) checkPoolNamed(`${path}.pool`, frontend.pool, pools, findings)
  frontend.routes.forEach(({ pool }, at) => checkPoolNamed(`${path}.routes.${at}.pool`, pool, pools, findings))
}

function checkModes(
  path: string,
  frontend: FrontendSettings,
  modes: ReadonlyMap<string, Mode>,
  findings: Findings,
): void {
  for (const pool of new Set(poolsOf(frontend))) {
    const mode = modes.get(pool) ?? 'http'
    if (mode !== frontend.mode)
      findings.problem(`${path}.mode`, `${path}.mode: ${frontend.mode}, but pool "${pool}" has mode ${mode}`)
  }
}
