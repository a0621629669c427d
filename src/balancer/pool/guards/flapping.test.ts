import { expect, test } from 'vitest'
import { Flapping } from './flapping.ts'

test('three falls within a minute hold a server out for ten seconds, each further one for twice as long, up to five minutes', () => {
  const flapping = new Flapping()
  for (const atMs of [0, 20_000]) flapping.fell('a', atMs)
  expect(flapping.heldUntilMs('a', 20_000)).toBeUndefined()
  flapping.fell('a', 40_000)
  expect(flapping.heldUntilMs('a', 40_000)).toBe(50_000)
  expect(flapping.heldUntilMs('a', 50_000)).toBeUndefined()
  const pauses = [60_000, 90_000, 140_000, 230_000, 400_000].map(atMs => {
    flapping.fell('a', atMs)
    return (flapping.heldUntilMs('a', atMs) ?? 0) - atMs
  })
  expect(pauses).toEqual([20_000, 40_000, 80_000, 160_000, 300_000])
})

test('falls that are far apart are no flapping, and ten quiet minutes forgive everything', () => {
  const flapping = new Flapping()
  for (const atMs of [0, 40_000, 80_000, 120_000]) flapping.fell('a', atMs)
  expect(flapping.heldUntilMs('a', 120_000)).toBeUndefined()
  flapping.fell('a', 121_000)
  expect(flapping.heldUntilMs('a', 121_000)).toBe(131_000)
  flapping.fell('a', 121_000 + 10 * 60_000 + 1)
  expect(flapping.heldUntilMs('a', 121_000 + 10 * 60_000 + 1)).toBeUndefined()
})

test('servers are held out each for itself, and no more of them are remembered than fit', () => {
  const flapping = new Flapping()
  for (let times = 0; times < 3; times++) flapping.fell('a', times)
  expect(flapping.heldUntilMs('b', 3)).toBeUndefined()
  for (let i = 0; i < 5_000; i++) flapping.fell(`x${i}`, 10)
  expect(flapping.heldUntilMs('a', 10)).toBeUndefined()
})
