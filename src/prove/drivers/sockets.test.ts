import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import { seededRandom, systemClock } from '../../base/index.ts'
import { type Load, startLoad } from './load.ts'

type Echo = (socket: WebSocket, text: string, nth: number) => void

/** A site on which every WebSocket is handled by `echo`, and the load on it: 400 messages a second. */
async function listen(echo: Echo, more: { socketLifeMs?: number; timeoutMs?: number } = {}) {
  const server = createServer((_request, response) => response.writeHead(404).end())
  const sockets = new WebSocketServer({ server, path: '/ws' })
  let nth = 0
  let opened = 0
  sockets.on('headers', headers => headers.push('x-server: web-1'))
  sockets.on('connection', socket => {
    opened++
    socket.on('message', data => echo(socket, String(data as Buffer), nth++))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const config = { url, rates: { websocket: 400 }, serverHeader: 'x-server', ...more }
  const load = startLoad(config, { clock: systemClock, random: seededRandom(3) })
  return {
    load,
    opened: () => opened,
    async [Symbol.asyncDispose]() {
      await load[Symbol.asyncDispose]()
      for (const socket of sockets.clients) socket.terminate()
      server.closeAllConnections()
      await new Promise(done => server.close(done))
    },
  }
}

/** So that what is held back at the end is given up soon. */
const QUICK = { timeoutMs: 400 }

async function until(load: Load, isEnough: (stats: ReturnType<Load['stats']>) => boolean): Promise<void> {
  while (!isEnough(load.stats())) await new Promise(resolve => setImmediate(resolve))
}

test('echoes over connections that end in their time and are replaced: nothing is lost', async () => {
  await using site = await listen((socket, text) => socket.send(text), { socketLifeMs: 100 })
  await until(site.load, () => site.opened() > 100)
  const stats = await site.load.stop()
  expect(stats).toMatchObject({ lost: 0, doubled: 0, unknown: 0, inFlight: 0, good: stats.sent })
  expect(stats.byServer['web-1']).toBe(stats.sent)
})

test('a connection that is cut before its time counts as lost, also between messages', async () => {
  await using site = await listen((socket, text, nth) => {
    if (nth % 50 === 49) socket.terminate()
    else socket.send(text, () => void (nth % 50 === 10 && socket.close(1001)))
  })
  await until(site.load, stats => stats.lost > 5)
  const stats = await site.load.stop()
  expect(stats.good + stats.lost).toBe(stats.sent)
  expect(stats.failures[0]?.what).toMatch(/^cut after 0\.\d s/)
})

test('an echo that comes twice is doubled', async () => {
  await using site = await listen((socket, text, nth) => {
    for (let i = nth % 20 === 7 ? 0 : 1; i < 2; i++) socket.send(text)
  })
  await until(site.load, stats => stats.doubled > 3)
  expect((await site.load.stop()).lost).toBe(0)
})

test('an echo that is missing is lost, after its time or when a later one has come', async () => {
  await using site = await listen((socket, text, nth) => void (nth % 20 !== 7 && socket.send(text)), QUICK)
  await until(site.load, stats => stats.lost > 3)
  const stats = await site.load.stop()
  const seen = new Set(stats.failures.map(({ what }) => what))
  expect([...seen].filter(what => !['a later echo came first', 'no echo in time'].includes(what))).toEqual([])
})

test('an echo out of order is lost', async () => {
  await using site = await listen((socket, text, nth) => {
    if (nth % 37 < 36) socket.send(text)
    else socket.once('message', () => setImmediate(() => socket.send(text)))
  }, QUICK)
  await until(site.load, stats => stats.lost > 2)
  const stats = await site.load.stop()
  expect(stats.failures[0]).toMatchObject({ what: 'a later echo came first', kind: 'websocket' })
})

test("a cut is unknown when the connection's own server was being killed, and only then", async () => {
  const open = new Set<WebSocket>()
  await using site = await listen((socket, text) => {
    open.add(socket)
    socket.send(text)
  })
  await until(site.load, () => open.size >= 40)
  site.load.killBegins('web-2')
  for (const socket of open) socket.terminate()
  open.clear()
  await until(site.load, stats => stats.lost >= 40)
  site.load.killEnds('web-2')
  await until(site.load, () => open.size >= 40)
  const before = site.load.stats()
  site.load.killBegins('web-1')
  for (const socket of open) socket.terminate()
  site.load.killEnds('web-1')
  await until(site.load, stats => stats.unknown >= 40)
  const stats = await site.load.stop()
  expect(stats.lost).toBe(before.lost)
  expect(before.unknown).toBe(0)
  expect(stats.unknown).toBeLessThanOrEqual(stats.atKills)
})

test('a site without WebSockets loses every opening, and is not stormed', async () => {
  const server = createServer((_request, response) => response.writeHead(404).end())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  await using load = startLoad({ url, rates: { websocket: 20 } }, { clock: systemClock, random: seededRandom(3) })
  await until(load, stats => stats.failures.some(({ what }) => what === 'status 404'))
  expect((await load.stop()).good).toBe(0)
  server.close()
})
