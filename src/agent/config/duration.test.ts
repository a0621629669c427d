import { expect, test } from 'vitest'
import { parseDuration } from './duration.ts'
import { nearest } from './nearest.ts'

test('durations are read as Go writes them; a bare number is none', () => {
  expect(['300ms', '1.5s', '2m', '1h10m', '0', '0s', '1us'].map(parseDuration)).toEqual([
    300, 1500, 120_000, 4_200_000, 0, 0, 0.001,
  ])
  for (const bad of ['', '5', '-1s', '1 s', 's', '1d', '1e3s', '.s', '9999999h'])
    expect(parseDuration(bad)).toBeUndefined()
})

test('the nearest word is what was meant, or nothing', () => {
  expect(nearest('prot', ['pool', 'port', 'ip'])).toBe('port')
  expect(nearest('something', ['pool', 'port'])).toBeUndefined()
})
