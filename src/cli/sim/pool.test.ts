import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { type Outcome, swarm, USUAL } from '../../simulator/index.ts'
import type { Job } from './jobs.ts'
import { type Heard, Pool, type Program } from './pool.ts'

const program: Program = {
  path: fileURLToPath(new URL('../main.ts', import.meta.url)),
  execArgv: ['--import', 'tsx'],
}
const swarmJob = (members: number, seed: number) =>
  ({ kind: 'swarm', ring: { members, core: members > 50 ? 'memberlist' : 'serf', seed } }) as const

test('a seed gives the same steps in any process, however many there are', async () => {
  const outcomes = new Map<number, Outcome | undefined>()
  const jobs = [1, 2, 3].map(seed => swarmJob(5, seed))
  await new Pool(jobs, { done: ({ ring }, outcome) => void outcomes.set(ring.seed, outcome) }, program).run(2)
  expect([...outcomes.keys()].toSorted((a, b) => a - b)).toEqual([1, 2, 3])
  for (const { ring } of jobs) expect(outcomes.get(ring.seed)).toEqual(swarm(ring))
})

test('killed, it ends without what was still to do', async () => {
  const ended: string[] = []
  const jobs = [1, 2, 3].map(seed => swarmJob(100, seed))
  const pool = new Pool(
    jobs,
    { done: (_, outcome, why) => void ended.push(outcome === undefined ? why : 'done') },
    program,
  )
  const ran = pool.run(1)
  pool.kill()
  await ran
  expect(ended).toEqual(['SIGKILL'])
})

test('a scenario tells how far it is, and how it stands', async () => {
  const scenario = { ...USUAL, members: 5, durationMs: 4000 }
  const shares: number[] = []
  let agreement: number | undefined
  const heard: Heard<Extract<Job, { kind: 'scenario' }>> = {
    done: (_, report) => {
      agreement = report?.samples.at(-1)?.agreement
    },
    step: (_, { share }) => void shares.push(share),
  }
  await new Pool([{ kind: 'scenario', scenario, seed: 1 }], heard, program).run(1)
  expect(shares).toEqual([0.25, 0.5, 0.75, 1])
  expect(agreement).toBe(1)
})
