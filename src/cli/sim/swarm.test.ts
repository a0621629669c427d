import { expect, test } from 'vitest'
import { systemRandom } from '../../base/index.ts'
import { replayOf } from './options.ts'
import { swarm } from '../../simulator/index.ts'

test.each([
  { members: 3, core: 'serf' },
  { members: 15, core: 'serf' },
  { members: 60, core: 'serf' },
  { members: 100, core: 'memberlist' },
] as const)('a ring of $members ($core), drawn from a new seed, agrees again after whatever happens to it', rings => {
  const ring = { ...rings, seed: systemRandom.below(2 ** 31) }
  expect(swarm(ring).failure, `replay: ${replayOf(ring)}`).toBeUndefined()
})
