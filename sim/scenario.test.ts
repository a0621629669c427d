import { expect, test } from 'vitest'
import { systemRandom } from '../src/base/index.ts'
import { replayOf } from './options.ts'
import { swarm } from './scenario.ts'

test('rings drawn from new seeds always agree again, after loss, crashes, leaves, partitions and restarts', () => {
  for (let round = 0; round < 4; round++) {
    const seed = systemRandom.below(2 ** 31)
    const ring = { members: 15, core: 'serf', seed } as const
    expect(swarm(ring).failure, `replay: ${replayOf(ring)}`).toBeUndefined()
  }
})
