import { expect, test } from 'vitest'
import { Pace } from './pace.ts'

test('the pace is kept over any ticks, and a stall is made up for up to a second', () => {
  const pace = new Pace(333, 0)
  let sent = 0
  for (let ms = 0; ms <= 10_000; ms += 7) sent += pace.due(ms)
  expect(sent).toBe(Math.floor((9996 * 333) / 1000))
  expect(pace.due(9996 + 60_000)).toBeLessThanOrEqual(334)
  expect(pace.due(0)).toBe(0)
})
