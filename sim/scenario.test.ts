import { expect, test } from 'vitest'
import { systemRandom } from '../src/base/index.ts'
import { swarm } from './scenario.ts'

test('rings drawn from new seeds always agree again, after loss, crashes, leaves, partitions and restarts', () => {
  for (let round = 0; round < 4; round++) {
    const seed = systemRandom.below(2 ** 31)
    expect(swarm(15, seed).failure, `replay: npm run sim -- --members=15 --seed=${seed}`).toBeUndefined()
  }
})
