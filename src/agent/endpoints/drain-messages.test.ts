import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  decodeDrainAnswer,
  decodeDrainsRequest,
  decodePage,
  type DrainAnswer,
  type DrainsRequest,
  encodeDrainAnswer,
  encodeDrainsRequest,
  encodePage,
} from './drain-messages.ts'
import type { DrainRecord } from './drain-records.ts'

const record = (server: string, reason = 'r'.repeat(200)): DrainRecord => ({
  ...{ server, pool: 'web', node: 'n'.repeat(60), user: 'root', atMs: 1_795_000_000_000, reason },
  ...{ forced: true, undone: false },
})

test('requests and answers read back as they were sent, below the size that Serf takes', () => {
  const requests: DrainsRequest[] = [
    { op: 'look', server: 'web-2' },
    { op: 'look', server: '10.0.0.7:3000', pool: 'web' },
    { op: 'put', record: record('web-2') },
    { op: 'list', from: 7 },
  ]
  for (const one of requests) {
    expect(decodeDrainsRequest(encodeDrainsRequest(one))).toEqual(one)
    expect(encodeDrainsRequest(one).length).toBeLessThan(800)
  }
  const plain: DrainAnswer = { servers: 0, sessions: 0, isOpen: false, isBound: false }
  const below = { pool: 'web', has: 3, without: 1, min: 3 }
  const full = { ...plain, oldestMs: 9_000, isOpen: true, isBound: true, heldBack: 'web', below, record: record('a') }
  for (const one of [plain, full]) expect(decodeDrainAnswer(encodeDrainAnswer(one))).toEqual(one)
})

test('a long list comes in pages that Serf takes, none lost', () => {
  const all = Array.from({ length: 40 }, (_, at) => record(`web-${at}`))
  const found: DrainRecord[] = []
  let from: number | undefined = 0
  while (from !== undefined) {
    const payload = encodePage(all, from)
    expect(payload.length).toBeLessThanOrEqual(900)
    const page = decodePage(payload)
    found.push(...(page?.records ?? []))
    from = page?.next
  }
  expect(found).toEqual(all)
})

test('hostile payloads are no requests and no answers, and throw nothing', () => {
  const texts = [
    '',
    '[',
    'null',
    '[]',
    '["put"]',
    '["put",7]',
    '["look","a b",""]',
    '["look","a","../x"]',
    '["list",-1]',
  ]
  for (const text of [...texts, '["list",1e308]', '{"n":-1,"c":0}', '{"n":1}', `["look","${'a'.repeat(2_000)}",""]`]) {
    expect(decodeDrainsRequest(Buffer.from(text))).toBeUndefined()
    expect(decodeDrainAnswer(Buffer.from(text))).toBeUndefined()
  }
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 64 }),
        fc.json().map(text => Buffer.from(text)),
      ),
      payload => {
        decodeDrainsRequest(payload)
        decodeDrainAnswer(payload)
        decodePage(payload)
      },
    ),
  )
})
