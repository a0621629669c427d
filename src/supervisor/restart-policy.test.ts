import { expect, test } from 'vitest'
import { seededRandom } from '../base/index.ts'
import { RestartPolicy } from './restart-policy.ts'

const spec = { minMs: 100, maxMs: 30_000, stableMs: 10_000, quarantineAfter: 12 }

test('each unstable run doubles the wait up to the longest, less at most a quarter of jitter', () => {
  const policy = new RestartPolicy(spec, seededRandom(1))
  for (let failures = 1; failures < spec.quarantineAfter; failures++) {
    const full = Math.min(30_000, 100 * 2 ** (failures - 1))
    const decision = policy.ended(50)
    const delayMs = decision.kind === 'restart' ? decision.delayMs : Number.NaN
    expect(delayMs).toBeLessThanOrEqual(full)
    expect(delayMs).toBeGreaterThanOrEqual(full * 0.75 - 1)
  }
  expect(policy.ended(50)).toEqual({ kind: 'quarantine', failures: 12 })
})

test('a stable run makes the next failure the first', () => {
  const policy = new RestartPolicy(spec, seededRandom(1))
  for (let i = 0; i < 8; i++) policy.ended(0)
  const decision = policy.ended(10_000)
  expect(decision.kind === 'restart' && decision.delayMs <= 100).toBe(true)
  expect(policy.failures).toBe(1)
})

test('with a quarantine after 0 failures there is none: tried for ever, at the longest gap', () => {
  const policy = new RestartPolicy({ ...spec, quarantineAfter: 0 }, seededRandom(1))
  for (let i = 0; i < 1100; i++) policy.ended(0) // 2 ** 1100 is more than a number holds
  const decision = policy.ended(0)
  expect(decision.kind === 'restart' && decision.delayMs <= 30_000 && decision.delayMs >= 22_500).toBe(true)
})
