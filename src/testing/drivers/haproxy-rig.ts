import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, createServer, request, type Server as HttpServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Log, silentLog, systemClock, systemRandom } from '../../base/index.ts'
import {
  type Balancer,
  type BalancerConfig,
  type BalancerDeps,
  type Server,
  spawnSupervise,
  startBalancer,
} from '../../balancer/index.ts'

/** Only for tests: a balancer on the real HAProxy, and web servers behind it, on loopback. */
export const endings: (() => Promise<unknown>)[] = []

/** Ends what a test has started, last first. */
export async function endAll(): Promise<void> {
  for (const ending of endings.splice(0).reverse()) await ending()
}

/** Test processes that run side by side have ports of their own, below those that the system gives out. */
let nextPort = 20_000 + (Number(process.env['VITEST_POOL_ID'] ?? 0) % 4) * 3_000 + (process.pid % 50) * 40

/** One that nobody else in this run has. */
export function freshPort(): number {
  return nextPort++
}

export interface Rig {
  readonly config: BalancerConfig
  readonly port: number
  readonly supervise: ReturnType<typeof spawnSupervise>
  readonly start: () => Promise<Balancer>
}

export async function rig(
  more: Partial<BalancerConfig> = {},
  {
    log = silentLog,
    port = freshPort(),
    ...hands
  }: { readonly log?: Log; readonly port?: number } & Pick<BalancerDeps, 'makeControl'> = {},
): Promise<Rig> {
  const dir = await mkdtemp(join(tmpdir(), 'mb-'))
  const supervise = spawnSupervise(silentLog)
  endings.push(
    () => rm(dir, { recursive: true }),
    () => supervise.stop(),
  )
  const config: BalancerConfig = {
    template: 'slots',
    configPath: join(dir, 'haproxy.cfg'),
    runDir: dir,
    frontends: { www: { bind: `127.0.21.1:${port}`, pool: 'web' } },
    pools: { web: {} },
    node: { name: 'lb-1', ip: '127.0.21.1' },
    ...more,
  }
  const start = async (): Promise<Balancer> => {
    const deps = { clock: systemClock, random: systemRandom, log, supervise, ...hands }
    const balancer = await startBalancer(config, deps)
    endings.push(() => balancer.stop({ keepHaproxy: true }))
    return balancer
  }
  return { config, port, supervise, start }
}

/** A web server that answers its own name. */
export async function web(ip: string, port = freshPort()): Promise<{ server: Server; http: HttpServer }> {
  const http = createServer((_, answer) => answer.end(ip))
  await new Promise<void>(resolve => http.listen(port, ip, resolve))
  endings.push(async () => {
    http.closeAllConnections()
    http.close()
  })
  const name = `web-${ip.replaceAll('.', '-')}`
  return { server: { pool: 'web', name, host: name, ip, port, weight: 1, state: 'ready', liveness: 'alive' }, http }
}

export function get(port: number, method = 'GET'): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.21.1', port, method, agent: new Agent({ keepAlive: false }) }, answer => {
      let body = ''
      answer.on('data', chunk => (body += chunk))
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }))
    })
    asked.on('error', reject)
    asked.end()
  })
}

export async function until(what: () => boolean | Promise<boolean>, withinMs = 5_000): Promise<number> {
  const startMs = performance.now()
  while (!(await what())) {
    if (performance.now() - startMs > withinMs) throw new Error(`not within ${withinMs} ms`)
    await new Promise(resolve => setImmediate(resolve))
  }
  return performance.now() - startMs
}
