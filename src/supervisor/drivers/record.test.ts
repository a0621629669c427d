import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseRecord } from './record.ts'

const identity = { version: 1, pid: 12, startTime: '99', bootId: 'b' }
const record = { ...identity, specHash: 'h', ready: true, stopSignal: 'SIGUSR1', stopTimeoutMs: 5 }

test('a record reads back as it was written', () => {
  expect(parseRecord(JSON.stringify(record))).toEqual(record)
})

test('anything else is no record: cut short, another version, pid 1, a pid of a whole group, an invented signal', () => {
  const wrong = [
    { version: 2 },
    { pid: 1 },
    { pid: -12 },
    { startTime: 99 },
    { stopSignal: 'SIGNOPE' },
    { stopTimeoutMs: -1 },
  ]
  for (const part of wrong) expect(parseRecord(JSON.stringify({ ...record, ...part }))).toBeUndefined()
  fc.assert(fc.property(fc.string(), text => parseRecord(text) === undefined))
  fc.assert(fc.property(fc.json(), text => parseRecord(text) === undefined))
})
