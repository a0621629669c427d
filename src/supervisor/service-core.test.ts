import { expect, test } from 'vitest'
import { seededRandom } from '../base/index.ts'
import { exitReason, ServiceCore, type ServiceEffect } from './service-core.ts'
import { completeSpec, type ServiceSpec } from './spec.ts'

function coreOf(spec: Partial<ServiceSpec> = {}): ServiceCore {
  return new ServiceCore(completeSpec({ name: 'web', command: ['web'], ...spec }), seededRandom(1))
}

const ready = { kind: 'tcp', ip: '127.0.0.1', port: 1 } as const
const kinds = (effects: ServiceEffect[]) => effects.map(effect => effect.kind).filter(kind => kind !== 'changed')

test('without a probe a service is ready as soon as it runs', () => {
  const core = coreOf()
  expect(kinds(core.start())).toEqual(['spawn'])
  core.spawned(7, 0)
  expect([core.state, core.pid]).toEqual(['ready', 7])
})

test('the first probe is at once, the next after 10 ms, then with gaps growing to 100 ms', () => {
  const core = coreOf({ ready })
  core.start()
  expect(kinds(core.spawned(7, 0))).toEqual(['probe'])
  const gaps: number[] = []
  for (let nowMs = 0, i = 0; i < 14; i++) {
    core.probed('refused', nowMs)
    const dueMs = core.nextTickMs() as number
    expect(kinds(core.tick(dueMs))).toEqual(['probe'])
    gaps.push(dueMs - nowMs)
    nowMs = dueMs
  }
  expect(gaps[0]).toBe(10)
  expect(gaps.at(-1)).toBe(100)
  core.probed(undefined, 2000)
  expect(core.state).toBe('ready')
  expect(core.nextTickMs()).toBeUndefined()
})

test('a service that is not ready in time is stopped, counted as failed, and the reason says what the probe saw', () => {
  const core = coreOf({ ready, readyTimeoutMs: 500 })
  core.start()
  core.spawned(7, 0)
  core.probed('connection refused', 490)
  expect(core.tick(500)).toContainEqual({ kind: 'signal', signal: 'SIGTERM', to: 'main' })
  core.exited('killed by SIGTERM', 510)
  expect(core.state).toBe('backoff')
  expect(core.reason).toMatch(/^not ready within 500 ms.*connection refused/)
})

test('one that was ready under an earlier agent is not killed for being slow to answer', () => {
  const core = coreOf({ ready, readyTimeoutMs: 500 })
  core.adopted(7, 0, { wasReady: true })
  core.probed('timeout', 400)
  core.tick(600)
  expect(core.state).toBe('starting')
  core.probed(undefined, 700)
  expect(core.state).toBe('ready')
})

test('stopping is a ladder: drain, stop signal to the main process, then SIGKILL to the group', () => {
  const core = coreOf({ stopSignal: 'SIGUSR1', stopTimeoutMs: 3000 })
  core.start()
  core.spawned(7, 0)
  expect(kinds(core.stop(100, { drain: true }))).toEqual(['drain'])
  expect(core.drained(900)).toEqual([{ kind: 'signal', signal: 'SIGUSR1', to: 'main' }])
  expect(core.tick(3899)).toEqual([])
  expect(core.tick(3900)).toEqual([{ kind: 'signal', signal: 'SIGKILL', to: 'group' }])
  core.exited('killed by SIGKILL', 3901)
  expect([core.state, core.reason]).toEqual(['stopped', 'killed by SIGKILL'])
})

test('asked twice to stop, it hurries: no more drain, and the shorter time counts', () => {
  const core = coreOf()
  core.start()
  core.spawned(7, 0)
  core.stop(0, { drain: true })
  expect(kinds(core.stop(10, { drain: true }))).toEqual(['signal'])
  expect(core.drained(20)).toEqual([])
  core.stop(30, { drain: false, timeoutMs: 0 })
  expect(core.nextTickMs()).toBe(30)
})

test('a stop that joins lets the one that is under way go on as it is, and what would start anew is not started', () => {
  const core = coreOf({ stopTimeoutMs: 3000 })
  core.start()
  core.spawned(7, 0)
  core.restart(0, { drain: true })
  expect(core.stop(10, { drain: true, joins: true })).toEqual([])
  expect(kinds(core.drained(900))).toEqual(['signal'])
  expect(core.stop(1000, { drain: true, timeoutMs: 0, joins: true })).toEqual([])
  expect(core.nextTickMs()).toBe(3900)
  core.exited('killed by SIGTERM', 1100)
  expect(core.state).toBe('stopped')
})

test('a stop while it is being started is obeyed as soon as there is a process', () => {
  const core = coreOf()
  core.start()
  core.stop(0, { drain: false })
  expect(kinds(core.spawned(7, 1))).toEqual(['signal'])
  core.exited('killed by SIGTERM', 2)
  expect(core.state).toBe('stopped')
})

test('a restart starts anew once the old process is gone, and not before', () => {
  const core = coreOf()
  core.start()
  core.spawned(7, 0)
  expect(kinds(core.restart(10, { drain: false }))).toEqual(['signal'])
  expect(kinds(core.exited('exit status 0', 20))).toEqual(['spawn'])
  expect(core.restarts).toBe(0)
})

test('a crash loop ends in quarantine with its reason, and a start asked for by a person begins afresh', () => {
  const core = coreOf({ restart: { quarantineAfter: 3 } })
  core.start()
  for (let nowMs = 0; core.state !== 'quarantined'; nowMs = core.nextTickMs() ?? nowMs) {
    core.tick(nowMs)
    core.spawned(7, nowMs)
    core.exited('exit status 3', nowMs + 1)
  }
  expect([core.restarts, core.reason, core.nextTickMs()]).toEqual([2, 'exit status 3', undefined])
  expect(kinds(core.start())).toEqual(['spawn'])
})

test('exit reasons read as people say them', () => {
  expect(exitReason(3, null)).toBe('exit status 3')
  expect(exitReason(null, 'SIGKILL')).toBe('killed by SIGKILL')
})

test('a stop that meets the drain of a restart lets it finish; it just is not started again', () => {
  const core = coreOf()
  core.start()
  core.spawned(7, 0)
  expect(kinds(core.restart(10, { drain: true }))).toEqual(['drain'])
  expect(core.stop(20, { drain: true })).toEqual([])
  expect(kinds(core.drained(900))).toEqual(['signal'])
  core.exited('killed by SIGTERM', 910)
  expect(core.state).toBe('stopped')
})

test('one that was started from another specification counts as ready when it was, without being asked anew', () => {
  const core = coreOf({ ready })
  expect(kinds(core.adopted(7, 0, { wasReady: true, isOther: true }))).toEqual([])
  expect([core.state, core.nextTickMs()]).toEqual(['ready', undefined])
})
