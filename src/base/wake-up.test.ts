import { beforeEach, expect, test } from 'vitest'
import type { Clock } from './clock.ts'
import { WakeUp } from './wake-up.ts'

let nowMs: number
let calls: number[]
let set: { readonly atMs: number; readonly fn: () => void } | undefined
const clock: Clock = {
  nowMs: () => nowMs,
  wallMs: () => nowMs,
  after(delayMs, fn) {
    const mine = { atMs: nowMs + delayMs, fn }
    set = mine
    return { cancel: () => (set = set === mine ? undefined : set) }
  },
}
const tick = () => calls.push(nowMs)

/** The machine gets to its timer then, which may be late. */
function at(timeMs: number): void {
  nowMs = timeMs
  const due = set
  set = undefined
  due?.fn()
}

beforeEach(() => {
  nowMs = 0
  calls = []
  set = undefined
})

test('it calls once, when it is due; what is set later counts instead, and nothing after its end', () => {
  const wake = new WakeUp(clock, tick)
  wake.set(100)
  wake.set(49.5)
  wake.set(undefined)
  expect(set?.atMs).toBe(50)
  at(50)
  expect([calls, set]).toEqual([[50], undefined])
  wake.set(300)
  wake.end()
  wake.set(250)
  expect(set).toBeUndefined()
})

test('a call that comes too late rests first, whatever is set meanwhile', () => {
  const wake = new WakeUp(clock, tick, { lateMs: 250, restMs: 50 })
  wake.set(100)
  at(349)
  expect(calls).toEqual([349])
  wake.set(400)
  at(650)
  wake.set(660)
  expect([calls, set?.atMs]).toEqual([[349], 700])
  at(700)
  expect(calls).toEqual([349, 700])
  wake.set(710)
  expect(set?.atMs).toBe(710)
})
