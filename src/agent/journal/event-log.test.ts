import { expect, test } from 'vitest'
import type { SerfEvent } from '../../serf/index.ts'
import { VirtualClock } from '../../testing/index.ts'
import { EventLog } from './event-log.ts'

const deploy = (version: string): SerfEvent => ({
  ...{ kind: 'user', name: 'deploy', ltime: 1, coalesce: false },
  payload: Buffer.from(version),
})
const payloads = (page: { events: readonly { readonly payload?: string }[] }) => page.events.map(e => e.payload)

test('who was away goes on where it stopped, without a gap', async () => {
  const log = new EventLog(new VirtualClock())
  log.append(deploy('v1'))
  const start = await log.after(0, 0)
  expect(start).toMatchObject({ missed: true }) // what was before this agent nobody knows
  for (const version of ['v2', 'v3']) log.append(deploy(version))
  const page = await log.after(start.last, 0)
  expect(payloads(page)).toEqual(['v2', 'v3'])
  expect(page.missed).toBe(false)
  expect(await log.after(page.last, 0)).toEqual({ events: [], last: page.last, missed: false })
})

test('what is forgotten is said to be missing', async () => {
  const log = new EventLog(new VirtualClock())
  log.append(deploy('first'))
  const { last } = await log.after(0, 0)
  for (let i = 0; i < 5000; i++) log.append(deploy(String(i)))
  expect(await log.after(last, 0)).toMatchObject({ missed: true })
})

test('a question waits for the first event, as long as it was told to', async () => {
  const clock = new VirtualClock()
  const log = new EventLog(clock)
  const heard = log.after(undefined, 1000)
  log.append(deploy('v1'))
  expect(payloads(await heard)).toEqual(['v1'])
  const silent = log.after(undefined, 1000)
  clock.advance(1000)
  expect(payloads(await silent)).toEqual([])
})

test('indexes grow over a restart of the agent', async () => {
  const before = new EventLog(new VirtualClock(1_000_000))
  before.append(deploy('v1'))
  const after = new EventLog(new VirtualClock(1_000_100))
  after.append(deploy('v2'))
  const page = await after.after((await before.after(0, 0)).last, 0)
  expect(payloads(page)).toEqual(['v2'])
  expect(page.missed).toBe(true)
})
