import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { silentLog, systemClock } from '../../base/index.ts'
import { asMap, Float64, type Decoded, decodeMsgpack, type MsgpackValue, Raw } from '../../codec/index.ts'
import type { SerfEvent } from '../events.ts'
import type { SerfMember } from '../member.ts'
import type { RpcBackend } from './backend.ts'
import { RpcDispatcher } from './dispatch.ts'
import {
  decodeRecord,
  encodeRecord,
  eventRecord,
  memberFromFields,
  memberRecord,
  membersFromFields,
} from './records.ts'
import { ReplyReader } from './replies.ts'
import { REQUEST_BYTES_MAX, RpcSession, type SessionStep } from './session.ts'

interface Line {
  readonly dir: 'c>s' | 's>c'
  readonly hex?: string
  readonly event?: string
}
interface Recording {
  readonly name: string
  readonly lines: readonly Line[]
}
const recordings = (
  JSON.parse(readFileSync(new URL('../../../test/vectors/serf-rpc.json', import.meta.url), 'utf8')) as {
    sessions: Recording[]
  }
).sessions
const recorded = (name: string) => recordings.find(session => session.name === name) as Recording
const bytesOf = (line: Line) => Buffer.from(line.hex ?? '', 'hex')
const known = recordings.filter(
  ({ lines }) => !lines.some(line => /list-keys|-key|get-coord|monitor|bogus/.test(bytesOf(line).toString('latin1'))),
)

/** All steps the session takes on its own, up to the first wait or close. */
function steps(session: RpcSession): SessionStep[] {
  const taken: SessionStep[] = []
  for (;;) {
    const step = session.next()
    if (step.kind === 'wait') return taken
    taken.push(step)
    if (step.kind === 'close') return taken
  }
}

function answersOf(taken: readonly SessionStep[]): Buffer {
  return Buffer.concat(
    taken
      .map(step => (step.kind === 'answer' || step.kind === 'close' ? (step.bytes ?? []) : []))
      .map(b => Buffer.from(b)),
  )
}

/** Decoded values as what would encode to them. */
function again(value: Decoded): MsgpackValue {
  if (value instanceof Raw) return value.text
  if (value instanceof Map) return new Map(Array.from(value, ([key, item]) => [key, again(item)] as const))
  if (Array.isArray(value)) return value.map(again)
  return value as null | boolean | number | bigint | Uint8Array | Float64
}

test('every recorded request decodes, byte by byte as well as at once', () => {
  for (const { name, lines } of known) {
    const key = name.startsWith('auth') ? 'sekret' : ''
    const [whole, dripping] = [new RpcSession(key), new RpcSession(key)]
    for (const line of lines.filter(({ dir }) => dir === 'c>s')) {
      whole.receive(bytesOf(line))
      const drips: SessionStep[] = []
      for (const byte of bytesOf(line)) {
        dripping.receive(Uint8Array.of(byte))
        if (drips.at(-1)?.kind !== 'close') drips.push(...steps(dripping))
      }
      expect(drips, name).toEqual(steps(whole))
    }
  }
})

test('handshake, authentication and refusals answer with the recorded bytes', () => {
  const names = [
    'handshake',
    'handshake-bad-version-then-good-then-duplicate',
    'command-before-handshake',
    'unknown-command',
    'auth-errors',
    'auth-before-handshake',
  ]
  for (const { name, lines } of names.map(recorded)) {
    const session = new RpcSession(name.startsWith('auth') ? 'sekret' : '')
    for (const [i, line] of lines.entries()) {
      if (line.dir !== 'c>s') continue
      session.receive(bytesOf(line))
      expect(answersOf(steps(session)).toString('hex')).toBe(lines[i + 1]?.hex)
    }
  }
})

test('members and stream records are rebuilt byte for byte from their values', () => {
  let members = 0
  let events = 0
  for (const line of recordings.flatMap(session => session.lines).filter(({ dir }) => dir === 's>c')) {
    const bytes = bytesOf(line)
    for (let at = 0; at < bytes.length; ) {
      const { value, end } = decodeMsgpack(bytes, at)
      const fields = asMap(value)
      const hex = bytes.subarray(at, end).toString('hex')
      at = end
      const kind = fields.get('Event')
      if (fields.has('Members') && kind === undefined) {
        const again = membersFromFields(fields).map(memberRecord)
        expect(Buffer.from(encodeRecord({ Members: again })).toString('hex')).toBe(hex)
        members++
      } else if (kind instanceof Raw && kind.text === 'user') {
        const event = {
          kind: 'user' as const,
          name: (fields.get('Name') as Raw).text,
          payload: (fields.get('Payload') ?? new Uint8Array(0)) as Uint8Array,
          ltime: fields.get('LTime') as number,
          coalesce: fields.get('Coalesce') as boolean,
        }
        expect(Buffer.from(eventRecord(event, 0)).toString('hex')).toBe(hex)
        events++
      }
    }
  }
  expect([members > 5, events]).toEqual([true, 2])
})

test('every recorded answer is read by the client, headers and bodies apart, and encodes to its bytes again', () => {
  for (const { lines } of recordings) {
    const bytes = Buffer.concat(lines.filter(({ dir }) => dir === 's>c').map(bytesOf))
    const parts: Buffer[] = []
    for (let at = 0; at < bytes.length; ) {
      const { value, end } = decodeMsgpack(bytes, at)
      if (!bytes.subarray(at, end).includes('Coord'))
        parts.push(Buffer.from(encodeRecord(again(value) as Map<string, MsgpackValue> as never)))
      else parts.push(bytes.subarray(at, end))
      at = end
    }
    expect(Buffer.concat(parts).toString('hex')).toBe(bytes.toString('hex'))
  }
  const reader = new ReplyReader(seq => seq === 2)
  reader.receive(bytesOf(recorded('join').lines[1] as Line))
  reader.receive(bytesOf(recorded('join').lines[3] as Line))
  expect([reader.next()?.seq, reader.next()?.body?.get('Num'), reader.next()]).toEqual([1, 1, undefined])
})

test('any bytes at all are steps, never an exception, and a closed session stays closed', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 8 }), chunks => {
      const session = new RpcSession('')
      session.receive(bytesOf(recorded('handshake').lines[0] as Line))
      for (const chunk of chunks) {
        session.receive(chunk)
        steps(session)
      }
    }),
    { numRuns: 300 },
  )
  const broken = new RpcSession('')
  broken.receive(Uint8Array.of(0xc1))
  expect([broken.next().kind, broken.next().kind]).toEqual(['close', 'close'])
})

test('a value that promises more than a request may have closes before it arrives', () => {
  const session = new RpcSession('')
  session.receive(Uint8Array.of(0xdb, 0x7f, 0xff, 0xff, 0xff))
  expect(session.next()).toEqual({ kind: 'close', reason: 'value is too long' })
  expect(session.buffered).toBeLessThan(REQUEST_BYTES_MAX)
})

test('members are filtered as Serf does: ^E$ without a group, a missing tag is empty, wrong expressions close', async () => {
  const named = (name: string, tags: Record<string, string>): SerfMember => ({
    ...memberFromFields(decodeRecord(encodeRecord({ Addr: Uint8Array.of(10, 0, 0, 1), Status: 'alive' }))),
    name,
    tags,
  })
  const all = [named('web-1', { role: 'web' }), named('db-1', { role: 'db' }), named('x', {})]
  const dispatcher = new RpcDispatcher(
    { members: () => all } as unknown as RpcBackend,
    { clock: systemClock, log: silentLog },
    () => true,
  )
  const found = async (name: string, status: string, tags: [string, string][] = []) => {
    const answer = await dispatcher.perform({ seq: 1, command: 'members-filtered', name, status, tags: new Map(tags) })
    const { end } = decodeMsgpack(answer.bytes)
    return membersFromFields(decodeRecord(answer.bytes.subarray(end))).map(member => member.name)
  }
  expect(await found('', '')).toEqual(['web-1', 'db-1', 'x'])
  expect(await found('web', '')).toEqual([])
  expect(await found('web|x', '')).toEqual(['web-1', 'x'])
  expect(await found('(?i)WEB-1', 'alive')).toEqual(['web-1'])
  expect(await found('', '', [['role', '']])).toEqual(['x'])
  expect(await found('', '', [['role', '(a+)+b|w.*']])).toEqual(['web-1'])
  await expect(found('(', '')).rejects.toThrow()
})

test('a slow reader loses records, is told of in the log, and costs no one else', async () => {
  let emit: (event: SerfEvent) => void = () => {}
  let room = true
  const pushed: Uint8Array[] = []
  const backend = { onEvent: (listener: typeof emit) => ((emit = listener), () => {}) } as unknown as RpcBackend
  const dispatcher = new RpcDispatcher(
    backend,
    { clock: systemClock, log: silentLog },
    bytes => room && pushed.push(bytes) > 0,
  )
  const answer = await dispatcher.perform({ seq: 7, command: 'stream', filters: 'user:a' })
  answer.afterwards?.()
  const user = (name: string): SerfEvent => ({
    kind: 'user',
    name,
    payload: new Uint8Array(0),
    ltime: 1,
    coalesce: false,
  })
  for (const name of ['a', 'b']) emit(user(name))
  room = false
  emit(user('a'))
  expect(pushed.length).toBe(1)
})
