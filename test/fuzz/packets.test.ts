import { expect, test } from 'vitest'
import { fuzzPackets } from './packets.ts'

test('twenty thousand broken packets and streams are read or refused, and nothing escapes', () => {
  const report = fuzzPackets({ count: 20_000, seed: 9041 })
  expect(report.accepted + report.refused).toBe(20_000)
  expect(report.accepted).toBeGreaterThan(1000) // the mutations leave enough alone to reach the inner layers
  expect(report.refused).toBeGreaterThan(1000)
})
