import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { type Log, type LogFields, silentLog } from '../../base/index.ts'
import { VirtualClock } from '../../testing/index.ts'
import type { RpcBackend } from '../rpc-backend.ts'
import { decodeRecord, encodeRecord, textField } from '../rpc-records.ts'
import { ValueScanner } from '../rpc-scan.ts'
import { startRpcServer } from './rpc-server.ts'

const VALUE_BYTES_MAX = 1024 * 1024

async function served(parts: Partial<RpcBackend> = {}) {
  const clock = new VirtualClock()
  const said: { fields: LogFields; sentence: string }[] = []
  const log: Log = {
    ...silentLog,
    warn: (fields, sentence) => void said.push({ fields, sentence }),
    child: () => log,
  }
  const backend = parts as RpcBackend
  const server = await startRpcServer({ bind: { ip: '127.0.0.1', port: 0 } }, { clock, log, backend })
  onTestFinished(() => server.stop())
  const dial = async () => {
    const socket = connect({ host: server.address.ip, port: server.address.port })
    onTestFinished(() => void socket.destroy())
    socket.on('error', () => {})
    await once(socket, 'connect')
    return socket
  }
  return { clock, said, dial }
}

const request = (command: string, seq: number, body?: Parameters<typeof encodeRecord>[0]) =>
  Buffer.concat([
    encodeRecord({ Command: command, Seq: seq }),
    body === undefined ? new Uint8Array(0) : encodeRecord(body),
  ])

/** Values as they come; reads only when asked. */
function reader(socket: Socket) {
  const scanner = new ValueScanner(VALUE_BYTES_MAX)
  const chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>
  return async () => {
    for (;;) {
      const bytes = scanner.take()
      if (bytes !== undefined) return decodeRecord(bytes)
      const { value, done } = await chunks.next()
      if (done === true) throw new Error('the agent has closed the connection')
      scanner.push(value as Uint8Array)
    }
  }
}

test('a monitor that does not read loses lines beyond a megabyte; when it reads, the newest come', async () => {
  let say: ((line: string) => void) | undefined
  let listening: () => void = () => {}
  const listens = new Promise<void>(resolve => (listening = resolve))
  const onLine = (listener: (line: string) => void) => {
    say = listener
    listening()
    return () => (say = undefined)
  }
  const { said, dial } = await served({ logs: { recent: () => [], onLine } })
  const socket = await dial()
  const next = reader(socket)
  socket.write(Buffer.concat([request('handshake', 1, { Version: 1 }), request('monitor', 2, { LogLevel: 'info' })]))
  expect([textField(await next(), 'Error'), textField(await next(), 'Error')]).toEqual(['', ''])
  await listens
  socket.pause()
  const lines = 300_000
  for (let i = 0; i < lines; i++) say?.(`2026/11/20 09:43:12 [INFO] agent: ${i} ${'x'.repeat(60)}`)
  expect(said.map(({ sentence }) => sentence)).toEqual(['an RPC client reads too slowly: dropping its records'])
  const read: number[] = []
  for (;;) {
    await next()
    read.push(Number(/agent: (\d+)/.exec(textField(await next(), 'Log'))?.[1]))
    if (socket.readableLength === 0 && read.length > 1000 && say !== undefined) {
      say('2026/11/20 09:43:12 [INFO] agent: 999999 last')
      if (read.at(-1) === 999_999) break
    }
  }
  expect(read.length).toBeLessThan(lines / 3) // a megabyte, and what the kernel's two ends hold
  expect(read).toEqual([...read].sort((a, b) => a - b))
  expect(said.at(-1)?.sentence).toBe('an RPC client reads again after records were dropped')
})

test('a client that says nothing for ten seconds is closed, one that has greeted stays', async () => {
  const { clock, dial } = await served()
  const [silent, greeted] = [await dial(), await dial()]
  const next = reader(greeted)
  greeted.write(request('handshake', 1, { Version: 1 }))
  expect(textField(await next(), 'Error')).toBe('')
  const closed = once(silent, 'close')
  silent.resume()
  clock.advance(10_000)
  await closed
  greeted.write(request('get-coordinate', 2, { Node: 'x' }))
  expect(textField(await next(), 'Error')).toBe('')
  expect((await next()).get('Ok')).toBe(false)
})

test('an agent without a log, a ring or coordinates says so for each, and the connection goes on', async () => {
  const { dial } = await served()
  const socket = await dial()
  const next = reader(socket)
  socket.write(
    Buffer.concat([
      ...[request('handshake', 1, { Version: 1 }), request('monitor', 2, { LogLevel: 'info' })],
      ...[request('list-keys', 3), request('get-coordinate', 4, { Node: 'x' })],
    ]),
  )
  const errors = [await next(), await next(), await next()].map(header => textField(header, 'Error'))
  expect(errors).toEqual(['', '', 'Feature not supported'])
  expect((await next()).get('NumNodes')).toBe(0)
  await next()
  expect((await next()).get('Ok')).toBe(false)
})

test('a client that goes away ends its queries, however far their deadline is', async () => {
  let closed: () => void = () => {}
  const closing = new Promise<void>(resolve => (closed = resolve))
  const never = { next: () => new Promise<never>(() => {}) }
  const query = async () => ({ [Symbol.asyncIterator]: () => never, close: () => closed() })
  const { dial } = await served({ query })
  const socket = await dial()
  const next = reader(socket)
  const years = { Name: 'q', Timeout: 9_200_000_000_000_000_000n }
  socket.write(Buffer.concat([request('handshake', 1, { Version: 1 }), request('query', 2, years)]))
  expect([textField(await next(), 'Error'), textField(await next(), 'Error')]).toEqual(['', ''])
  socket.destroy()
  await closing
})
