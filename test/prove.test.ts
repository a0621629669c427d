/** `muster prove` as people run it: around a command, on a site that keeps its requests, and on sites that do not. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, request, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually, Part, part } from './parts.ts'
import { ask, WEBAPP } from './tier.ts'

const MUSTER = resolve(import.meta.dirname, '../bin/muster')
const IP = '127.0.181.1'
const APP = `http://${IP}:3000/`
const LOAD = ['--rate', '40', '--tail', '200ms', '--echo', '--ws-life', '1s']
const ALL = ['--kinds', 'close,keep-alive,post,websocket']

let directory: string
let app: Part

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'prove-'))
  const own = { PORT: '3000', HOST: IP, SERVER_IP: IP, SERVER_NAME: 'web-1', SERVER_LEDGER: ledger() }
  app = new Part([process.execPath, WEBAPP], own)
  await eventually(
    () => ask(APP),
    name => name === 'web-1',
  )
})

afterAll(async () => {
  await app.end('SIGKILL')
  rmSync(directory, { recursive: true })
})

const ledger = () => join(directory, 'executed')

/** The text of both streams; a program's own words and ours. */
async function prove(...args: string[]): Promise<{ code: number | null; output: string }> {
  const run = new Part([process.execPath, MUSTER, 'prove', ...args])
  const code = await run.exited
  await eventually(
    () => run.child.stderr?.readableEnded === true,
    isRead => isRead,
  )
  return { code, output: run.output }
}

type Meddle = (nth: number, method: string) => 'lose' | 'double' | 'pass'

/** A proxy in front of the application that does not do its work. */
async function proxy(port: number, meddle: Meddle): Promise<Server> {
  let nth = 0
  const server = createServer((asked, answer) => {
    const forward = (then?: typeof answer) => {
      const { method, headers, url } = asked
      const sent = request({ host: IP, port: 3000, method, path: url, headers, agent: false }, got => {
        if (then === undefined) return void got.resume()
        then.writeHead(got.statusCode ?? 502, got.headers)
        got.pipe(then)
      })
      sent.on('error', () => then?.destroy())
      sent.end()
    }
    const how = meddle(nth++, asked.method ?? '')
    if (how === 'lose') return void asked.socket.destroy()
    if (how === 'double') forward()
    forward(answer)
  })
  await once(server.listen(port, IP), 'listening')
  return server
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise(done => server.close(done))
}

test('a site that keeps its requests: all four kinds, the acts that the command tells, exit 0', async () => {
  const told = `echo hello; ${process.execPath} ${MUSTER} prove mark second; sleep 0.3`
  const { code, output } = await prove('--url', APP, ...LOAD, ...ALL, '--ledger', ledger(), '--', 'sh', '-c', told)
  expect(output).toMatch(/^hello$/m)
  for (const kind of ['close', 'keep-alive', 'post', 'websocket'])
    expect(output).toMatch(new RegExp(`^second +${kind} +\\d+ +\\d+ +0 +0 +0 `, 'm'))
  expect(output).toMatch(/proved: \d+ requests, 0 lost, 0 doubled/)
  expect(code).toBe(0)
}, 30_000)

test('a site that loses requests is found out: exit 1, with what became of them', async () => {
  const server = await proxy(3001, nth => (nth % 20 === 19 ? 'lose' : 'pass'))
  const { code, output } = await prove('--url', `http://${IP}:3001/`, ...LOAD, '--', 'sleep', '0.5')
  await closed(server)
  expect(output).toMatch(/failed: \d+ requests? (were|was) lost/)
  expect(output).toMatch(/lost: \S+ (close|keep-alive) \w+-\d+ in ".*": ECONNRESET/)
  expect(code).toBe(1)
}, 30_000)

test('a site that runs POSTs twice is found out by the ledger of the server', async () => {
  const server = await proxy(3002, (nth, method) => (method === 'POST' && nth % 20 === 19 ? 'double' : 'pass'))
  const site = ['--url', `http://${IP}:3002/`, '--kinds', 'close,post', '--ledger', `${APP}.muster/ledger`]
  const { code, output } = await prove(...site, ...LOAD, '-o', 'json', '--', 'sleep', '0.5')
  await closed(server)
  expect(output).toMatch(/failed: \d+ requests? ran more than once/)
  expect(output).toMatch(/"doubled": \[\s+"\w+-\d+"/)
  expect(code).toBe(1)
}, 30_000)

test('what is in flight at a kill that the command tells of is unknown, and accounted for', async () => {
  const silent = createServer((asked, answer) => {
    if (asked.method === 'GET') answer.end('good')
    else if (asked.headers['x-request-id'] !== undefined) setTimeout(() => asked.socket.destroy(), 300)
  })
  await once(silent.listen(3003, IP), 'listening')
  const words = (word: string) => `${process.execPath} ${MUSTER} prove ${word} web-1`
  const site = ['--url', `http://${IP}:3003/`, '--kinds', 'close,post', '--rate', '20', '--tail', '0s']
  const told = `${words('kill-begins')}; sleep 0.5; ${words('kill-ends')}`
  const { output } = await prove(...site, '-o', 'json', '--', 'sh', '-c', told)
  await closed(silent)
  const { total } = JSON.parse(output.slice(output.indexOf('{'), output.lastIndexOf('}') + 1)) as {
    total: { unknown: number; atKills: number; lost: number }
  }
  expect(total.unknown).toBeGreaterThan(0)
  expect(total.unknown).toBeLessThanOrEqual(total.atKills)
  expect(total.lost).toBeGreaterThan(0) // those of before the kill began
}, 30_000)

test("a command's own failure is told and fails the proof; a site that is not there is never acted on", async () => {
  const failing = await prove('--url', APP, ...LOAD, '--', 'sh', '-c', 'exit 7')
  expect(failing.output).toMatch('COMMAND failed: exit code 7')
  expect(failing.code).toBe(1)
  const nowhere = await prove('--url', `http://${IP}:3999/`, ...LOAD, '--', 'echo', 'was started')
  expect(nowhere.output).toMatch(/no good answer \(ECONNREFUSED\)/)
  expect(nowhere.output).not.toMatch(/^was started/m)
  expect(nowhere.code).toBe(1)
}, 30_000)

test('interrupted, it ends the command and prints the table so far', async () => {
  const run = new Part([
    process.execPath,
    MUSTER,
    'prove',
    '--url',
    APP,
    ...LOAD,
    '--',
    'sh',
    '-c',
    'echo up; sleep 60',
  ])
  await eventually(
    () => run.output,
    output => /^up$/m.test(output),
  )
  expect(await run.end('SIGINT')).toBe(130)
  expect(run.output).toMatch(/^total +all /m)
}, 30_000)

test('churn: joins, leaves, crashes, freezes and reloads of a tier of its own lose nothing', async () => {
  part('haproxy')
  const { code, output } = await prove('churn', '--duration', '12s', '--rate', '40', '--ws-life', '2s')
  expect(output).toMatch(/proved: \d+ requests, 0 lost, 0 doubled/)
  expect(code, output).toBe(0)
}, 90_000)
