import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { expect, test, vi } from 'vitest'
import { ApiAnswerError, type ApiBackend, startApi } from '../api/index.ts'
import { silentLog } from '../base/index.ts'
import { withoutUnknown, withTwoDashes } from './arguments.ts'
import { runDrain } from './drain.ts'
import { exitCodeOf } from './exit.ts'
import { createLog, formatRecord } from './log.ts'
import { runApply, runRollback } from './plan.ts'
import { program } from './program.ts'
import { statusText } from './status.ts'
import { formatTable, printable, printableLines } from './table.ts'
import { UsageError } from './usage-error.ts'

test('one dash and two are the same; single letters and what follows -- stay', () => {
  expect(withTwoDashes(['agent', '-node=a', '--bind', 'x', '-o', 'json', '--', '-name'])).toEqual([
    'agent',
    '--node=a',
    '--bind',
    'x',
    '-o',
    'json',
    '--',
    '-name',
  ])
})

test('help of a command that there is not is not the help of all', () => {
  const commands = ['drain', 'status']
  for (const args of [[], ['--help'], ['drain', '--help'], ['help'], ['help', 'drain'], ['help', '--help']])
    expect(withoutUnknown(args, commands)).toEqual(args)
  for (const args of [
    ['hold', '--help'],
    ['hold', '-h'],
    ['help', 'hold'],
    ['hold', 'drain', '--help'],
  ])
    expect(withoutUnknown(args, commands)).toEqual(['hold'])
})

test('nothing of a stranger turns the order of letters round, moves the cursor or begins a line', () => {
  const unseen = [
    '\u001b',
    '\u0085',
    '\u2028',
    '\u2029',
    '\u200e',
    '\u200f',
    '\u061c',
    '\u202a',
    '\u202e',
    '\u2066',
    '\u2069',
  ]
  for (const char of unseen) {
    expect(printable(`a${char}b`)).toBe('a\uFFFDb')
    expect(printableLines(`a${char}b\n\tc`)).toBe('a\uFFFDb\n\tc')
  }
  expect(printable('zoë עברית 日本 👩‍💻')).toBe('zoë עברית 日本 👩‍💻')
})

test('columns are as wide as their widest entry, the last one is not padded, and no name moves the cursor', () => {
  expect(
    formatTable([
      ['n1', '10.0.0.1:7946', 'a'],
      ['longer', 'x\u001b[2J', ''],
    ]),
  ).toBe('n1      10.0.0.1:7946  a\nlonger  x\uFFFD[2J          ')
})

test('a log line is a date, a level, who, the sentence and its fields', () => {
  const time = new Date(2026, 10, 21, 9, 34, 47).getTime()
  const line = formatRecord(JSON.stringify({ level: 30, time, room: 'serf', member: 'web 1', n: 2, msg: 'joined' }))
  expect(line).toBe('2026/11/21 09:34:47 [INFO] serf: joined member="web 1" n=2')
})

test("a service's output cannot forge a line", () => {
  const line = formatRecord(JSON.stringify({ level: 30, time: 0, service: 'web', msg: 'a\nb\u001b' }))
  expect(line).toContain('service web: a\\x0ab\\x1b')
  const turned = JSON.stringify({ level: 30, time: 0, room: 'serf', member: 'a\u202eb\u009b', msg: 'joined \u2066' })
  expect(formatRecord(turned)).toContain('serf: joined \\u2066 member=')
  expect(formatRecord(turned)).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u)
})

test('wrong usage ends with 2, an agent that is not there with 3, anything else with 1', () => {
  expect([new UsageError('x'), Object.assign(new Error(), { code: 'RPC_UNREACHABLE' }), 'x'].map(exitCodeOf)).toEqual([
    2, 3, 1,
  ])
})

test('what the agent could not understand is wrong usage, too', () => {
  expect([400, 414, 422, 500].map(status => exitCodeOf(new ApiAnswerError(status, 'x')))).toEqual([2, 2, 1, 1])
})

test('what is no generation is told before anybody is asked', async () => {
  for (const generation of ['abc', '', '-1', '1.5'])
    await expect(runRollback({ socket: '/nowhere' }, generation)).rejects.toThrow(UsageError)
})

/** What a command says to an agent whose answers are these. */
async function toldBy(routes: object, run: (socket: string) => Promise<void>) {
  const folder = mkdtempSync(join(tmpdir(), 'muster-cli-'))
  const socketPath = join(folder, 'a.sock')
  const told = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  const printed = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
  try {
    await using _api = await startApi({ socketPath }, { log: silentLog, routes: routes as ApiBackend })
    await run(socketPath)
    const textOf = (calls: readonly (readonly unknown[])[]) => calls.map(([text]) => String(text)).join('')
    return { stderr: textOf(told.mock.calls), stdout: textOf(printed.mock.calls), exit: process.exitCode ?? 0 }
  } finally {
    vi.restoreAllMocks()
    process.exitCode = undefined
    rmSync(folder, { recursive: true })
  }
}

test('a list of generations that is empty is a sentence and no failure', async () => {
  const none = { configuring: { generations: () => [] } }
  expect(await toldBy(none, socket => runRollback({ list: true, socket }, undefined))).toEqual({
    stderr: 'no configuration of a balancer has been in force on this node; there is nothing to go back to\n',
    ...{ stdout: '', exit: 0 },
  })
})

test('a list of drains that is cut off says so beside it', async () => {
  const drains = { drains: async () => ({ drains: [], more: true, silent: [] }) }
  const list = await toldBy(drains, socket => runDrain({ socket, wait: true }, undefined))
  expect(list.stderr).toContain('there are more; ask by name: muster drain --list SERVER')
  const json = await toldBy(drains, socket => runDrain({ socket, wait: true, output: 'json' }, undefined))
  expect(JSON.parse(json.stdout)).toMatchObject({ more: true })
})

test('what commander refuses begins as whatever else we refuse', async () => {
  const told = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  await expect(program().parseAsync(['members', '--nope'], { from: 'user' })).rejects.toThrow('unknown option')
  const text = told.mock.calls.map(([one]) => String(one)).join('')
  vi.restoreAllMocks()
  expect(text).toMatch(/^muster: unknown option '--nope'/)
})

test('an empty plan, of an unset variable, is not every plan', async () => {
  await expect(runApply({ plan: '', socket: '/nowhere' })).rejects.toThrow(UsageError)
})

test('status names each server with its state and the reason', () => {
  const server = { name: 'web-1', address: '10.0.0.5:3000', state: 'ready', reason: 'its agent says so', sessions: 3 }
  const text = statusText({
    ...{ node: 'lb', pid: 7, version: '1', members: { alive: 2, leaving: 0, left: 0, failed: 0 }, services: [] },
    balancer: { haproxy: { state: 'running', reloads: 0 }, pools: [{ name: 'web', servers: [server] }], advice: [] },
  })
  expect(text).toContain('web   web-1   10.0.0.5:3000  ready  3         its agent says so')
})

test('a log that nobody reads any more does not end the agent', async () => {
  const out = new Writable({
    autoDestroy: false,
    write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
  })
  const log = createLog({ level: 'info', format: 'text' }, out)
  const broke = new Promise(resolve => out.once('error', resolve))
  log.info({}, 'hello')
  expect(await broke).toMatchObject({ code: 'EPIPE' })
  expect(() => log.info({}, 'still there')).not.toThrow()
  expect(out.listenerCount('error')).toBe(1)
})
