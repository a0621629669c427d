import { expect, test } from 'vitest'
import { Pool } from './pool.ts'
import { type Outcome, swarm } from '../../simulator/index.ts'

test('a seed gives the same steps in any process, however many there are', async () => {
  const outcomes = new Map<number, Outcome>()
  await new Pool({ members: 5, core: 'serf' }, [1, 2, 3], (seed, outcome) => void outcomes.set(seed, outcome)).run(2)
  expect([...outcomes.keys()].toSorted((a, b) => a - b)).toEqual([1, 2, 3])
  for (const [seed, outcome] of outcomes) expect(outcome).toEqual(swarm({ members: 5, core: 'serf', seed }))
})

test('killed, it ends without what was still to do', async () => {
  const outcomes: Outcome[] = []
  const pool = new Pool({ members: 100, core: 'memberlist' }, [1, 2, 3], (_, outcome) => void outcomes.push(outcome))
  const ran = pool.run(1)
  pool.kill()
  await ran
  expect(outcomes).toMatchObject([{ failure: expect.stringContaining('SIGKILL') }])
})
