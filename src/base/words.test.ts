import { expect, test } from 'vitest'
import { age, counted } from './words.ts'

test('an age is told in the largest unit that is full, and one thing is one', () => {
  const ages = [-1, 0, 59_999, 60_000, 3_600_000, 90_000_000].map(age)
  expect(ages).toEqual(['0 s', '0 s', '59 s', '1 m', '1 h', '1 d'])
  expect([0, 1, 2].map(count => counted(count, 'session'))).toEqual(['0 sessions', '1 session', '2 sessions'])
})
