import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Server as HttpServer } from 'node:http'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { silentLog, systemClock, systemRandom } from '../base/index.ts'
import { type Balancer, type BalancerConfig, type Server, spawnSupervise, startBalancer } from './index.ts'

const endings: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const ending of endings.splice(0).reverse()) await ending()
})

let nextPort = 21_000 + (process.pid % 500) * 8

interface Rig {
  readonly config: BalancerConfig
  readonly port: number
  readonly supervise: ReturnType<typeof spawnSupervise>
  start(): Promise<Balancer>
}

async function rig(more: Partial<BalancerConfig> = {}): Promise<Rig> {
  const dir = await mkdtemp(join(tmpdir(), 'mb-'))
  const port = nextPort++
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
    const deps = { clock: systemClock, random: systemRandom, log: silentLog, supervise }
    const balancer = await startBalancer(config, deps)
    endings.push(() => balancer.stop({ keepHaproxy: true }))
    return balancer
  }
  return { config, port, supervise, start }
}

/** A web server that answers its own name. */
async function web(ip: string): Promise<{ server: Server; http: HttpServer }> {
  const http = createServer((_, answer) => answer.end(ip))
  const port = nextPort++
  await new Promise<void>(resolve => http.listen(port, ip, resolve))
  endings.push(async () => {
    http.closeAllConnections()
    http.close()
  })
  const name = `web-${ip.replaceAll('.', '-')}`
  return { server: { pool: 'web', name, host: name, ip, port, weight: 1, state: 'ready', liveness: 'alive' }, http }
}

function get(port: number, method = 'GET'): Promise<{ status: number; body: string }> {
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

async function until(what: () => boolean | Promise<boolean>, withinMs = 5_000): Promise<number> {
  const startMs = performance.now()
  while (!(await what())) {
    if (performance.now() - startMs > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`)
    await new Promise(resolve => setImmediate(resolve))
  }
  return performance.now() - startMs
}

test('a ready server comes into traffic and goes out again without a reload', async () => {
  const { start, port, config } = await rig()
  const balancer = await start()
  await balancer.settle()
  const a = await web('127.0.21.2')
  const b = await web('127.0.21.3')
  balancer.wanted([a.server])
  const inMs = await until(async () => (await get(port)).status === 200)
  balancer.wanted([a.server, b.server])
  const secondMs = await until(() => balancer.status().pools[0]?.servers.filter(s => s.state === 'ready').length === 2)
  const bodies = new Set<string>()
  for (let i = 0; i < 8; i++) bodies.add((await get(port, i % 2 ? 'POST' : 'GET')).body)
  expect([...bodies].sort()).toEqual(['127.0.21.2', '127.0.21.3'])
  expect(await readFile(config.configPath, 'utf8')).toContain(
    `127.0.21.3:${b.server.port} id 102 check weight 1 # ${b.server.name}`,
  )
  balancer.wanted([a.server, { ...b.server, liveness: 'withdrawn' }])
  const outMs = await until(() => balancer.status().pools[0]?.servers.length === 1)
  await balancer.settle()
  console.log({ inMs, secondMs, outMs })
  for (let i = 0; i < 6; i++) expect((await get(port)).body).toBe('127.0.21.2')
  expect(balancer.status()).toMatchObject({ reloads: 0, problem: undefined, missingRetries: [] })
})
