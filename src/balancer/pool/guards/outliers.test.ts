import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Outliers, type ServerSample, sharedWeights } from './outliers.ts'

/** So many looks at servers of one pool, 100 requests each between two. */
function looks(outliers: Outliers, times: number, responsesMs: readonly number[], from = 0, perLook = 100): number {
  for (let look = 0; look <= times; look++)
    outliers.sample(
      responsesMs.map(
        (responseMs, i): ServerSample => ({ key: `s${i}`, pool: 'web', responseMs, requests: (from + look) * perLook }),
      ),
    )
  return from + times
}

const sharesOf = (outliers: Outliers, count: number) =>
  Array.from({ length: count }, (_, i) => outliers.shareOf(`s${i}`))

test('a server three times as slow as the others, and 50 ms more, gets half after three looks, then a quarter, and no less', () => {
  const outliers = new Outliers()
  let at = looks(outliers, 2, [10, 12, 11, 200])
  expect(sharesOf(outliers, 4)).toEqual([1, 1, 1, 1])
  at = looks(outliers, 1, [10, 12, 11, 200], at)
  expect(sharesOf(outliers, 4)).toEqual([1, 1, 1, 0.5])
  at = looks(outliers, 3, [10, 12, 11, 200], at)
  at = looks(outliers, 9, [10, 12, 11, 200], at)
  expect(sharesOf(outliers, 4)).toEqual([1, 1, 1, 0.25])
  looks(outliers, 6, [10, 12, 11, 12], at)
  expect(sharesOf(outliers, 4)).toEqual([1, 1, 1, 1])
})

test('a few milliseconds are no reason, nor are a pool of two, few requests, or many that are slow', () => {
  const cases: readonly (readonly [readonly number[], number])[] = [
    [[1, 1, 1, 40], 100],
    [[10, 500], 100],
    [[10, 10, 10, 500], 3],
  ]
  for (const [responsesMs, perLook] of cases) {
    const outliers = new Outliers()
    looks(outliers, 9, responsesMs, 0, perLook)
    expect(sharesOf(outliers, responsesMs.length)).toEqual(responsesMs.map(() => 1))
  }
  const many = new Outliers()
  looks(many, 20, [10, 10, 10, 500, 500])
  expect(sharesOf(many, 5).filter(share => share < 1).length).toBe(1)
})

test('a server with little traffic has its share back when it is quick again, and in a pool of two at once', () => {
  const pool = { requests: [0, 0, 0, 0] }
  const look = (outliers: Outliers, times: number, responsesMs: readonly number[]) => {
    for (let i = 0; i < times; i++) {
      pool.requests = pool.requests.map((sum, at) => sum + Math.round(30 * outliers.shareOf(`s${at}`)))
      const samples = responsesMs.map((responseMs, at) => ({ responseMs, requests: pool.requests[at] ?? 0 }))
      outliers.sample(samples.map((sample, at) => ({ ...sample, key: `s${at}`, pool: 'web' })))
    }
  }
  const outliers = new Outliers()
  look(outliers, 12, [10, 12, 11, 400])
  expect(sharesOf(outliers, 4)).toEqual([1, 1, 1, 0.25])
  look(outliers, 20, [10, 12, 11, 12])
  expect(sharesOf(outliers, 4)).toEqual([1, 1, 1, 1])
  const shrunk = new Outliers()
  look(shrunk, 12, [400, 12, 11])
  expect(sharesOf(shrunk, 2)).toEqual([0.25, 1])
  look(shrunk, 1, [400, 12])
  expect(sharesOf(shrunk, 2)).toEqual([1, 1])
})

test('weights stay in proportion, are whole, 1 to 256, and those of before while nobody is slow', () => {
  const server = fc.record({ weight: fc.integer({ min: 0, max: 256 }), share: fc.constantFrom(1, 1, 0.5, 0.25) })
  fc.assert(
    fc.property(fc.array(server, { minLength: 1, maxLength: 20 }), servers => {
      const weights = sharedWeights(servers)
      for (const [i, weight] of weights.entries()) {
        expect(Number.isInteger(weight) && weight <= 256).toBe(true)
        expect(weight === 0).toBe(servers[i]?.weight === 0)
      }
      if (servers.every(({ share }) => share === 1)) expect(weights).toEqual(servers.map(({ weight }) => weight))
    }),
  )
  expect(sharedWeights([1, 1, 1].map((weight, i) => ({ weight, share: i === 0 ? 0.5 : 1 })))).toEqual([4, 8, 8])
})
