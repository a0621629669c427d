import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { seededRandom, systemClock } from '../../base/index.ts'
import { type LoadConfig, startLoad } from './load.ts'

const deps = { clock: systemClock, random: seededRandom(7) }
type Handler = (request: IncomingMessage, response: ServerResponse, nth: number) => void

async function listen(handler: Handler): Promise<AsyncDisposable & { config: LoadConfig; server: Server }> {
  let nth = 0
  const server = createServer((request, response) => handler(request, response, nth++))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  return {
    server,
    config: { url, ratePerSecond: 400, serverHeader: 'x-server', echo: true },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(done => server.close(done))
    },
  }
}

const idOf = (request: IncomingMessage) => new URL(request.url ?? '/', 'http://x').searchParams.get('id') ?? ''

test('good answers are booked by server, over kept and own connections, GET and POST', async () => {
  const kinds = new Set<string>()
  await using site = await listen((request, response) => {
    kinds.add(`${request.method} ${request.headers.connection}`)
    response.setHeader('x-server', 'web-1')
    response.end(idOf(request))
  })
  const load = startLoad(site.config, deps)
  expect(await load.untilServed('web-1')).toBeGreaterThanOrEqual(0)
  while (load.stats().sent < 60) await load.untilServed('web-1')
  const stats = await load.stop()
  expect(stats).toMatchObject({ lost: 0, unknown: 0, inFlight: 0, byServer: { 'web-1': stats.sent } })
  expect([...kinds].sort()).toEqual(['GET close', 'GET keep-alive', 'POST close', 'POST keep-alive'])
})

test('refused connections, errors, wrong answers and broken answers are lost, with what happened', async () => {
  await using site = await listen((request, response, nth) => {
    response.setHeader('x-server', 'web-1')
    if (nth % 4 === 0) response.writeHead(503).end()
    else if (nth % 4 === 1) response.end('somebody else')
    else if (nth % 4 === 2) request.socket.destroy()
    else response.end(idOf(request))
  })
  const load = startLoad(site.config, deps)
  while (load.stats().good < 10) await load.untilServed('web-1')
  const stats = await load.stop()
  expect(stats.good + stats.lost).toBe(stats.sent)
  const seen = new Set(stats.failures.map(failure => failure.what))
  expect([...seen].sort()).toEqual(['ECONNRESET', 'answer to another request', 'status 503'])
})

test('only a POST that had left may be unknown: a refused connection at a kill is lost', async () => {
  const site = await listen(() => {})
  await site[Symbol.asyncDispose]()
  const load = startLoad({ ...site.config, rates: { post: 400 } }, deps)
  load.killBegins()
  while (load.stats().lost < 5) await new Promise(resolve => setImmediate(resolve))
  const stats = await load.stop()
  expect(stats).toMatchObject({ unknown: 0, good: 0, lost: stats.sent })
})

test('a server that falls silent costs each request its time-out, and ends as lost; at a kill, as unknown', async () => {
  await using site = await listen(() => {})
  const load = startLoad({ ...site.config, rates: { post: 400 }, timeoutMs: 50 }, deps)
  while (load.stats().lost < 3) await new Promise(resolve => setImmediate(resolve))
  load.killBegins()
  while (load.stats().unknown < 3) await new Promise(resolve => setImmediate(resolve))
  load.killEnds()
  const stats = await load.stop()
  expect(stats.unknown).toBeLessThanOrEqual(stats.postsAtKills)
  expect(stats.failures[0]?.what).toBe('no answer in time')
})

test('a server that is not served any more is known by its silence; an aborted wait throws', async () => {
  let name = 'web-1'
  await using site = await listen((request, response) => {
    response.setHeader('x-server', name)
    response.end(idOf(request))
  })
  const load = startLoad(site.config, deps)
  await load.untilServed('web-1')
  name = 'web-2'
  expect(await load.untilNotServed('web-1', { quietMs: 30 })).toBeGreaterThanOrEqual(0)
  await expect(load.untilServed('web-1', AbortSignal.timeout(20))).rejects.toThrow()
  await load[Symbol.asyncDispose]()
  expect(load.stats().inFlight).toBe(0)
})
