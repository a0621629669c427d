import fc from 'fast-check'
import { expect, test } from 'vitest'
import { boundedBodies } from './bounded.ts'
import { decodeLine, encodeLine, mayMention, RECORD_BYTES_MAX, readHead } from './line.ts'
import { Pools } from './pools.ts'
import { isAbout } from './query.ts'
import type { AnyRecord, JournalEntry, JournalRecord, ReceiptChange } from './records.ts'

const record = (body: object): AnyRecord => ({ index: 7, at: 1_763_726_587_000, kind: 'guard', ...body }) as AnyRecord
const lineOf = (one: AnyRecord) => encodeLine(one).subarray(0, -1)

test('a record is one line, whatever is in it, and comes back as it was', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.jsonValue({ maxDepth: 3 }), (what, more) => {
      const one = JSON.parse(JSON.stringify(record({ guard: 'g', what, more }))) as AnyRecord
      const line = encodeLine(one)
      expect(line.indexOf(10)).toBe(line.length - 1)
      expect(readHead(line.subarray(0, -1))).toEqual({ index: 7, at: one.at, kind: 'guard' })
      expect(decodeLine(line.subarray(0, -1))).toEqual(one)
    }),
  )
})

test('any other bytes are no record: none at all, random ones, a line with one bit changed or one byte less', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), bytes => readHead(Buffer.from(bytes)) === undefined))
  const line = lineOf(record({ guard: 'g', what: 'it did' }))
  for (let at = 0; at < line.length; at++) {
    const damaged = Buffer.from(line)
    damaged[at] = (damaged[at] as number) ^ 1
    expect(readHead(damaged), String(at)).toBeUndefined()
    expect(readHead(line.subarray(0, at))).toBeUndefined()
  }
})

test('numbers that leave no room to go on, and kinds that nobody knows, are no records', () => {
  expect(readHead(lineOf(record({ index: 2 ** 53 - 1 })))).toBeUndefined()
  expect(readHead(lineOf(record({ kind: 'future' })))).toBeUndefined()
})

test('a record that is too long is cut, fits, and says how long what it lost was', () => {
  const tags = Object.fromEntries(Array.from({ length: 9000 }, (_, i) => [`key-${i}`, 'x'.repeat(50)]))
  const entries = [
    { kind: 'guard', guard: 'g', what: '\u0000'.repeat(200_000) },
    { kind: 'command', actor: 'root', command: 'ü'.repeat(100_000), outcome: 'y'.repeat(100_000) },
    {
      kind: 'member',
      event: 'join',
      member: 'a',
      before: null,
      after: { address: 'b', status: 'c', tags },
      seenBy: 'd',
    },
  ] as const
  for (const entry of entries) {
    const [body, ...more] = boundedBodies(entry as JournalEntry)
    expect(more).toEqual([])
    expect(Buffer.byteLength(JSON.stringify(body))).toBeLessThan(RECORD_BYTES_MAX)
    expect(body).toMatchObject({ kind: entry.kind, cut: expect.anything() })
  }
  expect(boundedBodies(entries[0])[0]).toMatchObject({ cut: { what: 200_000 } })
})

test('receipts of any size fold to the same pools as their changes one by one', () => {
  const change = fc.record({
    ...{
      pool: fc.constantFrom('web', 'api'),
      server: fc.constantFrom('a', 'b'),
      reason: fc.string({ maxLength: 400 }),
    },
    address: fc.integer({ min: 1, max: 250 }).map(n => `10.0.0.${n}:80`),
    before: fc.constant(null),
    after: fc.option(fc.record({ state: fc.constantFrom('ready', 'drain'), weight: fc.integer({ min: 0, max: 256 }) })),
  })
  const receipt = {
    kind: 'receipt',
    id: 'r',
    actor: 'a',
    causes: [],
    method: 'file',
    reasons: [],
    commands: [],
    tookMs: 1,
  }
  fc.assert(
    fc.property(fc.array(change, { maxLength: 600, size: 'max' }), changes => {
      const bodies = boundedBodies({ ...receipt, changes } as JournalEntry)
      const [folded, oneByOne] = [new Pools(true), new Pools(true)]
      for (const body of bodies) {
        const json = JSON.stringify({ index: 1, at: 1, ...body })
        expect(Buffer.byteLength(json)).toBeLessThanOrEqual(RECORD_BYTES_MAX)
        folded.apply(JSON.parse(json) as AnyRecord)
      }
      for (const one of changes) oneByOne.apply({ index: 1, at: 1, ...receipt, changes: [one] } as AnyRecord)
      expect(folded.list()).toEqual(oneByOne.list())
      const read = new Pools()
      for (const part of folded.snapshot()) read.apply({ ...part, index: 1, at: 1, kind: 'snapshot' })
      expect([read.isWhole, read.list()]).toEqual([true, folded.list()])
    }),
    { numRuns: 30 },
  )
})

test('a snapshot that lacks a part changes nothing', () => {
  const pools = new Pools(true)
  const change: ReceiptChange = {
    ...{ pool: 'web', server: 'a', address: '10.0.0.1:80', before: null, reason: '' },
    after: { state: 'ready', weight: 1 },
  }
  pools.apply({ ...record({}), kind: 'receipt', changes: [change] } as AnyRecord)
  for (const part of [1, 3]) pools.apply({ index: 1, at: 1, kind: 'snapshot', part, parts: 3, servers: [] })
  expect(pools.size).toBe(1)
})

test('records of any shape are looked into without harm', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), fc.string(), (value, what) => {
      const one = {
        ...record({}),
        changes: value,
        causes: value,
        servers: value,
        part: 1,
        parts: 1,
      } as unknown as JournalRecord
      isAbout(one, what)
      const pools = new Pools()
      for (const kind of ['receipt', 'snapshot', 'agent'] as const) pools.apply({ ...one, kind } as AnyRecord)
    }),
  )
})

test('what a record may be about is seen in its line, however it is written there', () => {
  for (const what of ['web-1', 'ü"\\', '日本']) expect(mayMention(lineOf(record({ guard: what })), what)).toBe(true)
})

test("HAProxy's checks say how a server of the pool is, and nothing of one that is not there", () => {
  const pools = new Pools(true)
  const about = { pool: 'web', server: 'web-2', address: '10.0.0.2:80', reason: "HAProxy's checks fail" }
  const after = { state: 'ready', weight: 1 }
  const receipt = { kind: 'receipt', changes: [{ ...about, before: null, after, reason: 'announced ready' }] }
  pools.apply({ ...record({}), ...receipt } as AnyRecord)
  pools.apply({ ...record({}), kind: 'check', ...about, before: 'ready', after: 'down' } as AnyRecord)
  pools.apply({
    ...record({}),
    kind: 'check',
    ...about,
    address: '10.0.0.9:80',
    before: 'ready',
    after: 'down',
  } as AnyRecord)
  expect(pools.list().map(({ server, state, reason }) => ({ server, state, reason }))).toEqual([
    { server: 'web-2', state: 'down', reason: "HAProxy's checks fail" },
  ])
})
