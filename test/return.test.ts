/** A balancer that leaves on purpose and comes back: nobody goes after a member that left, so that it has to be found. */
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { eventually } from './parts.ts'
import { loadOn, poolOf, Tier, untilReady } from './tier.ts'

const NAMES = ['web-2', 'web-3', 'web-4']

test('a balancer that left and is started again without a join list has its whole pool back in about two seconds', async () => {
  await using tier = await Tier.open('127.0.61')
  const first = tier.balancer()
  const backends = [2, 3, 4].map(host => tier.backend(`web-${host}`, host))
  await untilReady(first, NAMES)
  await tier.signal('lb', 'TERM')
  await first.part.exited
  for (const backend of backends)
    await eventually(
      () => backend.status(),
      ({ members }) => members.left === 1 && members.alive === 3, // they have each other: nobody is alone
    )
  const startedAtMs = performance.now()
  const next = tier.balancer()
  await eventually(
    () => listens(tier.ip(1), 8080),
    yes => yes,
  )
  await using load = loadOn(tier) // while HAProxy has no servers yet, it holds requests
  await eventually(
    () => next.status(),
    ({ members }) => members.alive === 4,
  )
  await untilReady(next, NAMES)
  const tookMs = performance.now() - startedAtMs
  console.log(`the balancer that had left had its whole pool ${Math.round(tookMs)} ms after its start`)
  for (const name of NAMES) await load.untilServed(name)
  expect(await load.stop()).toMatchObject({ lost: 0, doubled: 0, unknown: 0 })
  for (const { reason } of await poolOf(next)) expect(reason).toBe('announced ready')
  expect(tookMs).toBeLessThan(10_000) // two seconds on a machine that does nothing else
}, 120_000)

function listens(host: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host, port })
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}
