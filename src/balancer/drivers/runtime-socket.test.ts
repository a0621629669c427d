import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../base/index.ts'
import { RuntimeSocketError } from '../errors.ts'
import { askMaster, openRuntimeSession } from './runtime-socket.ts'

let folder = ''
let path = ''
const servers: Server[] = []
const sockets: Socket[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-rs-'))
  path = join(folder, 's')
})
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const server of servers.splice(0)) await new Promise(done => server.close(done))
  rmSync(folder, { recursive: true, force: true })
})

/** An HAProxy that answers each line as it is told to. */
async function haproxy(answer: (line: string, socket: Socket) => void): Promise<void> {
  const server = createServer(socket => {
    sockets.push(socket)
    socket.setEncoding('utf8')
    socket.on('error', () => socket.destroy())
    socket.on('data', (text: string) => {
      for (const line of text.split('\n').filter(Boolean)) answer(line, socket)
    })
  })
  servers.push(server)
  await new Promise<void>(done => server.listen(path, done))
}

const PROMPT = '\n> '
const isGreeting = (line: string) => line === 'prompt' || line.startsWith('set severity')
const open = (timeoutMs = 300) => openRuntimeSession(path, { timeoutMs, clock: systemClock })

test('a socket that is gone is said with its path', async () => {
  await expect(open()).rejects.toThrow(RuntimeSocketError)
  await expect(open()).rejects.toThrow(path)
})

test('HAProxy that says nothing is given up in time, before and after the greeting', async () => {
  await haproxy((line, socket) => void (line === 'prompt' && socket.write(PROMPT)))
  await expect(open()).rejects.toThrow('no answer within 300 ms')
})

test('HAProxy that stops midway fails the command that waits, and all behind it', async () => {
  await haproxy((line, socket) => {
    if (isGreeting(line)) socket.write(PROMPT)
    else socket.end('half a repl')
  })
  const session = await open()
  const [first, second] = [session.command('show info'), session.command('show stat')]
  await expect(first).rejects.toThrow('closed the connection')
  await expect(second).rejects.toThrow('closed the connection')
  await expect(session.command('show info')).rejects.toThrow(RuntimeSocketError)
})

test('an answer without an end, however long, is given up and bounded', async () => {
  const noise = 'x'.repeat(1 << 20)
  await haproxy((line, socket) => {
    if (isGreeting(line)) return void socket.write(PROMPT)
    const pour = (): void => void (socket.destroyed || (socket.write(noise), setImmediate(pour)))
    pour()
  })
  const session = await open(10_000)
  await expect(session.command('show stat')).rejects.toThrow('reply too long')
})

test('answers are told apart by the prompt, whatever pieces they come in', async () => {
  await haproxy((line, socket) => {
    if (isGreeting(line)) return void socket.write(PROMPT)
    for (const piece of [`of ${line}`, '\n', '>', ' ']) socket.write(piece)
  })
  const session = await open()
  expect(await Promise.all(['a', 'b', 'c'].map(line => session.command(line)))).toEqual(['of a', 'of b', 'of c'])
  session.close()
})

test('what could be two commands, or end a payload early, is never sent', async () => {
  const seen: string[] = []
  await haproxy((line, socket) => {
    seen.push(line)
    socket.write(PROMPT)
  })
  const session = await open()
  for (const line of ['show info;quit', 'show\ninfo', 'set map a b c\\', `add acl ${'x'.repeat(9_000)}`])
    await expect(session.command(line)).rejects.toThrow('not a single command')
  await expect(session.command('set ssl cert a <<', 'one\n\nshutdown sessions\n')).rejects.toThrow(RuntimeSocketError)
  await expect(session.command('set ssl cert a <<', 'x'.repeat(17_000))).rejects.toThrow(RuntimeSocketError)
  session.close()
  expect(seen.filter(line => !isGreeting(line))).toEqual([])
})

test('the master is asked once; silence, too, is given up in time', async () => {
  await haproxy(() => undefined)
  await expect(askMaster(path, 'show proc', { timeoutMs: 200, clock: systemClock })).rejects.toThrow(
    'no answer within 200 ms',
  )
})
