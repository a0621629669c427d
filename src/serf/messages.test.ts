import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { CodecError } from '../codec/index.ts'
import { encodeFilters, filtersMatch } from './filters.ts'
import { decodeSerfMessage, encodeSerfMessage } from './messages.ts'
import { LinearRegex } from './regex.ts'
import { decodeTags, encodeTags, TagsTooLargeError } from './tags.ts'

interface Vector {
  name: string
  hex: string
  decoded: {
    messageType?: number
    message?: Record<string, unknown> | null
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
    const wire = vector.decoded.message
    if (wire !== null && wire !== undefined && 'LTime' in wire) expect(message).toMatchObject({ ltime: wire['LTime'] })
    if (wire !== null && wire !== undefined && 'Name' in wire && 'name' in message)
      expect(message.name).toBe(wire['Name'])
  })
}

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
  expect(() => new LinearRegex('((a{1000}){1000}){1000}')).toThrow('invalid repeat')
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
