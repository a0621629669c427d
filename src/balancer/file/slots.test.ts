import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SlotMap } from './slots.ts'

test('a server keeps its slot, and finds it again when it returns before somebody else needs it', () => {
  const slots = new SlotMap(3)
  expect([slots.occupy('a'), slots.occupy('b'), slots.occupy('a')]).toEqual([1, 2, 1])
  slots.release('a')
  expect(slots.occupy('c')).toBe(3) // free for longer than the first
  expect(slots.occupy('a')).toBe(1)
})

test('a hundred servers that join a map of 20 grow it twice', () => {
  const slots = new SlotMap(20)
  let growths = 0
  for (let n = 0; n < 100; n++) {
    slots.occupy(`s${n}`)
    if (slots.growIfTight()) growths++
  }
  expect(growths).toBe(2)
  expect(slots.free).toBeGreaterThanOrEqual(25)
})

test('no two servers ever share a slot', () => {
  const step = fc.tuple(fc.constantFrom('occupy', 'release', 'adopt'), fc.integer({ min: 1, max: 9 }))
  fc.assert(
    fc.property(fc.array(step), steps => {
      const slots = new SlotMap(2)
      for (const [kind, n] of steps) {
        if (kind === 'occupy') slots.occupy(`s${n}`)
        else if (kind === 'release') slots.release(`s${n}`)
        else slots.adopt(n, `s${n}`)
      }
      const occupants = slots.slots().flatMap(({ occupant }) => occupant ?? [])
      expect(new Set(occupants).size).toBe(occupants.length)
      expect(slots.size - slots.free).toBe(occupants.length)
      expect(slots.slots().map(({ number }) => number)).toEqual(slots.slots().map((_, i) => i + 1))
    }),
  )
})
