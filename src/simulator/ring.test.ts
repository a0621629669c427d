import { expect, test } from 'vitest'
import { encodeSerfMessage } from '../serf/index.ts'
import { Ring } from './ring.ts'

const SEED = 9041
const MINUTE_MS = 60_000

function joined(members: number, seed = SEED): Ring {
  const ring = new Ring({ members, seed })
  ring.joinAll()
  expect(ring.runUntil(ring.converged, MINUTE_MS), ring.discord()).toBeDefined()
  return ring
}

test('a ring of 50 agrees within seconds of joining', () => {
  const ring = new Ring({ members: 50, seed: SEED })
  ring.joinAll(1000)
  expect(ring.runUntil(ring.converged, MINUTE_MS)).toBeLessThan(10_000)
})

test('with 5 % loss and all healthy nobody is ever taken for dead (SWIM 4.2)', () => {
  const ring = joined(20)
  ring.network.loss = 0.05
  for (let second = 0; second < 300; second++) {
    ring.clock.advance(1000)
    expect(ring.running.every(({ swim }) => swim.aliveCount() === 20)).toBe(true)
  }
})

test('who crashes is dead to all within the suspicion time, who leaves is left', () => {
  const ring = joined(20)
  ring.stop('m7')
  ring.leave('m9')
  expect(ring.runUntil(ring.converged, MINUTE_MS)).toBeLessThan(45_000)
  expect(ring.member('m3').sees('m7')).toMatch(/dead/)
})

test('a partition of half heals, even after both halves have forgotten each other', () => {
  const ring = joined(20)
  const half = ring.running.map(({ name }) => name).filter((_, i) => i % 2 === 0)
  ring.network.loss = 0.05
  ring.network.cut(half)
  ring.clock.advance(3 * MINUTE_MS)
  expect(ring.member('m1').swim.aliveCount()).toBe(10)
  ring.network.heal()
  expect(ring.runUntil(ring.converged, 5 * MINUTE_MS), ring.discord()).toBeDefined()
})

test('a member that restarts empty overtakes its old record', () => {
  const ring = joined(10)
  ring.stop('m4')
  ring.clock.advance(200)
  ring.start('m4').join(ring.member('m1').address)
  expect(ring.runUntil(ring.converged, MINUTE_MS)).toBeLessThan(20_000)
})

test('a seed that comes back empty, without a join list, has the ring after the first ping', () => {
  const ring = joined(10)
  ring.stop('m1')
  ring.start('m1')
  expect(ring.runUntil(() => ring.member('m1').swim.aliveCount() === 10, MINUTE_MS)).toBeLessThan(10_000)
})

test('news told directly are there in a round trip', () => {
  const ring = joined(30)
  ring.member('m5').updateMeta(Uint8Array.of(0xff, 0x80, 7), ['m8'])
  ring.clock.advance(5)
  expect(ring.member('m8').swim.member('m5')?.meta[2]).toBe(7)
})

test('a member suspended for a minute accuses nobody when it wakes, and is back with all', () => {
  const ring = joined(10)
  ring.clock.advance(40_000)
  const refuted = () => ring.running.filter(({ name }) => name !== 'm2').map(({ swim }) => swim.counters.refutations)
  const before = refuted()
  ring.member('m2').suspend(MINUTE_MS)
  ring.clock.advance(MINUTE_MS + 2000)
  expect(refuted()).toEqual(before)
  expect(ring.runUntil(ring.converged, 2 * MINUTE_MS), ring.discord()).toBeDefined()
  expect(refuted()).toEqual(before)
})

/** A peer's list in which m3 has left at 40. */
const remembersLeave = encodeSerfMessage({
  type: 'pushPull',
  ltime: 42,
  eventLTime: 1,
  queryLTime: 1,
  leftMembers: ['m3'],
  statusLTimes: new Map([['m3', 40]]),
  events: [],
})

test('who hears from a list that a member has left, which is back, is put right by it', () => {
  const ring = new Ring({ members: 10, seed: SEED, serf: true })
  ring.joinAll()
  expect(ring.runUntil(ring.converged, MINUTE_MS), ring.discord()).toBeDefined()
  ring.member('m5').serf?.mergeState(remembersLeave, false)
  expect(ring.discord()).toMatch(/sees m3 as leaving/)
  expect(ring.runUntil(ring.converged, MINUTE_MS), ring.discord()).toBeLessThan(5000)
})

test('so is who heard of such a leave before it knew the member (sim, seed 3)', () => {
  const ring = new Ring({ members: 10, seed: SEED, serf: true })
  ring.joinAll()
  expect(ring.runUntil(ring.converged, MINUTE_MS), ring.discord()).toBeDefined()
  const empty = ring.start('m5')
  empty.serf?.mergeState(remembersLeave, false)
  empty.join(ring.member('m1').address)
  expect(ring.runUntil(ring.converged, MINUTE_MS), ring.discord()).toBeLessThan(10_000)
})

test('the same seed gives the same run, to the millisecond', () => {
  const tookMs = () => {
    const ring = joined(10)
    ring.network.loss = 0.1
    ring.stop('m3')
    return ring.runUntil(ring.converged, MINUTE_MS)
  }
  expect(tookMs()).toBe(tookMs())
})
