import { expect, test } from 'vitest'
import type { ServiceStatus, Supervisor } from '../../supervisor/index.ts'
import { VirtualClock } from '../../testing/index.ts'
import { untilAdoptedAreReady } from './adopted.ts'

/** One service that an earlier agent left running, and that has not proved itself. */
function adopted() {
  const status = { name: 'web', state: 'starting', adopted: true }
  const listeners = new Set<() => void>()
  const onChange = (listener: () => void) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  }
  const supervisor = { services: () => [status as ServiceStatus], onChange } as unknown as Supervisor
  const becomes = (state: string) => {
    status.state = state
    for (const listener of listeners) listener()
  }
  return { supervisor, becomes, listeners }
}

test('a start that is given up does not wait for what was found running, and leaves neither timer nor listener', async () => {
  const { supervisor, listeners } = adopted()
  const clock = new VirtualClock()
  const start = new AbortController()
  const waiting = untilAdoptedAreReady(supervisor, clock, start.signal)
  start.abort(new Error('SIGINT came before it was up'))
  await expect(waiting).rejects.toThrow('SIGINT came before it was up')
  expect([clock.step(Number.POSITIVE_INFINITY), listeners.size]).toEqual([false, 0])
})

test('what was found running is waited for until it is ready, or a second has passed; no timer stays behind', async () => {
  const found = adopted()
  const clock = new VirtualClock()
  const waiting = untilAdoptedAreReady(found.supervisor, clock)
  found.becomes('ready')
  await waiting
  expect(clock.step(Number.POSITIVE_INFINITY)).toBe(false)
  const late = untilAdoptedAreReady(adopted().supervisor, clock)
  clock.advance(1_000)
  await late
  expect(clock.nowMs()).toBe(1_000)
})
