import { readdirSync, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, createServer, request, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { silentLog, systemClock } from '../../base/index.ts'
import type { Server } from '../index.ts'
import { endAll, endings, freshPort, rig, until } from '../../testing/index.ts'
import { Door, type DoorPool, type Served } from './door.ts'
import { activeServers, servingAddresses, workerOf } from './door-served.ts'

afterEach(endAll)

interface Answer {
  readonly status: number
  readonly retryAfter: string | undefined
  readonly cookies: readonly string[]
}

interface Asked {
  readonly method?: string
  readonly path?: string
  readonly body?: string
  /** In pieces, without saying how long it will be. */
  readonly chunked?: boolean
  readonly signal?: AbortSignal
  readonly headers?: Record<string, string>
  readonly agent?: Agent
}

const ALONE = new Agent({ keepAlive: false })

function ask(where: { host: string; port: number } | { socketPath: string }, o: Asked = {}): Promise<Answer> {
  const { method = 'GET', path = '/', body, chunked = false, signal, headers = {}, agent = ALONE } = o
  const length = body === undefined || chunked ? {} : { 'content-length': String(body.length) }
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        ...where,
        method,
        path,
        agent,
        headers: { ...length, ...headers },
        ...(signal === undefined ? {} : { signal }),
      },
      answer => {
        answer.resume()
        const { 'retry-after': retryAfter, 'set-cookie': cookies = [] } = answer.headers
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, retryAfter, cookies }))
        answer.on('error', reject)
      },
    )
    sent.on('error', reject)
    if (body !== undefined) for (let at = 0; at < body.length; at += 5_000) sent.write(body.slice(at, at + 5_000))
    sent.end()
  })
}

/** Counts what it executes, `POST /x 2000`; can go and come back. */
async function ledgerServer(ip: string, respond = (answer: ServerResponse) => void answer.end()) {
  const executed: string[] = []
  const http = createServer((asked, answer) => {
    let bytes = 0
    asked.on('data', (chunk: Buffer) => (bytes += chunk.length))
    asked.on('end', () => {
      executed.push(`${asked.method} ${asked.url} ${bytes}`)
      respond(answer)
    })
  })
  const port = freshPort()
  const come = () => new Promise<void>(listening => http.listen(port, ip, listening))
  const go = async () => {
    http.closeAllConnections()
    http.close()
  }
  endings.push(go)
  await come()
  const server: Server = { ...WEB, ip, port }
  return { server, executed, come, go }
}

const WEB = { pool: 'web', name: 'web-1', host: 'web-1', weight: 1, state: 'ready', liveness: 'alive' } as const
const IP = '127.0.182.3' // ports of two files of tests may meet

test.each(['slots', 'named'] as const)(
  'what waits is delivered exactly once when the server is back: template %s',
  async template => {
    const port = freshPort()
    const pools = { web: { sticky: 'cookie' as const, check: { http: '/up', intervalMs: 100 } } }
    const { start } = await rig({ template, frontends: { www: { bind: `${IP}:${port}`, pool: 'web' } }, pools })
    const balancer = await start()
    const site = { host: IP, port }
    const { server, executed, come, go } = await ledgerServer('127.0.182.31')
    const stateIs = (wanted: string) => until(() => balancer.status().pools[0]?.servers[0]?.state === wanted)
    balancer.wanted([server])
    await stateIs('ready')
    await balancer.settle()
    expect(await ask(site)).toMatchObject({ status: 200 })
    await go()
    await stateIs('down')
    executed.length = 0
    const body = (bytes: number) => 'x'.repeat(bytes)
    const kept: [string, Asked][] = [
      ['GET /a 0', { path: '/a' }],
      ['HEAD /b 0', { method: 'HEAD', path: '/b' }],
      ['POST /c 2000', { method: 'POST', path: '/c', body: body(2_000) }],
      ['POST /d 10000', { method: 'POST', path: '/d', body: body(10_000) }],
      ['PUT /e 10000', { method: 'PUT', path: '/e', body: body(10_000), chunked: true }],
      ['DELETE /f 0', { method: 'DELETE', path: '/f' }],
    ]
    const answers = kept.map(([, asked]) => ask(site, asked))
    const leaver = new AbortController()
    const left = ask(site, { method: 'POST', path: '/left', body: 'x', signal: leaver.signal }).catch(() => 'left')
    const refused = { status: 503, retryAfter: '1' }
    expect(await ask(site, { method: 'POST', path: '/large', body: body(40_000) })).toMatchObject(refused)
    expect(await ask(site, { method: 'POST', path: '/l', body: body(40_000), chunked: true })).toMatchObject(refused)
    leaver.abort()
    expect(await left).toBe('left')
    await come()
    const seen = await Promise.all(answers)
    expect(seen.map(answer => answer.status)).toEqual(kept.map(() => 200))
    expect(executed.filter(line => !line.includes('/up')).toSorted()).toEqual(kept.map(([line]) => line).toSorted())
  },
  20_000,
)

test('a server that is new, in a slot that was free, gets what waits, without a reload', async () => {
  const port = freshPort()
  const { start } = await rig({ frontends: { www: { bind: `${IP}:${port}`, pool: 'web' } } })
  const balancer = await start()
  const { server, executed } = await ledgerServer('127.0.182.32')
  const waiting = [ask({ host: IP, port }), ask({ host: IP, port }, { method: 'POST', body: 'x' })]
  balancer.wanted([server])
  expect((await Promise.all(waiting)).map(answer => answer.status)).toEqual([200, 200])
  expect(executed.toSorted()).toEqual(['GET / 0', 'POST / 1'])
  expect(balancer.status().reloads).toBe(0)
})

test.each(['slots', 'named'] as const)(
  'a GET meets no more than one kept connection that breaks under it, however many there are: template %s',
  async template => {
    const port = freshPort()
    const { start } = await rig({ template, frontends: { www: { bind: `${IP}:${port}`, pool: 'web' } } })
    const balancer = await start()
    let [isDying, broken] = [false, 0]
    const used = new WeakSet<Socket>()
    const asking: ServerResponse[] = []
    const { server } = await ledgerServer('127.0.182.36', answer => {
      const { socket } = answer.req
      const isKept = used.has(socket)
      used.add(socket)
      if (!isDying) return void asking.push(answer)
      if (!isKept) return void answer.end()
      broken++
      socket.destroy()
    })
    balancer.wanted([server])
    await until(() => balancer.status().pools[0]?.servers[0]?.state === 'ready')
    const site = { host: IP, port }
    const before = Array.from({ length: 30 }, () => ask(site))
    await until(() => asking.length === 30)
    for (const answer of asking) answer.end()
    await Promise.all(before)
    isDying = true
    const statuses = await Promise.all(Array.from({ length: 5 }, () => ask(site).then(({ status }) => status)))
    expect(statuses).toEqual([200, 200, 200, 200, 200])
    expect(broken).toBe(5)
  },
)

test('a thousand wait, and all are served, each once; the thousand and first is told to come again', async () => {
  const port = freshPort()
  const { start } = await rig({ frontends: { www: { bind: `${IP}:${port}`, pool: 'web' } } })
  const balancer = await start()
  const { server, executed } = await ledgerServer('127.0.182.34')
  const waiting = Array.from({ length: 1_000 }, (_, nth) =>
    ask({ host: IP, port }, nth % 2 === 0 ? { path: `/${nth}` } : { method: 'POST', path: `/${nth}`, body: 'x' }),
  )
  await until(() => balancer.status().pools[0]?.waiting === 1_000)
  expect(await ask({ host: IP, port })).toMatchObject({ status: 503, retryAfter: '1' })
  balancer.wanted([server])
  const answers = await Promise.all(waiting)
  expect(answers.filter(answer => answer.status !== 200)).toEqual([])
  expect(executed.length).toBe(1_000)
  expect(new Set(executed).size).toBe(1_000)
}, 30_000)

test('what waits too long, or beyond the number, gets 503 with Retry-After, and keeps its cookie', async () => {
  const port = freshPort()
  const pools = { web: { sticky: 'cookie' as const, hold: { timeMs: 5_000, requests: 2 } } }
  const { start } = await rig({ frontends: { www: { bind: `${IP}:${port}`, pool: 'web' } }, pools })
  const balancer = await start()
  const headers = { cookie: 'SRV=824e975f21cc67d1' }
  const times = Array.from({ length: 3 }, async () => {
    const startMs = performance.now()
    const answer = await ask({ host: IP, port }, { headers })
    return { ...answer, ms: performance.now() - startMs }
  })
  await Promise.race(times)
  await until(() => balancer.status().pools[0]?.waiting === 2) // one has gone, and has not waited for the others
  const answers = (await Promise.all(times)).toSorted((a, b) => a.ms - b.ms)
  expect(answers).toMatchObject(Array.from({ length: 3 }, () => ({ status: 503, retryAfter: '1', cookies: [] })))
  expect(answers[1]?.ms).toBeGreaterThanOrEqual(4_900)
}, 20_000)

test.each(['slots', 'named'] as const)(
  'the door is nobody: template %s, also for the next agent, and for a member of its name',
  async template => {
    const port = freshPort()
    const { start } = await rig({ template, frontends: { www: { bind: `${IP}:${port}`, pool: 'web' } } })
    const { server } = await ledgerServer('127.0.182.33')
    const named = { ...server, name: 'door', host: 'door' }
    const serversOf = (balancer: Awaited<ReturnType<typeof start>>) =>
      balancer.status().pools.flatMap(pool => pool.servers.map(one => `${one.name} ${one.ip} ${one.state}`))
    const first = await start()
    expect(serversOf(first)).toEqual([])
    first.wanted([named])
    await until(() => serversOf(first).join() === `door ${server.ip} ready`)
    await first.settle()
    expect(await ask({ host: IP, port })).toMatchObject({ status: 200 })
    const { reloads } = first.status()
    await first.stop({ keepHaproxy: true })
    const second = await start()
    await second.settle()
    expect(serversOf(second)).toEqual([`door ${server.ip} ready`])
    expect(second.status()).toMatchObject({ reloads: 0, problem: undefined })
    expect(reloads).toBe(template === 'slots' ? 0 : 1)
    expect(await ask({ host: IP, port })).toMatchObject({ status: 200 })
  },
)

test('without an agent there is no door: 503 at once, as ever', async () => {
  const port = freshPort()
  const { start } = await rig({ frontends: { www: { bind: `${IP}:${port}`, pool: 'web' } } })
  const balancer = await start()
  await balancer.stop({ keepHaproxy: true })
  expect(await ask({ host: IP, port })).toMatchObject({ status: 503, retryAfter: undefined })
  expect(await ask({ host: IP, port }, { method: 'POST', body: 'x' })).toMatchObject({ status: 503 })
})

const ORDER = { actor: 'test', causes: [] }

/** What a client without retries of its own sees of a server that goes and comes back while HAProxy is reloaded. */
async function clientsOf(site: { host: string; port: number }, hasPosts: boolean) {
  const agents = Array.from({ length: 10 }, () => new Agent({ keepAlive: true, maxSockets: 1 }))
  const asked: Promise<string>[] = []
  let nth = 0
  const timer = setInterval(() => {
    const post = ++nth % 4 < 2 || !hasPosts ? {} : { method: 'POST', body: 'x' }
    const agent = nth % 2 === 0 ? ALONE : (agents[(nth >> 1) % agents.length] as Agent)
    asked.push(
      ask(site, { path: `/${nth}`, agent, ...post }).then(
        answer => `${answer.status}`,
        (error: Error) => error.message,
      ),
    )
  }, 10)
  const stop = async () => {
    clearInterval(timer)
    const outcomes = await Promise.all(asked)
    for (const agent of agents) agent.destroy()
    return outcomes
  }
  endings.push(async () => clearInterval(timer))
  return { stop }
}

const pause = (ms: number) => new Promise<void>(resolve => void systemClock.after(ms, resolve))

test.each([
  ['slots', 'withdrawn', 'same', 1],
  ['slots', 'closed', 'another', 2],
  ['named', 'withdrawn', 'another', 0],
  ['named', 'closed', 'another', 1],
  ['named', 'withdrawn', 'same', 2],
] as const)(
  'what waits in a process that a reload leaves behind is lost no more: %s, first %s, back at %s address, %i applied',
  async (template, end, back, applied) => {
    const port = freshPort()
    const pools = { web: { check: { http: '/up', intervalMs: 100 } } }
    const { start, config } = await rig({
      ...{ template, reloadSpacingMs: 100, pools },
      frontends: { www: { bind: `${IP}:${port}`, pool: 'web' } },
    })
    const balancer = await start()
    const first = await ledgerServer('127.0.196.31')
    const second = back === 'same' ? first : await ledgerServer('127.0.196.32')
    const isReady = () => until(() => balancer.status().pools[0]?.servers.some(one => one.state === 'ready') === true)
    balancer.wanted([first.server])
    await isReady()
    await balancer.settle()
    const { reloads } = balancer.status()
    const clients = await clientsOf({ host: IP, port }, end === 'withdrawn') // who has a POST when he closes may have executed it
    await until(() => first.executed.length > 20)
    if (end === 'closed') await first.go()
    balancer.wanted(end === 'withdrawn' ? [{ ...first.server, liveness: 'withdrawn' }] : [])
    await balancer.settle()
    await until(() => (balancer.status().pools[0]?.waiting ?? 0) > 10)
    if (end === 'withdrawn') await first.go() // what had its server before it was out of traffic is answered by now
    for (let nth = 1; nth <= applied; nth++) {
      await balancer.apply({ ...config, pools: { web: { ...pools.web, timeoutQueueMs: 5_000 + nth } } }, ORDER)
      await pause(200)
    }
    const before = second.executed.length
    if (back === 'same') await first.come()
    balancer.wanted([back === 'same' ? second.server : { ...second.server, name: 'web-2', host: 'web-2' }])
    await until(() => second.executed.filter(line => !line.includes('/up')).length > before + 50)
    const outcomes = await clients.stop()
    expect(outcomes.filter(outcome => outcome !== '200')).toEqual([])
    await balancer.settle() // a reload counts when HAProxy has said that it is over
    expect(balancer.status().reloads - reloads).toBeGreaterThanOrEqual(
      template === 'named' && back === 'another' ? applied + 1 : applied,
    )
    const executed = [...new Set([first, second])].flatMap(one => one.executed.filter(line => !line.includes('/up')))
    expect(new Set(executed).size).toBe(outcomes.length)
    if (end === 'withdrawn') expect(executed.length).toBe(outcomes.length)
  },
  20_000,
)

const WORKER = { pid: 7, ageMs: 60_000 }
const NOTHING: Served = { worker: WORKER, pools: new Map() }
const servedAt = (...addresses: string[]): Served => ({ worker: WORKER, pools: new Map([['web', addresses]]) })

async function doorFor(served: () => Promise<Served>) {
  const directory = await mkdtemp(join(tmpdir(), 'door-'))
  const door = new Door({ clock: systemClock, log: silentLog, served })
  endings.push(
    () => rm(directory, { recursive: true }),
    () => door.stop(),
  )
  const pass = { connectMs: 250, answerMs: 5_000 }
  const pool: DoorPool = { name: 'web', path: join(directory, 'web.sock'), timeMs: 10_000, requests: 10, pass }
  return { directory, door, pool }
}

test('its socket is for this user alone, ends with it, and is left to the next agent that has put its own there', async () => {
  const { directory, door, pool } = await doorFor(async () => NOTHING)
  await door.follow([pool])
  expect(statSync(pool.path).mode & 0o777).toBe(0o600)
  const next = new Door({ clock: systemClock, log: silentLog, served: async () => servedAt() })
  await next.follow([pool])
  await door.stop()
  expect(await ask({ socketPath: pool.path })).toMatchObject({ status: 425 })
  await next.stop()
  expect(readdirSync(directory)).toEqual([])
})

test('HAProxy is asked only while somebody waits, and not being able to ask it ends nothing', async () => {
  let asked = 0
  let isServed = false
  const { door, pool } = await doorFor(async () => {
    asked++
    if (!isServed) throw new Error('gone')
    return servedAt()
  })
  await door.follow([pool])
  const waiting = ask({ socketPath: pool.path })
  await until(() => asked >= 3)
  isServed = true
  expect(await waiting).toMatchObject({ status: 425 })
  const before = asked
  await new Promise(resolve => systemClock.after(100, () => resolve(undefined)))
  expect([asked, door.waiting]).toEqual([before, 0])
})

test('a pool that is no longer held sends back who waits; a socket that cannot be made hinders no other', async () => {
  const { door, pool } = await doorFor(async () => NOTHING)
  await door.follow([{ ...pool, name: 'x', path: '/nowhere/at/all.sock' }, pool])
  const waiting = ask({ socketPath: pool.path })
  await until(() => door.waiting === 1)
  await door.follow([])
  expect(await waiting).toMatchObject({ status: 425 })
})

/** The door with a stand-in for HAProxy's process of that pid, which a reload has left behind unless it is 7. */
async function passing(addresses: () => readonly string[], more: Partial<DoorPool> = {}) {
  const { door, pool } = await doorFor(async () => servedAt(...addresses()))
  await door.follow([{ ...pool, ...more }])
  const headers = { 'x-muster-door': '6', 'x-own': 'é', connection: 'keep-alive, x-hop', 'x-hop': '1' }
  return { door, from: (o: Asked) => ask({ socketPath: pool.path }, { ...o, headers: { ...headers, ...o.headers } }) }
}

test('what is passed on comes as it was sent, less what is between two neighbours; so does the answer', async () => {
  const seen: string[][] = []
  const http = createServer((asked, answer) => {
    seen.push(asked.rawHeaders)
    answer.writeHead(201, ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'])
    answer.end()
  })
  const port = freshPort()
  await new Promise<void>(listening => http.listen(port, '127.0.196.33', listening))
  endings.push(async () => http.close())
  const { from } = await passing(() => [`127.0.196.33:${port}`])
  const host = { host: 'shop.example.org' }
  const answer = await from({ method: 'POST', body: 'abc', chunked: true, headers: host })
  expect(answer).toMatchObject({ status: 201, cookies: ['a=1', 'b=2'] })
  expect(seen[0]?.map(text => text.toLowerCase()).toSorted()).toEqual(
    [...['host', 'shop.example.org', 'x-own', 'é'], ...['content-length', '3', 'connection', 'close']].toSorted(),
  )
})

test('a POST that a server took and did not answer is not sent again, a GET once; what reached none waits on', async () => {
  const silent = await ledgerServer('127.0.196.34', answer => void answer.destroy())
  const good = await ledgerServer('127.0.196.35')
  const addressOf = ({ server }: typeof good) => `${server.ip}:${server.port}`
  let [addresses, looks] = [[addressOf(silent)], 0]
  const { from } = await passing(() => (looks++, addresses))
  expect(await from({ method: 'POST', path: '/a', body: 'x' })).toMatchObject({ status: 502 })
  expect(await from({ path: '/b' })).toMatchObject({ status: 502 })
  expect(silent.executed).toEqual(['POST /a 1', 'GET /b 0', 'GET /b 0'])
  addresses = [`127.0.196.36:${freshPort()}`]
  const before = looks
  const waiting = from({ method: 'POST', path: '/c', body: 'x' })
  await until(() => looks >= before + 2) // nobody looks while it is being passed on: it has met nobody, and waits on
  addresses = [addressOf(good)]
  expect(await waiting).toMatchObject({ status: 200 })
  expect(good.executed).toEqual(['POST /c 1'])
})

test('a server that is silent costs its time, then 504; its 425 comes as a 503; a client that closes ends it', async () => {
  let open = 0
  const silent = await ledgerServer('127.0.196.37', answer => {
    open++
    answer.on('close', () => open--)
  })
  const early = await ledgerServer('127.0.196.38', answer => void answer.writeHead(425).end())
  let { server } = silent
  const address = () => [`${server.ip}:${server.port}`]
  const { from } = await passing(address, { pass: { connectMs: 250, answerMs: 300 } })
  expect(await from({ path: '/a' })).toMatchObject({ status: 504 })
  const leaver = new AbortController()
  const left = from({ path: '/b', signal: leaver.signal }).catch(() => 'left')
  await until(() => silent.executed.length === 2 && open === 1)
  leaver.abort()
  expect(await left).toBe('left')
  await until(() => open === 0)
  ;({ server } = early)
  expect(await from({ method: 'POST', path: '/c' })).toMatchObject({ status: 503, retryAfter: '1' })
  expect(early.executed).toEqual(['POST /c 0'])
})

test('who is of the newest process is sent back to it, and what only HAProxy could pass on is told to come again', async () => {
  const { from } = await passing(() => ['127.0.196.39:9'])
  expect(await from({ headers: { 'x-muster-door': '7' } })).toMatchObject({ status: 425 })
  expect(await from({ headers: { upgrade: 'websocket', connection: 'upgrade' } })).toMatchObject({ status: 503 })
  const other = await passing(() => ['127.0.196.39:9'], { pass: undefined })
  expect(await other.from({})).toMatchObject({ status: 503, retryAfter: '1' })
})

test('clients get the cookies of an application behind the door, and none that HAProxy made for the door', async () => {
  const port = freshPort()
  const pools = { web: { sticky: 'cookie' as const, check: { http: '/up', intervalMs: 100 } } }
  const frontends = { www: { bind: `${IP}:${port}`, pool: 'web' } }
  const { start, config } = await rig({ reloadSpacingMs: 1, frontends, pools })
  const balancer = await start()
  const cookies = ['a=1; Path=/', 'b=2; Expires=Thu, 01 Jan 2037 00:00:00 GMT']
  const { server } = await ledgerServer('127.0.196.40', answer => {
    if (answer.req.url === '/with') answer.setHeader('set-cookie', cookies)
    answer.end()
  })
  const waiting = ['/with', '/without'].map(path => ask({ host: IP, port }, { path }))
  await until(() => balancer.status().pools[0]?.waiting === 2)
  await balancer.apply({ ...config, pools: { web: { ...pools.web, timeoutQueueMs: 6_000 } } }, ORDER)
  balancer.wanted([server])
  const [withCookies, without] = await Promise.all(waiting)
  expect(withCookies).toMatchObject({ status: 200, cookies: [...cookies, ''] })
  expect(without).toMatchObject({ status: 200, cookies: [] })
})

test('HAProxy says who it is and which addresses take traffic, whatever else it says', () => {
  expect(workerOf('Name: HAProxy\nPid: 12\nUptime: 0d\nUptime_sec: 3\n')).toEqual({ pid: 12, ageMs: 3_000 })
  for (const odd of ['', 'Pid: x\nUptime_sec: 1', 'Pid: 12']) expect(workerOf(odd)).toBe(undefined)
  const rows = ['UP,1,0,1.2.3.4:5', 'no check,2,0,[::1]:8', 'UP 1/3,1,0,x', 'DOWN,1,0,1.1.1.1:1', 'UP,0,0,1.1.1.1:1']
  const csv = ['# status,weight,bck,addr', ...rows, 'no check,1,1,1.1.1.1:1', 'UP,1,0,unix', ''].join('\n')
  expect(servingAddresses(csv)).toEqual(['1.2.3.4:5', '[::1]:8'])
})

test('servers that take traffic are read from the row of the backend, whatever columns come before', () => {
  expect(activeServers('# pxname,svname,act,bck\nweb,BACKEND,2,1\n')).toBe(2)
  expect(activeServers('# pxname,svname,bck,act,x\nweb,BACKEND,1,0,7\n')).toBe(0)
  for (const odd of ['', 'No such proxy.', '# pxname,svname\nweb,BACKEND\n']) expect(activeServers(odd)).toBe(0)
})
