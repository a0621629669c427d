import { expect, test } from 'vitest'
import { ForeignKeys } from './foreign-keys.ts'

const MINUTE_MS = 60_000

test('a sender with a foreign key is told of once in ten minutes, and is forgotten when it is silent or understood', () => {
  const keys = new ForeignKeys()
  expect([keys.heard('10.0.0.2', 0), keys.heard('10.0.0.2', MINUTE_MS)]).toEqual([true, false])
  expect(keys.heard('10.0.0.2', 11 * MINUTE_MS)).toBe(true)
  expect(keys.senders(20 * MINUTE_MS)).toEqual(['10.0.0.2'])
  expect(keys.senders(22 * MINUTE_MS)).toEqual([])
  keys.heard('10.0.0.3', 22 * MINUTE_MS)
  keys.understood('10.0.0.3')
  expect(keys.senders(22 * MINUTE_MS)).toEqual([])
})

test('a stranger with many addresses costs a bounded list', () => {
  const keys = new ForeignKeys()
  const told = Array.from({ length: 1000 }, (_, i) => keys.heard(`10.0.${i >> 8}.${i & 255}`, i)).filter(Boolean)
  expect(told.length).toBe(64)
})
