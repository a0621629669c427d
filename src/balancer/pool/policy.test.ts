import { expect, test } from 'vitest'
import { decide, type Era, type Situation } from './policy.ts'

const era: Era = { nowMs: 100_000, joinedAtMs: 0, drainTimeoutMs: 30_000 }

function situation(more: Partial<Situation>): Situation {
  const base: Situation = {
    state: 'ready',
    gated: true,
    liveness: 'alive',
    sinceMs: 0,
    proven: true,
    claimedBy: undefined,
    downSinceMs: undefined,
    shelved: false,
    sessions: 0,
    othersServing: 1,
    ringKnownSinceMs: 0,
    drainingSinceMs: undefined,
    serving: true,
    successorComes: false,
    heldUntilMs: undefined,
  }
  return { ...base, ...more }
}

function stanceOf(more: Partial<Situation>, at: Partial<Era> = {}): string {
  const { stance, release } = decide(situation(more), { ...era, ...at })
  return release ? `${stance}, released` : stance
}

test('a member that failed stays enabled under checks: they look at the server, a rumour does not', () => {
  expect(stanceOf({ liveness: 'failed' })).toBe('ready')
  expect(stanceOf({ liveness: 'failed', downSinceMs: 40_001 })).toBe('ready')
})

test('a failed member whose checks fail for 60 s goes to maintenance, and stays there until it is alive again', () => {
  expect(stanceOf({ liveness: 'failed', downSinceMs: 40_000 })).toBe('maint')
  expect(stanceOf({ liveness: 'failed', shelved: true })).toBe('maint')
  expect(stanceOf({ liveness: 'alive', proven: false })).toBe('entering')
})

test('a mass disappearance never empties a pool: the last one stays under its checks, whatever is believed', () => {
  expect(stanceOf({ liveness: 'failed', downSinceMs: 0, othersServing: 0 })).toBe('ready')
  expect(stanceOf({ liveness: 'unexplained', othersServing: 0 })).toBe('ready')
})

test('a member that left is drained until nothing is on it, or the deadline', () => {
  expect(stanceOf({ liveness: 'left', sessions: 2 })).toBe('drain')
  expect(stanceOf({ liveness: 'left', sessions: undefined })).toBe('drain')
  expect(stanceOf({ liveness: 'left', sessions: 0 })).toBe('maint, released')
  expect(stanceOf({ liveness: 'left', sessions: 2, drainingSinceMs: 70_000 })).toBe('maint, released')
})

test('what a member withdraws, and what is reaped, goes at once', () => {
  expect(stanceOf({ liveness: 'withdrawn', sessions: 9 })).toBe('maint, released')
  expect(stanceOf({ liveness: 'reaped' })).toBe('maint, released')
})

test('the last server of a member that moves stays until its new address serves, 5 s at most, and only while it serves', () => {
  const moved = { liveness: 'withdrawn', successorComes: true, othersServing: 0, sinceMs: 95_001 } as const
  expect(stanceOf(moved)).toBe('ready')
  expect(stanceOf({ ...moved, sinceMs: 95_000 })).toBe('maint, released')
  expect(stanceOf({ ...moved, serving: false })).toBe('maint, released')
  expect(stanceOf({ ...moved, othersServing: 1 })).toBe('maint, released')
})

test('an address that another alive member has belongs to that one; an alive member is not evicted by a claim', () => {
  expect(stanceOf({ liveness: 'failed', claimedBy: 'web-2' })).toBe('maint, released')
  expect(stanceOf({ liveness: 'unexplained', claimedBy: 'web-2' })).toBe('maint, released')
  expect(stanceOf({ liveness: 'alive', claimedBy: 'web-2' })).toBe('ready')
})

test('a server that nobody explains is drained 60 s after the first join, not before', () => {
  expect(decide(situation({ liveness: 'unexplained' }), { ...era, joinedAtMs: undefined }).stance).toBe('ready')
  expect(stanceOf({ liveness: 'unexplained', sessions: 1 }, { nowMs: 59_999 })).toBe('ready')
  expect(stanceOf({ liveness: 'unexplained', sessions: 1 }, { nowMs: 60_000 })).toBe('drain')
  expect(stanceOf({ liveness: 'unexplained', sessions: 1, sinceMs: 50_000 })).toBe('ready')
})

test('the 60 s begin when the ring has accounted for half of what was found', () => {
  const late = { liveness: 'unexplained', sessions: 1, ringKnownSinceMs: 80_000 } as const
  expect(stanceOf(late, { nowMs: 139_999 })).toBe('ready')
  expect(stanceOf(late, { nowMs: 140_000 })).toBe('drain')
})

test('an empty half of the ring drains nobody whose checks pass, however long; who fails them for 60 s goes', () => {
  const strange = { liveness: 'unexplained', ringKnownSinceMs: undefined } as const
  expect(stanceOf(strange, { nowMs: 1e9 })).toBe('ready')
  expect(stanceOf({ ...strange, downSinceMs: 40_001 })).toBe('ready')
  expect(stanceOf({ ...strange, downSinceMs: 40_000 })).toBe('maint, released')
  expect(stanceOf({ ...strange, downSinceMs: 40_000 }, { joinedAtMs: 50_000 })).toBe('ready')
  expect(stanceOf({ ...strange, downSinceMs: 40_000, othersServing: 0 })).toBe('ready')
})

test('a server found draining stays so until somebody explains it', () => {
  expect(stanceOf({ liveness: 'unexplained', proven: false }, { nowMs: 1 })).toBe('drain')
})

test('announced ready waits for one good probe; a plain one comes in under checks; draining takes no new clients', () => {
  expect(stanceOf({ proven: false })).toBe('entering')
  expect(stanceOf({ proven: false, state: 'plain', gated: false })).toBe('ready')
  expect(stanceOf({ proven: false, state: 'plain' })).toBe('entering')
  expect(stanceOf({ state: 'draining' })).toBe('drain')
})

test('a plain member is not said to have announced anything, whatever the template', () => {
  for (const gated of [true, false])
    for (const proven of [true, false])
      expect(decide(situation({ state: 'plain', gated, proven }), era).reason).toMatch(/^alive, (under|waits)/)
})

test('a server that comes and goes is held out as by a drain until its pause is over, but never the last one', () => {
  const held = decide(situation({ heldUntilMs: 110_000 }), era)
  expect(held).toMatchObject({ stance: 'drain', held: true, lookAtMs: 110_000 })
  expect(held.reason).toBe('it came and went again and again; held out for 10 s more')
  expect(stanceOf({ heldUntilMs: 110_000, othersServing: 0 })).toBe('ready')
  expect(stanceOf({ heldUntilMs: 110_000, proven: false })).toBe('entering')
})
