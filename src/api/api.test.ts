import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLog } from '../base/index.ts'
import {
  type AgentStatus,
  type ApiBackend,
  AgentUnreachableError,
  ApiAnswerError,
  apiRequest,
  type DrainReport,
  NotThereError,
  RefusedError,
  SocketTakenError,
  startApi,
} from './index.ts'

let folder = ''
let socketPath = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-api-'))
  socketPath = join(folder, 'a.sock')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const STATUS: AgentStatus = {
  node: 'n1',
  pid: 1,
  version: '0',
  members: { alive: 1, leaving: 0, left: 0, failed: 0 },
  services: [],
}

const DRAIN: DrainReport = {
  ...{ server: 'web-2', by: 'root@lb-1', since: '2026-11-21T12:03:07.000Z', forced: false, takenBack: false },
  ...{ sessions: 0, done: true, balancers: [], silent: [] },
}

function refuse(): Promise<never> {
  return Promise.reject(new Error('not here'))
}

function backend(calls: string[] = []): ApiBackend {
  return {
    status: async () => STATUS,
    configuring: { plan: refuse, apply: refuse, rollback: refuse, generations: () => [] },
    members: async () => [],
    history: async ask => ({ records: [], more: false, damaged: 0, problem: JSON.stringify(ask) }),
    why: async what => {
      if (what === 'nobody') throw new NotThereError('nobody knows "nobody"')
      const verdict = { code: 'well', severity: 'ok', sentence: 'all is well', about: what ?? 'lb' } as const
      return { node: 'lb', verdict, also: [], evidence: [], records: [], silent: [] }
    },
    events: async (since, waitMs) => ({ events: [], last: (since ?? 0) + waitMs, missed: false }),
    version: () => '1.2.3',
    drain: async ask => ({ ...DRAIN, server: ask.server, reason: JSON.stringify(ask) }),
    undrain: async ({ server }) => ({ drains: [{ ...DRAIN, server, takenBack: true }], silent: [] }),
    drains: async target => ({ drains: [{ ...DRAIN, server: target?.server ?? 'all' }], silent: ['lb-3'] }),
    mayLeave: async ({ force }) => {
      if (!force) throw new RefusedError('pool web has 1 server')
    },
    handover: async () => void calls.push('handover'),
  }
}

test('a running agent tells its status, and hands over when asked, on a socket that is only its own', async () => {
  const calls: string[] = []
  await using _api = await startApi({ socketPath }, { log: silentLog, routes: backend(calls) })
  expect(statSync(socketPath).mode & 0o777).toBe(0o600)
  expect(await apiRequest(socketPath, 'GET /v1/status')).toEqual(STATUS)
  expect(await apiRequest(socketPath, 'GET /v1/version')).toEqual({ version: '1.2.3' })
  await apiRequest(socketPath, 'POST /v1/handover')
  expect(calls).toEqual(['handover'])
})

test('why is asked about a name or about the node; a name that nobody knows is not there', async () => {
  await using _api = await startApi({ socketPath }, { log: silentLog, routes: backend() })
  expect((await apiRequest(socketPath, 'GET /v1/why', { what: 'web-2' })).verdict.about).toBe('web-2')
  expect((await apiRequest(socketPath, 'GET /v1/why')).verdict.about).toBe('lb')
  await expect(apiRequest(socketPath, 'GET /v1/why', { what: 'nobody' })).rejects.toThrow(NotThereError)
  await expect(apiRequest(socketPath, 'GET /v1/why', { what: 'x'.repeat(300) })).rejects.toThrow('at most 256')
})

test('without an agent the error says which socket was tried', async () => {
  const asked = apiRequest(socketPath, 'GET /v1/status')
  await expect(asked).rejects.toThrow(AgentUnreachableError)
  await expect(asked).rejects.toThrow(socketPath)
})

test('a failing backend is a 500 with its sentence, and the API serves on', async () => {
  const routes = { ...backend(), status: () => Promise.reject(new Error('the ring is closed')) }
  await using _api = await startApi({ socketPath }, { log: silentLog, routes })
  await expect(apiRequest(socketPath, 'GET /v1/status')).rejects.toThrow(ApiAnswerError)
  await expect(apiRequest(socketPath, 'GET /v1/status')).rejects.toThrow('the ring is closed')
  expect(await apiRequest(socketPath, 'GET /v1/members')).toEqual({ members: [] })
})

test("what a guard refuses keeps the guard's sentence", async () => {
  const routes = { ...backend(), members: () => Promise.reject(new RefusedError('pool web has one server')) }
  await using _api = await startApi({ socketPath }, { log: silentLog, routes })
  await expect(apiRequest(socketPath, 'GET /v1/members')).rejects.toThrow(new RefusedError('pool web has one server'))
})

test('a drain is ordered, listed and taken back by query parameters; without a server it is refused', async () => {
  await using _api = await startApi({ socketPath }, { log: silentLog, routes: backend() })
  const order = { server: 'web-2', pool: 'web', user: 'root', reason: 'a & b', force: '1', wait: '30000' }
  const drained = await apiRequest(socketPath, 'POST /v1/drain', order)
  const { wait: _wait, ...rest } = order
  expect(JSON.parse(drained.reason ?? '')).toEqual({ ...rest, force: true, waitMs: 30_000 })
  expect((await apiRequest(socketPath, 'GET /v1/drains', { server: 'web-2' })).drains[0]?.server).toBe('web-2')
  expect((await apiRequest(socketPath, 'GET /v1/drains')).drains[0]?.server).toBe('all')
  expect((await apiRequest(socketPath, 'DELETE /v1/drain', { server: 'web-2' })).drains[0]?.takenBack).toBe(true)
  await expect(apiRequest(socketPath, 'POST /v1/drain')).rejects.toThrow('server: which one?')
  await expect(apiRequest(socketPath, 'POST /v1/leave-check')).rejects.toThrow(RefusedError)
  expect(await apiRequest(socketPath, 'POST /v1/leave-check', { force: '1', reason: 'x' })).toHaveProperty('leave')
})

test('a wait of more than a month is refused in words of its own', async () => {
  await using _api = await startApi({ socketPath }, { log: silentLog, routes: backend() })
  const drain = (wait: string) => apiRequest(socketPath, 'POST /v1/drain', { server: 'web-2', wait })
  const refused = { status: 400, message: 'wait: at most 2592000000 ms, which is 30 days' }
  await expect(drain('99999999999999')).rejects.toMatchObject(refused)
  expect(await drain('2592000000')).toMatchObject({ server: 'web-2' })
})

test('what narrows a request down and is empty is refused: it would do more than was meant', async () => {
  await using _api = await startApi({ socketPath }, { log: silentLog, routes: backend() })
  const refused = { status: 400, message: expect.stringContaining('it is empty') as unknown }
  await expect(apiRequest(socketPath, 'POST /v1/apply', { plan: '' })).rejects.toMatchObject(refused)
  await expect(apiRequest(socketPath, 'POST /v1/drain', { server: 'web-2', pool: '' })).rejects.toMatchObject(refused)
})

test('a reason that is none, and a request that is too long to be read, are refused in words', async () => {
  await using _api = await startApi({ socketPath }, { log: silentLog, routes: backend() })
  const drain = (reason: string) => apiRequest(socketPath, 'POST /v1/drain', { server: 'web-2', reason })
  for (const reason of ['', 'two\nlines', 'x'.repeat(201), 'r\u202ed'])
    await expect(drain(reason)).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining('one line') as unknown,
    })
  await expect(drain('x'.repeat(100_000))).rejects.toMatchObject({ status: 414 })
  await expect(apiRequest(socketPath, 'GET /v1/why', { what: 'x'.repeat(6_900) })).rejects.toMatchObject({
    status: 400,
  })
  expect(await drain('x'.repeat(200))).toMatchObject({ server: 'web-2' })
})

test('what does not exist is told apart from what fails', async () => {
  const routes = { ...backend(), drains: () => Promise.reject(new NotThereError('no such server')) }
  await using _api = await startApi({ socketPath }, { log: silentLog, routes })
  await expect(apiRequest(socketPath, 'GET /v1/drains')).rejects.toThrow(new NotThereError('no such server'))
})

test('a second agent on one socket is refused, and the first serves on', async () => {
  await using _api = await startApi({ socketPath }, { log: silentLog, routes: backend() })
  const second = startApi({ socketPath }, { log: silentLog, routes: backend() })
  await expect(second).rejects.toThrow(SocketTakenError)
  await expect(second).rejects.toThrow(
    'where MUSTER_API_SOCKET, -socket or api.socket names the socket, another one there',
  )
  expect(await apiRequest(socketPath, 'GET /v1/version')).toEqual({ version: '1.2.3' })
})

test('a path or method that does not exist is refused with what does', async () => {
  await using _api = await startApi({ socketPath }, { log: silentLog, routes: backend() })
  const statusOf = (method: string, path: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const sent = request({ socketPath, method, path, agent: false }, response => {
        response.resume()
        resolve(response.statusCode)
      })
      sent.on('error', reject).end()
    })
  expect(await statusOf('GET', '/nope')).toBe(404)
  expect(await statusOf('GET', '/__proto__')).toBe(404)
  expect(await statusOf('GET', '/v1/handover')).toBe(405)
})

test('events are asked for by the index that was seen last; nonsense is refused in words', async () => {
  await using _api = await startApi({ socketPath }, { log: silentLog, routes: backend() })
  expect(await apiRequest(socketPath, 'GET /v1/events', { since: '41', wait: '1' })).toMatchObject({ last: 42 })
  await expect(apiRequest(socketPath, 'GET /v1/events', { since: '-1' })).rejects.toThrow(
    'since: "-1" is not a whole number',
  )
})

test('while the agent starts the socket is its own already, and says so', async () => {
  let routes: ApiBackend | undefined
  await using _api = await startApi({ socketPath }, { log: silentLog, routes: () => routes })
  await expect(apiRequest(socketPath, 'GET /v1/status')).rejects.toThrow('the agent is starting')
  await expect(startApi({ socketPath }, { log: silentLog, routes: backend() })).rejects.toThrow(SocketTakenError)
  routes = backend()
  expect(await apiRequest(socketPath, 'GET /v1/status')).toEqual(STATUS)
})

test('over TCP anybody may read, nothing can be changed, and a page under a foreign name reads nothing', async () => {
  const calls: string[] = []
  const listen = { ip: '127.0.0.1', port: await freePort() }
  await using _api = await startApi({ socketPath, listen }, { log: silentLog, routes: backend(calls) })
  const ask = (method: string, path: string, headers: Record<string, string> = {}) =>
    new Promise<number | undefined>((resolve, reject) => {
      const sent = request({ host: listen.ip, port: listen.port, method, path, headers, agent: false }, response => {
        response.resume()
        resolve(response.statusCode)
      })
      sent.on('error', reject).end()
    })
  expect(await ask('GET', '/v1/status')).toBe(200)
  expect(await ask('GET', '/v1/status', { host: `localhost:${listen.port}` })).toBe(200)
  expect(await ask('GET', '/v1/status', { host: 'rebound.example.org' })).toBe(403)
  expect(await ask('POST', '/v1/handover', { origin: 'http://example.org' })).toBe(403)
  expect(await ask('POST', '/v1/handover')).toBe(403)
  expect(calls).toEqual([])
})

test('a TCP address that cannot be had is said with its key, and the socket is given back', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const listen = { ip: '127.0.0.1', port: (taken.address() as AddressInfo).port }
  const errors: unknown[] = []
  const log = { ...silentLog, error: (fields: unknown) => void errors.push(fields) }
  const started = startApi({ socketPath, listen }, { log, routes: backend() })
  await expect(started).rejects.toThrow(
    new RegExp(`^api.listen: cannot listen on 127.0.0.1:${listen.port}: .* \\(pid ${process.pid}\\) has it`),
  )
  taken.close()
  expect(errors).toEqual([]) // whoever catches it says it
  await expect(apiRequest(socketPath, 'GET /v1/version')).rejects.toThrow(AgentUnreachableError)
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}
