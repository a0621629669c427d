import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { CodecError } from '../codec/index.ts'
import { decodeMessage, encodeMessage } from '../memberlist/index.ts'
import { encodeFilters, filtersMatch } from './filters.ts'
import {
  type ConflictMember,
  decodeSerfMessage,
  encodeSerfMessage,
  type EventsAt,
  type SerfMessage,
} from './messages.ts'
import { LinearRegex } from './regex.ts'
import { decodeTags, encodeTags, TagsTooLargeError } from './tags.ts'

interface Vector {
  name: string
  hex: string
  decoded: {
    messageType?: number
    message?: Record<string, unknown> | null
    header?: Record<string, unknown>
    inner?: Record<string, unknown>
    filterType?: number
    tags?: Record<string, string>
  }
}
const file = new URL('../../test/vectors/serf.json', import.meta.url)
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vector[]
const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

for (const vector of vectors.filter(v => v.decoded.messageType !== undefined)) {
  test(`the recorded ${vector.name} decodes, and encodes to the same bytes`, () => {
    const message = decodeSerfMessage(bytesOf(vector.hex))
    expect(hexOf(encodeSerfMessage(message))).toBe(vector.hex)
    expect(written(message)).toEqual(vector.decoded.message ?? vector.decoded.header ?? null)
    const inner = message.type === 'relay' ? decodeSerfMessage(message.inner) : undefined
    expect(inner === undefined ? undefined : written(inner)).toEqual(vector.decoded.inner)
  })
}

/** A message in the recording's own words. */
function written(message: SerfMessage): unknown {
  switch (message.type) {
    case 'join':
      return { LTime: message.ltime, Node: message.node }
    case 'leave':
      return { LTime: message.ltime, Node: message.node, Prune: message.prune }
    case 'userEvent':
      return { ...ofKind(message), CC: message.coalesce }
    case 'query':
      return {
        ...{ ...ofKind(message), Addr: shown(message.addr), Port: message.port, SourceNode: message.sourceNode },
        ...{ ID: message.id, Flags: message.flags, RelayFactor: message.relayFactor, Timeout: message.timeoutNs },
        Filters: message.filters.length === 0 ? null : message.filters.map(shown),
      }
    case 'queryResponse':
      return {
        ...{ LTime: message.ltime, ID: message.id, From: message.from, Flags: message.flags },
        Payload: orNil(message.payload),
      }
    case 'conflictResponse':
      return message.member === undefined ? null : claimOf(message.member)
    case 'keyRequest':
      return { Key: shown(message.key) }
    case 'keyResponse':
      return {
        ...{ Keys: message.keys ?? null, Message: message.message, PrimaryKey: message.primaryKey },
        Result: message.result,
      }
    case 'relay':
      return {
        DestAddr: { IP: shown(message.addr), Port: message.port, Zone: message.zone },
        DestName: message.destName,
      }
    case 'pushPull':
      return {
        ...{ LTime: message.ltime, EventLTime: message.eventLTime, QueryLTime: message.queryLTime },
        ...{ LeftMembers: message.leftMembers, StatusLTimes: Object.fromEntries(message.statusLTimes) },
        Events: { $array_length: message.events.length, $non_nil: Object.fromEntries(slotsOf(message.events)) },
      }
  }
}

const shown = (bytes: Uint8Array) => ({ $bytes: hexOf(bytes) })
const orNil = (bytes: Uint8Array) => (bytes.length === 0 ? null : shown(bytes))
const ofKind = (m: { ltime: number; name: string; payload: Uint8Array }) => ({
  ...{ LTime: m.ltime, Name: m.name, Payload: orNil(m.payload) },
})

function slotsOf(events: readonly (EventsAt | undefined)[]) {
  return events.flatMap((slot, at) => {
    if (slot === undefined) return []
    const told = slot.events.map(({ name, payload }) => ({ Name: name, Payload: orNil(payload) }))
    return [[at, { LTime: slot.ltime, Events: told }] as const]
  })
}

function claimOf(m: ConflictMember) {
  const [ProtocolMin, ProtocolMax, ProtocolCur, DelegateMin, DelegateMax, DelegateCur] = m.versions
  const versions = { ProtocolMin, ProtocolMax, ProtocolCur, DelegateMin, DelegateMax, DelegateCur }
  return { ...versions, Name: m.name, Addr: shown(m.addr), Port: m.port, Tags: m.tags, Status: m.status }
}

test('the recorded alive message carries our tags as its Meta, and the versions that we announce', () => {
  const { hex, decoded } = vectors.find(({ name }) => name === 'alive-message-for-context') as Vector
  const alive = decodeMessage(bytesOf(hex))
  if (alive.type !== 'alive') throw new Error('not an alive message')
  const meta = decoded.message?.['Meta'] as { $bytes: string }
  expect([hexOf(alive.meta), alive.vsn]).toEqual([meta.$bytes, [1, 5, 2, 2, 5, 5]])
  expect(decodeTags(alive.meta).tags).toEqual({ role: 'web', dc: 'east' })
  expect(hexOf(encodeMessage(alive))).toBe(hex)
})

test('every recorded vector has a test: messages, Metas, filters; coordinates and snapshots beside their code', () => {
  const elsewhere = /^(ping-payload-|coordinate-updates$|snapshot-|alive-message-for-context$)/
  const rest = vectors.filter(({ name, decoded: { messageType, tags, filterType } }) => {
    return messageType === undefined && tags === undefined && filterType === undefined && !elsewhere.test(name)
  })
  expect(rest.map(({ name }) => name)).toEqual([])
  expect(vectors).toHaveLength(59)
})

test('recorded Metas decode to their tags, and the tags encode to a Meta of the same meaning', () => {
  const metas = vectors.filter(v => v.decoded.tags !== undefined)
  expect(metas).toHaveLength(5)
  for (const { hex, decoded } of metas) {
    const { tags, sound } = decodeTags(bytesOf(hex))
    expect([tags, sound]).toEqual([decoded.tags, true])
    expect(decodeTags(encodeTags(tags)).tags).toEqual(decoded.tags)
  }
})

test('a Meta without the magic byte is the role alone, an empty one the empty role (Serf protocol 2)', () => {
  expect(decodeTags(Buffer.from('web')).tags).toEqual({ role: 'web' })
  expect(decodeTags(new Uint8Array(0)).tags).toEqual({ role: '' })
})

test('tags of more than 512 encoded bytes are a typed error', () => {
  expect(() => encodeTags({ long: 'x'.repeat(505) })).toThrow(TagsTooLargeError)
  expect(encodeTags({ long: 'x'.repeat(502) })).toHaveLength(512)
})

test('recorded filters match as described, and encode to the same bytes', () => {
  const [nodes, tag] = encodeFilters({ nodes: ['alpha', 'bravo'], tags: { role: '^(web|db)$' } }) as [
    Uint8Array,
    Uint8Array,
  ]
  const recorded = vectors.filter(v => v.decoded.filterType !== undefined).map(v => v.hex)
  expect([hexOf(nodes), hexOf(tag)]).toEqual(recorded)
  expect(filtersMatch([nodes, tag], 'bravo', { role: 'db' })).toBe(true)
  expect(filtersMatch([nodes, tag], 'bravo', { role: 'dbx' })).toBe(false)
  expect(filtersMatch([nodes, tag], 'charlie', { role: 'db' })).toBe(false)
  expect(filtersMatch(encodeFilters({ tags: { absent: '^$' } }), 'x', {})).toBe(true)
})

test('an empty, unknown or malformed filter matches nobody and stops nothing (real nodes crash on the empty one)', () => {
  for (const filter of ['', '07', '00', '01', '00c3', '0181a445787072a128']) {
    expect(filtersMatch([bytesOf(filter)], 'x', {})).toBe(false)
  }
})

test('an expression that would keep a backtracking matcher busy for years is answered at once', () => {
  const text = `${'a'.repeat(500)}!`
  expect(new LinearRegex('^(a+)+$').test(text)).toBe(false)
  expect(new LinearRegex('(.*.*.*.*)*x').test(text)).toBe(false)
  expect(() => new LinearRegex('((a{1000}){1000}){1000}')).toThrow('too large')
  expect(() => new LinearRegex('(abcdefgh){1000}')).toThrow('too large')
  expect(() => new LinearRegex('('.repeat(400))).toThrow('missing closing')
})

test('expressions agree with RegExp where the two languages agree', () => {
  const expressions = [
    '^(web|db)$',
    'a.c',
    '[^a-c]x',
    'x{2,3}',
    'a|b|',
    '\\d+\\.\\d',
    '\\bweb\\b',
    '(?:ab)*c',
    '[a\\-z]',
    'a?b+',
    '',
  ]
  const texts = ['web', 'web-1', 'db', 'abc', 'xx', 'dx', 'xxx', '1.5', '', 'a-z', 'ababc', 'bb', 'my web 2', 'c']
  for (const expression of expressions) {
    const [ours, theirs] = [new LinearRegex(expression), new RegExp(expression, 'u')]
    for (const text of texts) expect([expression, text, ours.test(text)]).toEqual([expression, text, theirs.test(text)])
  }
})

test('any bytes decode or fail with CodecError, never otherwise', () => {
  const property = (bytes: Uint8Array) => {
    try {
      decodeSerfMessage(bytes)
    } catch (failure) {
      expect(failure).toBeInstanceOf(CodecError)
    }
    decodeTags(bytes)
    filtersMatch([bytes], 'x', {})
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), property))
  const samples = vectors.map(v => bytesOf(v.hex)).filter(bytes => bytes.length < 500)
  fc.assert(
    fc.property(fc.constantFrom(...samples), fc.nat(499), fc.nat(255), (sample, at, byte) => {
      const bytes = sample.slice()
      bytes[at % bytes.length] = byte
      property(bytes)
    }),
  )
})
