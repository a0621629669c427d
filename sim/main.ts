/**
 * The swarm: many rings, each drawn from a seed. `npm run sim -- --members 100 --seeds 500`; a failing seed is printed with
 * the command that replays it; `--seed=9041` runs that one and tells every step.
 */
import { parseArgs } from 'node:util'
import { systemClock, systemRandom } from '../src/base/index.ts'
import { swarm } from './scenario.ts'

const MEMBERS = 100

const { values } = parseArgs({
  options: {
    members: { type: 'string', default: String(MEMBERS) },
    seeds: { type: 'string', default: '5' },
    seed: { type: 'string' },
  },
})
const members = Number(values.members)
const seeds =
  values.seed !== undefined
    ? [Number(values.seed)]
    : Array.from({ length: Number(values.seeds) }, () => systemRandom.below(2 ** 31))

const startedAtMs = systemClock.nowMs()
let failures = 0
for (const seed of seeds) {
  const { steps, failure } = swarm(members, seed)
  if (values.seed !== undefined) {
    for (const { step, tookMs } of steps) console.log(`${String(tookMs).padStart(7)} ms  ${step}`)
  }
  if (failure === undefined) continue
  failures++
  const size = members === MEMBERS ? '' : `--members=${members} `
  console.error(`seed ${seed} failed ${failure}\n  replay: npm run sim -- ${size}--seed=${seed}`)
}
const seconds = ((systemClock.nowMs() - startedAtMs) / 1000).toFixed(1)
console.log(`${seeds.length - failures} of ${seeds.length} rings of ${members} always agreed again (${seconds} s)`)
process.exitCode = failures === 0 ? 0 : 1
