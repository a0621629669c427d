import { expect, test } from 'vitest'
import { haproxySpec, maxconnFor } from './start.ts'

test('maxconn leaves a descriptor for each checked server and is 10,000 at most', () => {
  for (const [descriptors, checks] of [
    [20_000, 6_000],
    [20_000, 20],
    [4_096, 1_000],
    [1_024, 300],
    [1_048_576, 40_000],
  ] as const)
    expect(2 * maxconnFor(descriptors, checks) + checks + 60).toBeLessThanOrEqual(descriptors)
  expect(maxconnFor(20_000, 6_000)).toBeGreaterThan(5_000)
  expect(maxconnFor(1_048_576, 40_000)).toBe(10_000)
  expect(maxconnFor(4_096, 41)).toBe(maxconnFor(4_096, 60))
  expect(maxconnFor(1_048_576, 20, 20)).toBe(20)
  expect(maxconnFor(1_048_576, 20, 100_000)).toBe(100_000)
  expect(maxconnFor(4_096, 20, 100_000)).toBe(maxconnFor(4_096, 20))
})

test('HAProxy is given as long to stop as the slowest server may take to answer, so that no request is cut', () => {
  const config = {
    ...{ template: 'slots' as const, configPath: '/c', runDir: '/r', node: { name: 'lb', ip: '10.0.0.1' } },
    ...{ frontends: {}, pools: { web: {}, slow: { timeoutServerMs: 120_000 } } },
  }
  expect(haproxySpec(config, 'haproxy').stopTimeoutMs).toBeGreaterThanOrEqual(125_000)
  expect(haproxySpec({ ...config, pools: { web: {} } }, 'haproxy').stopTimeoutMs).toBeGreaterThanOrEqual(35_000)
})
