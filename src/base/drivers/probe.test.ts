import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../clock.ts'
import { probe } from './probe.ts'

const servers: Server[] = []
afterEach(() => Promise.all(servers.splice(0).map(server => new Promise(done => server.close(done)))))

function listen(server: Server): Promise<number> {
  servers.push(server)
  return new Promise(done => server.listen(0, '127.0.0.1', () => done((server.address() as AddressInfo).port)))
}

const options = { timeoutMs: 2_000, clock: systemClock }

test('an open port is good, a closed one says why', async () => {
  const port = await listen(createServer(socket => socket.end()))
  expect(await probe({ kind: 'tcp', ip: '127.0.0.1', port }, options)).toBeUndefined()
  expect(await probe({ kind: 'tcp', ip: '127.0.0.1', port: 1 }, options)).toContain('ECONNREFUSED')
})

test('HTTP is good from 200 to 399, as in HAProxy', async () => {
  const port = await listen(createHttpServer((asked, answer) => answer.writeHead(Number(asked.url?.slice(1))).end()))
  const ask = (status: number) => probe({ kind: 'http', ip: '127.0.0.1', port, path: `/${status}` }, options)
  expect(await ask(200)).toBeUndefined()
  expect(await ask(302)).toBeUndefined()
  expect(await ask(503)).toBe('HTTP status 503')
})

test('a server that accepts and stays silent is not good', async () => {
  const port = await listen(createServer(socket => socket.resume().on('error', () => socket.destroy())))
  const answer = await probe({ kind: 'http', ip: '127.0.0.1', port, path: '/' }, { ...options, timeoutMs: 20 })
  expect(answer).toBe('no answer within 20 ms')
})
