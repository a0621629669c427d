import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { createServer as createHttps, request as httpsRequest } from 'node:https'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../base/index.ts'
import { openRuntimeSession } from '../drivers/runtime-socket.ts'
import type { Balancer, FrontendConfig, PoolConfig, Server } from '../index.ts'
import { endAll, endings, freshPort, rig, until, web } from '../../testing/index.ts'

afterEach(endAll)

const SITE = '127.0.182.1'

interface Asked {
  readonly host?: string
  readonly path?: string
  readonly method?: string
  readonly headers?: Record<string, string>
}

/** One request on a connection of its own. */
function ask(port: number, { host = SITE, path = '/', method = 'GET', headers = {} }: Asked = {}): Promise<Answer> {
  return answerTo(then =>
    httpRequest({ host: SITE, port, path, method, agent: false, headers: { host, ...headers } }, then),
  )
}

interface Answer {
  readonly status: number
  readonly body: string
  readonly headers: IncomingMessage['headers']
}

function answerTo(send: (then: (answer: IncomingMessage) => void) => ReturnType<typeof httpRequest>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = send(answer => {
      let body = ''
      answer.on('data', chunk => (body += chunk))
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body, headers: answer.headers }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

/** A balancer with these frontends and pools, and one server per entry. */
async function site(o: {
  readonly frontends: Record<string, FrontendConfig>
  readonly pools: Record<string, PoolConfig>
  readonly servers: readonly Server[]
}): Promise<{ balancer: Balancer; configPath: string }> {
  const { start, config } = await rig({ frontends: o.frontends, pools: o.pools, node: { name: 'lb', ip: SITE } })
  const balancer = await start()
  balancer.wanted(o.servers)
  await untilReady(balancer, o.servers.length)
  return { balancer, configPath: config.configPath }
}

async function untilReady(balancer: Balancer, count: number): Promise<void> {
  await until(() => readyServers(balancer) === count)
  await balancer.settle()
}

function readyServers(balancer: Balancer): number {
  return balancer
    .status()
    .pools.flatMap(pool => pool.servers)
    .filter(server => server.state === 'ready').length
}

async function serverIn(pool: string, ip: string): Promise<Server> {
  const { server } = await web(ip)
  return { ...server, pool }
}

test('hosts and paths choose the pool: the first route that fits, whatever the case and port; none: 503', async () => {
  const [api, shop, rest] = await Promise.all([
    serverIn('api', '127.0.182.11'),
    serverIn('shop', '127.0.182.12'),
    serverIn('rest', '127.0.182.13'),
  ])
  const [port, bare] = [freshPort(), freshPort()]
  const routes = [
    { hosts: ['www.example.org', '*.example.net'], path: '/api', pool: 'api' },
    { hosts: ['*.example.org'], pool: 'shop' },
  ]
  const www = { bind: `${SITE}:${port}`, routes, pool: 'rest' }
  const { balancer } = await site({
    frontends: { www, bare: { bind: `${SITE}:${bare}`, routes } },
    pools: { api: {}, shop: {}, rest: {} },
    servers: [api, shop, rest],
  })
  const who = async (host: string, path: string, method = 'GET') => (await ask(port, { host, path, method })).body
  expect(await who('www.example.org', '/api')).toBe(api.ip)
  expect(await who('WWW.Example.ORG:8080', '/api/x?y=/z', 'POST')).toBe(api.ip)
  expect(await who('a.b.example.net', '/api/', 'DELETE')).toBe(api.ip)
  expect(await who('www.example.org', '/apis')).toBe(shop.ip)
  expect(await who('www.example.org', '/x?/api')).toBe(shop.ip)
  expect(await who('example.org', '/')).toBe(rest.ip)
  expect(await who('badexample.org', '/api', 'POST')).toBe(rest.ip)
  expect((await ask(bare, { host: 'example.org' })).status).toBe(503)
  expect(balancer.status()).toMatchObject({ reloads: 0, problem: undefined, missingRetries: [] })
})

function certificateFor(name: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'crt-'))
  endings.push(async () => rmSync(directory, { recursive: true }))
  const [key, crt, both] = ['key', 'crt', 'both.pem'].map(file => join(directory, file)) as [string, string, string]
  const make = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    `/CN=${name}`,
  ]
  execFileSync(
    'openssl',
    [...make, '-addext', `subjectAltName=DNS:${name}`, '-keyout', key, '-out', crt, '-days', '2'],
    {
      stdio: 'ignore',
    },
  )
  writeFileSync(both, readFileSync(crt, 'utf8') + readFileSync(key, 'utf8'))
  return both
}

test('TLS with two certificates by name; what comes without is sent there, to the same place', async () => {
  const server = await serverIn('web', '127.0.182.14')
  const [port, secure] = [freshPort(), freshPort()]
  const certificates = [certificateFor('a.example.org'), certificateFor('b.example.org')]
  const tls = { binds: [`${SITE}:${secure}`], certificates, minVersion: '1.3' as const }
  await site({
    frontends: { www: { bind: `${SITE}:${port}`, pool: 'web', tls, redirectToHttps: true } },
    pools: { web: {} },
    servers: [server],
  })
  const redirected = await ask(port, { host: `b.example.org:${port}`, path: '/x?y=1', method: 'POST' })
  expect(redirected).toMatchObject({ status: 308, headers: { location: `https://b.example.org:${secure}/x?y=1` } })
  for (const name of ['a.example.org', 'b.example.org']) {
    let shown: unknown
    const answer = await answerTo(then =>
      httpsRequest(
        {
          host: SITE,
          port: secure,
          servername: name,
          agent: false,
          rejectUnauthorized: false,
          headers: { host: name },
        },
        then,
      ).on('socket', socket => {
        const secured = socket as Socket & { getPeerCertificate(): { subject: { CN: string } } }
        secured.on('secureConnect', () => (shown = secured.getPeerCertificate().subject.CN))
      }),
    )
    expect([answer.status, answer.body, shown]).toEqual([200, server.ip, name])
  }
})

test('a TCP pool passes bytes on, and tells servers by the PROXY protocol who the client is', async () => {
  const backend = createServer(socket => {
    socket.once('data', first => socket.end(`heard ${first.toString('latin1')}`))
    socket.on('error', () => undefined)
  })
  const [port, own] = [freshPort(), freshPort()]
  await new Promise<void>(listening => backend.listen(own, '127.0.182.15', listening))
  endings.push(async () => void backend.close())
  const pg: Server = {
    ...{ pool: 'pg', name: 'pg-1', host: 'pg-1', ip: '127.0.182.15', port: own, weight: 1 },
    ...{ state: 'ready', liveness: 'alive' },
  }
  const { configPath } = await site({
    frontends: { pg: { bind: `${SITE}:${port}`, pool: 'pg', mode: 'tcp', acceptProxy: true } },
    pools: { pg: { mode: 'tcp', sendProxy: 'v1', sticky: 'source' } },
    servers: [pg],
  })
  const text = readFileSync(configPath, 'utf8')
  expect(text).not.toContain('pg.unsafe')
  expect(text).not.toContain('server door')
  const heard = await new Promise<string>((resolve, reject) => {
    const socket = connect(port, SITE, () => socket.write('PROXY TCP4 203.0.113.9 203.0.113.1 5555 80\r\nhello'))
    let all = ''
    socket.on('data', chunk => (all += chunk.toString('latin1')))
    socket.on('end', () => resolve(all))
    socket.on('error', reject)
  })
  expect(heard).toBe('heard PROXY TCP4 203.0.113.9 203.0.113.1 5555 80\r\nhello')
})

test('TLS to servers, and only to those whose certificate is signed by who may', async () => {
  const [own, foreign] = [certificateFor('web.internal'), certificateFor('web.internal')]
  const pem = readFileSync(own)
  const http = createHttps({ cert: pem, key: pem }, (asked, answer) =>
    answer.end(String(asked.headers['x-forwarded-for'])),
  )
  const port = freshPort()
  await new Promise<void>(listening => http.listen(port, '127.0.182.24', listening))
  endings.push(async () => {
    http.closeAllConnections()
    http.close()
  })
  const member = { name: 'web-1', host: 'web-1', ip: '127.0.182.24', port, weight: 1 } as const
  const server = (pool: string): Server => ({ ...member, pool, state: 'ready', liveness: 'alive' })
  const [good, bad] = [freshPort(), freshPort()]
  const poolOf = (ca: string): PoolConfig => ({ serverTls: { verify: 'required', ca }, hold: { timeMs: 0 } })
  await site({
    frontends: { good: { bind: `${SITE}:${good}`, pool: 'a' }, bad: { bind: `${SITE}:${bad}`, pool: 'b' } },
    pools: { a: poolOf(own), b: poolOf(foreign) },
    servers: [server('a'), server('b')],
  })
  expect(await ask(good)).toMatchObject({ status: 200, body: '127.0.0.1' })
  expect(await ask(bad)).toMatchObject({ status: 503 })
})

test('two balancers with the same servers in another order and in other slots give each the same cookie', async () => {
  const servers = await Promise.all([16, 17, 18].map(last => serverIn('web', `127.0.182.${last}`)))
  const cookiesOf = async (order: readonly Server[]) => {
    const port = freshPort()
    const frontends = { www: { bind: `${SITE}:${port}`, pool: 'web' } }
    const { start } = await rig({
      frontends,
      pools: { web: { sticky: 'cookie', cookieKey: 'k', balance: 'roundrobin' } },
    })
    const balancer = await start()
    for (const [at] of order.entries()) {
      balancer.wanted(order.slice(0, at + 1)) // one after the other: the first comes into the first slot
      await untilReady(balancer, at + 1)
    }
    const cookies = new Map<string, string>()
    for (let nth = 0; nth < 9; nth++) {
      const { body, headers } = await ask(port)
      cookies.set(body, headers['set-cookie']?.[0] ?? '')
    }
    const slots = balancer.status().pools[0]?.servers.map(server => `${server.slot} ${server.ip}`)
    return { cookies: Object.fromEntries(cookies), slots: slots?.toSorted(), port }
  }
  const one = await cookiesOf(servers)
  const other = await cookiesOf(servers.toReversed())
  expect(Object.keys(one.cookies)).toHaveLength(3)
  expect(other.cookies).toEqual(one.cookies)
  expect(other.slots).not.toEqual(one.slots)
  for (const [ip, cookie] of Object.entries(one.cookies)) {
    const headers = { cookie: cookie.split(';')[0] as string }
    expect((await ask(other.port, { headers })).body).toBe(ip)
    expect((await ask(other.port, { headers, method: 'POST' })).body).toBe(ip)
  }
})

/** How many users the worker in charge has in the table of pool `web`. */
async function remembered(runDir: string): Promise<number> {
  const session = await openRuntimeSession(join(runDir, 'haproxy.sock'), { timeoutMs: 2_000, clock: systemClock })
  const table = await session.command('show table web')
  session.close()
  return Number(/used:(\d+)/.exec(table)?.[1])
}

test('who sends the same header stays on a server, with every method, through joins and a reload', async () => {
  const servers = await Promise.all([19, 20, 21].map(last => serverIn('web', `127.0.182.${last}`)))
  const port = freshPort()
  const frontends = { www: { bind: `${SITE}:${port}`, pool: 'web' } }
  const pools = { web: { sticky: { header: 'X-User' }, balance: 'roundrobin' } }
  const { start, config } = await rig({ frontends, pools })
  const balancer = await start()
  balancer.wanted(servers.slice(0, 2))
  await untilReady(balancer, 2)
  const users = Array.from({ length: 12 }, (_, nth) => `user-${nth}`)
  const placeOf = (user: string, method = 'GET') => ask(port, { method, headers: { 'x-user': user } })
  const before = await Promise.all(users.map(async user => (await placeOf(user)).body))
  expect(new Set(before).size).toBe(2)
  balancer.wanted(servers)
  await untilReady(balancer, 3)
  expect(balancer.status().reloads).toBe(0)
  const again = await Promise.all(users.map(async user => (await placeOf(user, 'POST')).body))
  expect(again).toEqual(before)
  await new Promise(resolve => setTimeout(resolve, 5_500)) // within 5 s of its start a worker has nothing to hand on
  await balancer.apply(
    { ...config, pools: { web: { ...pools.web, timeoutQueueMs: 4_000 } } },
    { actor: 'test', causes: [] },
  )
  await until(() => balancer.status().reloads === 1)
  await until(async () => (await remembered(config.runDir)) === users.length) // the worker before has handed them on
  const after = await Promise.all(users.map(async user => (await placeOf(user)).body))
  expect(after).toEqual(before)
}, 30_000)

test("a weight that a member's tag changes is in force at once, in both backends, without a reload", async () => {
  const servers = await Promise.all([22, 23].map(last => serverIn('web', `127.0.182.${last}`)))
  const port = freshPort()
  const frontends = { www: { bind: `${SITE}:${port}`, pool: 'web' } }
  const { balancer } = await site({ frontends, pools: { web: { balance: 'roundrobin' } }, servers })
  balancer.wanted(servers.map((server, at) => ({ ...server, weight: at === 0 ? 5 : 1 })))
  await balancer.settle()
  expect(balancer.status().reloads).toBe(0)
  for (const method of ['GET', 'POST']) {
    const counts = new Map<string, number>()
    for (let nth = 0; nth < 12; nth++) {
      const { body } = await ask(port, { method })
      counts.set(body, (counts.get(body) ?? 0) + 1)
    }
    expect(counts.get('127.0.182.22')).toBe(10)
  }
})
