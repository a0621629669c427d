import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { type Clock, identify, isAlive, type Log, silentLog, systemClock } from '../../base/index.ts'
import type { MemberEvent, QueryEvent, SerfMember, UserEvent } from '../../serf/index.ts'
import { runScript } from './drivers/script.ts'
import {
  EventHandlers,
  type EventHandlersOptions,
  type RunningScript,
  type ScriptCall,
  type ScriptResult,
} from './event-handlers.ts'
import { parseHandler } from './handler-spec.ts'
import { scriptEnvironment, scriptInput } from './script-contract.ts'

function member(name: string, tags: Record<string, string>): SerfMember {
  const versions = { protocolMin: 1, protocolMax: 5, protocolCur: 2, delegateMin: 2, delegateMax: 5, delegateCur: 5 }
  const address = { addr: Uint8Array.of(10, 0, 0, 7), ip: '10.0.0.7', port: 7946 }
  return { name, ...address, tags, status: 'alive', ...versions, statusLTime: 0, leftAtMs: 0 }
}

const join1: MemberEvent = { kind: 'member-join', members: [member('web-1', { role: 'web' })] }
const user = (name: string, payload = ''): UserEvent => {
  return { kind: 'user', name, payload: Buffer.from(payload), ltime: 4, coalesce: true }
}

function query(answers: string[], respond?: QueryEvent['respond']): QueryEvent {
  const fields = { kind: 'query', name: 'load', payload: new Uint8Array(0), ltime: 5, id: 1, sourceNode: 'x' } as const
  const keep = async (payload: Uint8Array) => void answers.push(Buffer.from(payload).toString())
  return { ...fields, deadlineMs: Infinity, respond: respond ?? keep }
}

/** A log that keeps its sentences and scripts. */
function keptLog() {
  const lines: string[] = []
  const keep = (fields: Readonly<Record<string, unknown>>, sentence: string) =>
    void lines.push(`${sentence}: ${String(fields['script'])}`)
  const log: Log = { ...silentLog, error: keep, warn: keep }
  return { log, lines }
}

function handlersFor(specs: string[], more: Partial<EventHandlersOptions> = {}): EventHandlers {
  const options = { selfName: 'me', tags: () => ({}), spawn: runScript, log: silentLog, clock: systemClock }
  return new EventHandlers({ ...options, specs: specs.map(parseHandler), ...more })
}

/** Scripts that end when the test says so. */
function heldScripts() {
  const running: { call: ScriptCall; end(result?: Partial<ScriptResult>): void }[] = []
  const killed: string[] = []
  const spawn = (call: ScriptCall): RunningScript => {
    const { promise, resolve } = withResolvers<ScriptResult>()
    const end = (result: Partial<ScriptResult> = {}) =>
      resolve({ exitStatus: 0, signal: undefined, output: new Uint8Array(0), ...result })
    running.push({ call, end })
    const kill = (signal: string) => {
      killed.push(signal)
      end({ exitStatus: undefined, signal })
    }
    return { ended: promise, kill }
  }
  return { spawn, running, killed }
}

function withResolvers<T>() {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>(settle => {
    resolve = settle
  })
  return { promise, resolve }
}

const turn = () => new Promise<void>(resolve => void setImmediate(resolve))

test('handler specifications are read as Serf reads them', () => {
  const read = (spec: string) => {
    const { filters, script } = parseHandler(spec)
    return [...filters.map(({ kind, name }) => `${kind}/${name}`), script]
  }
  expect(read('notify.sh a b')).toEqual(['*/', 'notify.sh a b'])
  expect(read('*=x')).toEqual(['*/', 'x'])
  expect(read('=x')).toEqual(['*/', 'x'])
  expect(read('member-join,user:deploy,query:=x --y=1')).toEqual(['member-join/', 'user/deploy', 'query/', 'x --y=1'])
  expect(() => parseHandler('handler.sh --x=1')).toThrow("Invalid event script: Event 'handler.sh --x' invoking '1'")
})

test('the environment is what Serf gives', () => {
  const self = { name: 'me', tags: { 'my-Tag.x': 'v', '1st': 'q', é: 'u', role: 'lb\nx' } }
  expect(scriptEnvironment(user('deploy'), self)).toEqual({
    SERF_TAG_MY_TAG_X: 'v',
    SERF_TAG_1ST: 'q',
    SERF_TAG__: 'u',
    SERF_TAG_ROLE: 'lb\nx',
    SERF_EVENT: 'user',
    SERF_SELF_NAME: 'me',
    SERF_SELF_ROLE: 'lb\nx',
    SERF_USER_EVENT: 'deploy',
    SERF_USER_LTIME: '4',
  })
  expect(scriptEnvironment(query([]), { name: 'me', tags: {} })).toEqual({
    SERF_EVENT: 'query',
    SERF_SELF_NAME: 'me',
    SERF_SELF_ROLE: '',
    SERF_QUERY_NAME: 'load',
    SERF_QUERY_LTIME: '5',
  })
})

test('members come as lines whose tabs and newlines are escaped, payloads with a final newline, as in Serf', () => {
  const members = [member('a\tb\nc\\', { role: 'r\t', z: '1,2=3' }), member('plain', {})]
  expect(Buffer.from(scriptInput({ kind: 'member-failed', members })).toString()).toBe(
    'a\\tb\\nc\\\t10.0.0.7\tr\\t\trole=r\\t,z=1,2=3\nplain\t10.0.0.7\t\t\n',
  )
  const texts = ['', 'x', 'x\n'].map(payload => Buffer.from(scriptInput(user('e', payload))).toString())
  expect(texts).toEqual(['', 'x\n', 'x\n'])
})

test('a real script gets arguments, environment and input, and answers a query with its output', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'muster-handlers-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  writeFileSync(
    join(dir, 'h.sh'),
    `echo "$1 $SERF_EVENT $SERF_SELF_NAME $SERF_TAG_DC" >> ${dir}/out; cat >> ${dir}/out`,
  )
  const answers: string[] = []
  const handlers = handlersFor([`member-join,user:deploy=sh ${dir}/h.sh arg`, 'query:load=echo 1.5; echo 2 >&2'], {
    tags: () => ({ dc: 'x' }),
  })
  for (const event of [join1, user('other'), user('deploy', 'v1'), query(answers)]) handlers.handle(event)
  await handlers.idle()
  expect(readFileSync(join(dir, 'out'), 'utf8')).toBe(
    'arg member-join me x\nweb-1\t10.0.0.7\tweb\trole=web\narg user me x\nv1\n',
  )
  expect(answers).toEqual(['1.5\n2\n'])
})

test('no answer comes from a script that fails or says nothing, and a refused answer is reported', async () => {
  const { log, lines } = keptLog()
  const answers: string[] = []
  const handlers = handlersFor(['query=echo no; exit 3', 'query=true', 'query=echo late'], { log })
  handlers.handle(query(answers, () => Promise.reject(new Error('response already sent'))))
  await handlers.idle()
  expect(answers).toEqual([])
  expect(lines.sort()).toEqual(['error invoking script: echo no; exit 3', 'failed to respond to query: echo late'])
})

test('only the last 8 KiB of output are kept, and a script that ignores its input is fine', async () => {
  const { promise, resolve } = withResolvers<Uint8Array>()
  const handlers = handlersFor(['query=head -c 20000 /dev/zero | tr "\\0" a; echo z'])
  handlers.handle({ ...query([], async payload => resolve(payload)), payload: Buffer.alloc(1 << 20, 'i') })
  const output = Buffer.from(await promise)
  expect([output.length, output.subarray(-3).toString()]).toEqual([8192, 'az\n'])
  await handlers.idle()
})

test('each script runs one event at a time in order; a slow one delays no other and is reported once', async () => {
  const { spawn, running } = heldScripts()
  const { log, lines } = keptLog()
  const timers: (() => void)[] = []
  const clock: Clock = { ...systemClock, after: (_ms, fn) => (timers.push(fn), { cancel() {} }) }
  const handlers = handlersFor(['user=slow', 'user=quick', 'member-join=slow'], { spawn, log, clock })
  for (const event of [user('a'), user('b'), join1]) handlers.handle(event)
  const started = () => running.map(({ call }) => `${call.script} ${call.env['SERF_USER_EVENT'] ?? 'join'}`)
  expect(started()).toEqual(['slow a', 'quick a'])
  timers[0]?.()
  running[1]?.end()
  await turn()
  expect(started()).toEqual(['slow a', 'quick a', 'quick b'])
  running[0]?.end()
  await turn()
  running[3]?.end()
  await turn()
  expect(started().slice(3)).toEqual(['slow b', 'slow join'])
  expect(lines).toEqual(['script slow, execution exceeding 1s: slow'])
  for (const script of running) script.end()
  await handlers.idle()
})

test('a script that never ends costs a bounded queue, whose overflow is reported', async () => {
  const { spawn, running } = heldScripts()
  const { log, lines } = keptLog()
  const handlers = handlersFor(['user=stuck'], { spawn, log })
  for (let i = 0; i < 6000; i++) handlers.handle(user(String(i)))
  expect(lines).toEqual(['script too slow, dropping its events: stuck'])
  await handlers.stop()
  expect(running.length).toBe(1)
})

test('stop ends what runs with everything it started, and takes no more', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'muster-handlers-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const out = join(dir, 'out')
  const script = `trap "" TERM; sleep 1000 & echo "$SERF_USER_EVENT $$ $!" >> ${out}; wait; sleep 1000`
  const handlers = handlersFor([`user=${script}`])
  handlers.handle(user('a'))
  handlers.handle(user('b'))
  const words = await vi.waitUntil(() => linesOf(out)[0]?.split(' '))
  const started = words.slice(1).map(pid => identify(Number(pid)))
  expect(started).toMatchObject(words.slice(1).map(pid => ({ pid: Number(pid) }))) // both ran
  await handlers.stop({ killMs: 50 })
  await vi.waitUntil(() => started.every(one => one === undefined || !isAlive(one)))
  handlers.handle(user('c'))
  await handlers.idle()
  expect(linesOf(out)).toEqual([words.join(' ')])
})

/** Whole lines of a file that may not be there yet. */
function linesOf(path: string): string[] {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []
}

test('new handlers take over from the next event on, and what was queued still runs', async () => {
  const { spawn, running } = heldScripts()
  const handlers = handlersFor(['user=old'], { spawn })
  handlers.handle(user('a'))
  handlers.handle(user('b'))
  handlers.replace([parseHandler('user=new')])
  handlers.handle(user('c'))
  running[0]?.end()
  await turn()
  const ran = running.map(({ call }) => `${call.script} ${call.env['SERF_USER_EVENT']}`)
  expect(ran).toEqual(['old a', 'new c', 'old b'])
  for (const script of running) script.end()
  await handlers.idle()
})

test('a name that no environment can hold fails its own call and nothing else', async () => {
  const { log, lines } = keptLog()
  const answers: string[] = []
  const handlers = handlersFor(['user,query=echo ok'], { log })
  handlers.handle(user('a\0b'))
  handlers.handle(query(answers))
  await handlers.idle()
  expect([lines, answers]).toEqual([['error invoking script: echo ok'], ['ok\n']])
})
