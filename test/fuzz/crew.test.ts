import { expect, test } from 'vitest'
import { CASE_MS_MAX, isTooLong } from './crew.ts'

test.each([
  ['is busy all the time', 3 * CASE_MS_MAX, 3 * CASE_MS_MAX, true],
  ['waits for a promise that nobody keeps', 11 * CASE_MS_MAX, 30, true],
  ['waits a while for a processor', 3 * CASE_MS_MAX, 500, false],
  ['has only begun', 100, 3 * CASE_MS_MAX, false],
])('a case that %s for %i ms, with %i ms of processor time: hangs is %s', (_, wallMs, cpuMs, hangs) => {
  expect(isTooLong(wallMs, cpuMs)).toBe(hangs)
})
