import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { type Log, type LogFields, silentLog } from '../../../base/index.ts'
import { VirtualClock } from '../../../testing/index.ts'
import type { SerfEvent } from '../../events.ts'
import type { RpcBackend } from '../backend.ts'
import { decodeRecord, encodeRecord, textField } from '../records.ts'
import { ValueScanner } from '../scan.ts'
import { type RpcServerConfig, startRpcServer } from './server.ts'

const VALUE_BYTES_MAX = 1024 * 1024

async function served(parts: Partial<RpcBackend> = {}, config: Partial<RpcServerConfig> = {}) {
  const clock = new VirtualClock()
  const said: { fields: LogFields; sentence: string }[] = []
  const log: Log = {
    ...silentLog,
    warn: (fields, sentence) => void said.push({ fields, sentence }),
    child: () => log,
  }
  const backend = parts as RpcBackend
  const server = await startRpcServer({ bind: { ip: '127.0.0.1', port: 0 }, ...config }, { clock, log, backend })
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

const handshake = request('handshake', 1, { Version: 1 })

/** The error of the first answer to what `socket` says now, or `closed`. */
function answerTo(socket: Socket, bytes: Uint8Array): Promise<string> {
  return new Promise(resolve => {
    if (socket.destroyed) return resolve('closed')
    socket.once('data', answer => resolve(textField(decodeRecord(answer), 'Error')))
    socket.once('close', () => resolve('closed'))
    socket.write(bytes)
  })
}

test('of a thousand connections as many are served as there is room for, the rest is closed and said once', async () => {
  const { said, dial } = await served({ members: () => [] })
  const sockets = await Promise.all(Array.from({ length: 1000 }, () => dial()))
  const outcomes = await Promise.all(sockets.map(socket => answerTo(socket, handshake)))
  expect(outcomes.filter(one => one === 'closed')).toHaveLength(744)
  expect(said.map(({ sentence }) => sentence)).toEqual(['refused an RPC client: too many connections'])
  const greeted = sockets.filter((_, nth) => outcomes[nth] === '')
  expect(greeted).toHaveLength(256)
  expect(await answerTo(greeted[255] as Socket, request('members', 2))).toBe('')
  greeted[0]?.destroy()
  let answer = 'closed'
  while (answer === 'closed') answer = await answerTo(await dial(), handshake) // until the agent has seen that one go
  expect(answer).toBe('')
})

test('a client without the key is told so in Serf’s words, and closed after ten seconds', async () => {
  const { clock, dial } = await served({}, { authKey: 'sekret' })
  const [stranger, friend] = [await dial(), await dial()]
  const [next, friends] = [reader(stranger), reader(friend)]
  stranger.write(Buffer.concat([handshake, request('members', 2), request('auth', 3, { AuthKey: 'wrong' })]))
  const errors = [await next(), await next(), await next()].map(header => textField(header, 'Error'))
  expect(errors).toEqual(['', 'Authentication required', 'Invalid authentication token'])
  friend.write(Buffer.concat([handshake, request('auth', 2, { AuthKey: 'sekret' })]))
  expect([textField(await friends(), 'Error'), textField(await friends(), 'Error')]).toEqual(['', ''])
  const closed = once(stranger, 'close')
  stranger.resume()
  clock.advance(10_000)
  await closed
  expect(friend.destroyed).toBe(false)
})

test('a stream that nobody reads costs a bounded number of bytes, and other streams lose nothing', async () => {
  const listeners = new Set<(event: SerfEvent) => void>()
  const onEvent = (listener: (event: SerfEvent) => void) => {
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }
  const { said, dial } = await served({ onEvent })
  const [slow, quick] = [await dial(), await dial()]
  const [slowNext, quickNext] = [reader(slow), reader(quick)]
  for (const [socket, next] of [
    [slow, slowNext],
    [quick, quickNext],
  ] as const) {
    socket.write(Buffer.concat([handshake, request('stream', 2, { Type: '*' })]))
    expect([textField(await next(), 'Error'), textField(await next(), 'Error')]).toEqual(['', ''])
  }
  while (listeners.size < 2) await new Promise(resolve => setImmediate(resolve))
  slow.pause()
  const tell = (ltime: number) => {
    const event: SerfEvent = { kind: 'user', name: 'n', payload: Buffer.alloc(9000), ltime, coalesce: false }
    for (const listener of listeners) listener(event)
  }
  for (let ltime = 1; ltime <= 5000; ltime++) {
    tell(ltime)
    await quickNext()
    expect((await quickNext()).get('LTime')).toBe(ltime)
  }
  expect(said.map(({ sentence }) => sentence)).toEqual(['an RPC client reads too slowly: dropping its records'])
  let [read, last] = [0, 0]
  while (last !== 9999) {
    await slowNext()
    last = Number((await slowNext()).get('LTime'))
    read++
    if (slow.readableLength === 0 && read > 50) tell(9999)
  }
  expect(read).toBeLessThan(2500) // a megabyte, and what the kernel's two ends hold
})
