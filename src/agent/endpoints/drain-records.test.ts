import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  bytesOf,
  decodeRecord,
  DrainBook,
  type DrainRecord,
  encodeRecord,
  isMeant,
  RECORD_BYTES_MAX,
  RECORDS_MAX,
  stampAfter,
} from './drain-records.ts'

const NOW = 1_795_000_000_000
const HOUR = 3_600_000
const record = (more: Partial<DrainRecord> = {}): DrainRecord => ({
  ...{ server: 'web-2', node: 'lb-1', atMs: NOW, forced: false, undone: false },
  ...more,
})
const names = fc.stringMatching(/^[a-z0-9.:-]{1,12}$/)
const anyRecord = fc.record({
  server: fc.constantFrom('web-1', 'web-2', '10.0.0.7:3000'),
  node: names,
  atMs: fc.integer({ min: NOW - 9, max: NOW + 9 }),
  forced: fc.boolean(),
  undone: fc.boolean(),
})

test('a record reads back as it was sent', () => {
  const whole = record({ pool: 'web', user: 'root', deadlineMs: NOW + 1, reason: 'disk', forced: true, undone: true })
  for (const one of [record(), whole]) expect(decodeRecord(JSON.parse(JSON.stringify(encodeRecord(one))))).toEqual(one)
})

test('anything else is no record, and throws nothing', () => {
  const good = encodeRecord(record())
  const bad = [
    null,
    [],
    'x',
    {},
    { ...good, s: '' },
    { ...good, s: 'a b' },
    { ...good, s: 'a\nserver evil' },
    { ...good, s: 'a'.repeat(200) },
    { ...good, p: '../x' },
    { ...good, p: 7 },
    { ...good, n: 'a\u001b[31m' },
    { ...good, a: -1 },
    { ...good, a: '1' },
    { ...good, a: 1.5 },
    { ...good, a: 1e300 },
    { ...good, d: Number.NaN },
    { ...good, u: 'x\u202ey' },
    { ...good, r: 'a\nb' },
    { ...good, r: 'a'.repeat(201) },
    { ...good, n: '€'.repeat(100), r: '€'.repeat(150) },
  ]
  expect(bad.map(decodeRecord)).toEqual(bad.map(() => undefined))
  fc.assert(
    fc.property(fc.jsonValue(), value => {
      const read = decodeRecord(value)
      if (read !== undefined) expect(bytesOf(read)).toBeLessThanOrEqual(RECORD_BYTES_MAX)
    }),
  )
})

test('balancers agree whatever the order in which they hear, and however often', () => {
  fc.assert(
    fc.property(fc.array(anyRecord, { maxLength: 12 }), fc.integer(), (records, seed) => {
      const books = [new DrainBook(), new DrainBook()]
      for (const one of records) books[0]?.put(one, NOW)
      const shuffled = [...records, ...records].map((one, at) => ({ one, at: (at * 7919 + seed) % 104_729 }))
      for (const { one } of shuffled.sort((a, b) => a.at - b.at)) books[1]?.put(one, NOW)
      expect(books[1]?.all()).toEqual(books[0]?.all())
    }),
  )
})

test('the later word counts: a drain that was taken back does not return with an old one', () => {
  const book = new DrainBook()
  expect(book.put(record(), NOW)).toBe('new')
  expect(book.put(record(), NOW)).toBe('known')
  expect(book.put(record({ atMs: NOW + 1, undone: true }), NOW)).toBe('new')
  expect(book.put(record(), NOW)).toBe('older')
  expect(book.active()).toEqual([])
})

test('a new word comes after what it replaces, also where that was stamped by a clock that is ahead', () => {
  const ahead = record({ atMs: NOW + HOUR })
  const book = new DrainBook()
  book.put(ahead, NOW)
  expect(book.put(record({ atMs: stampAfter(NOW, [ahead]), undone: true }), NOW)).toBe('new')
  expect(book.put(record({ atMs: NOW + 25 * HOUR }), NOW)).toBe('refused')
})

test('a flood of records stops at the bound; tombstones make room first', () => {
  const book = new DrainBook()
  for (let i = 0; i < RECORDS_MAX; i++) book.put(record({ server: `s${i}`, atMs: NOW - i, undone: i > 250 }), NOW)
  expect(book.put(record({ server: 'more' }), NOW)).toBe('new')
  expect(book.find(`s${RECORDS_MAX - 1}`, undefined)).toBeUndefined()
  for (let i = 0; i < 20; i++) book.put(record({ server: `flood${i}` }), NOW)
  expect(book.all()).toHaveLength(RECORDS_MAX)
  expect(book.put(record({ server: 'last' }), NOW)).toBe('refused')
  expect(book.find('s0', undefined)).toBeDefined()
})

test('a drain ends an hour after its member is forgotten; a tombstone is kept for a day', () => {
  const book = new DrainBook()
  book.put(record(), NOW)
  book.put(record({ server: 'web-3', undone: true }), NOW)
  book.tidy(() => true, NOW + 30 * HOUR)
  expect(book.all().map(one => one.server)).toEqual(['web-2'])
  book.tidy(() => false, NOW + 30.9 * HOUR)
  expect(book.active()).toHaveLength(1)
  book.tidy(() => false, NOW + 31.1 * HOUR)
  expect(book.active()).toEqual([])
})

test('a record means a member with all its servers, one server, or an address', () => {
  const one = { pool: 'web', name: 'web-2:3001', host: 'web-2', ip: '10.0.0.7', port: 3001 }
  expect(['web-2', 'web-2:3001', '10.0.0.7:3001'].map(server => isMeant({ server }, one))).toEqual([true, true, true])
  expect(['web', 'web-2:3000', '10.0.0.7'].map(server => isMeant({ server }, one))).toEqual([false, false, false])
  expect(isMeant({ server: 'web-2', pool: 'api' }, one)).toBe(false)
  expect(isMeant({ server: '[fd00::7]:80' }, { ...one, ip: 'fd00::7', port: 80 })).toBe(true)
})
