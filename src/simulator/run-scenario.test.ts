import { expect, test } from 'vitest'
import { runScenario } from './run-scenario.ts'
import { PLAIN_SWIM, type Scenario, USUAL } from './scenario.ts'
import { intervalScenario } from './studies/lifeguard.ts'
import { expectedMs, runScale } from './studies/scale.ts'

const busy: Scenario = {
  ...USUAL,
  members: 25,
  core: 'serf',
  durationMs: 60_000,
  loss: 0.02,
  partitions: [{ atMs: 20_000, forMs: 3000, members: 0.3, oneWay: false }],
  slow: [{ members: 2, atMs: 5000, forMs: 1000, pauseMs: 500, untilMs: 40_000 }],
  churn: { join: 6, leave: 4, crash: 4 },
  eventsPerMinute: 10,
}

test('the same scenario and seed, the same report to the last byte; another seed, another', () => {
  const report = runScenario(busy, 5)
  expect(runScenario(busy, 5)).toEqual(report)
  expect(runScenario(busy, 6).cost).not.toEqual(report.cost)
  expect(report.samples).toHaveLength(60)
  expect(new Set(report.spreads.map(({ kind }) => kind))).toEqual(new Set(['join', 'leave', 'crash', 'event']))
  expect(report.samples.at(-1)?.agreement).toBeGreaterThan(0.9)
})

test('a ring left alone agrees, buries nobody, and each member sends two packets a second: a ping and an ack', () => {
  const { samples, falsePositives, cost } = runScenario({ ...USUAL, members: 40, formed: true, durationMs: 60_000 }, 1)
  expect(samples.every(({ agreement }) => agreement === 1)).toBe(true)
  expect(falsePositives).toBe(0)
  expect(cost.packets).toBeGreaterThan(1.8)
  expect(cost.packets).toBeLessThan(2.8)
})

test('a crash is seen in the agreement, and found by all in the time of a suspicion', () => {
  const { samples, spreads } = runScenario(
    { ...USUAL, members: 30, formed: true, churn: { join: 0, leave: 0, crash: 2 } },
    3,
  )
  expect(Math.min(...samples.map(({ agreement }) => agreement))).toBeLessThan(1)
  const [crash] = spreads
  expect(crash).toMatchObject({ kind: 'crash', reached: crash?.audience })
  expect(crash?.lastMs).toBeGreaterThan(4000)
  expect(crash?.lastMs).toBeLessThan(40_000)
})

test('with Lifeguard far fewer healthy members are buried by slow ones than with plain SWIM (arXiv 1707.00788)', () => {
  const falsePositives = (lifeguard: Scenario['lifeguard']) => {
    const configuration = { name: '', lifeguard, suspicionMult: 5 }
    const scenario = intervalScenario({ configuration, slow: 3, forMs: 16_000, pauseMs: 1000 })
    return runScenario({ ...scenario, members: 32, durationMs: 75_000 }, 1).falsePositives
  }
  const plain = falsePositives(PLAIN_SWIM)
  expect(plain).toBeGreaterThan(100)
  expect(falsePositives(USUAL.lifeguard)).toBeLessThan(plain / 10)
})

test('news comes to everybody within a few times what the theory says, and a crash within its suspicion', () => {
  const { spreads } = runScale({ members: 60, core: 'memberlist', seed: 2 })
  expect(spreads.map(({ kind }) => kind)).toEqual(['join', 'leave', 'crash'])
  for (const { kind, lastMs } of spreads) expect(lastMs).toBeLessThan(2 * expectedMs(kind, 60))
})
