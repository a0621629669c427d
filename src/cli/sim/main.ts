/**
 * The swarm: many rings, each drawn from a seed, on all cores. A failing seed is printed at once with the command that
 * replays it; `--seed=9041` runs that one here and tells every step. See `npm run sim -- --help`.
 */
import { systemClock, systemRandom } from '../../base/index.ts'
import { HELP, type Options, readOptions, replayOf, UsageError } from './options.ts'
import { Pool } from './pool.ts'
import { Progress } from './progress.ts'
import { type Swarm, swarm } from '../../simulator/index.ts'

const startedAtMs = systemClock.nowMs()
const elapsedMs = () => systemClock.nowMs() - startedAtMs

/** @returns the exit code */
async function main(): Promise<number> {
  try {
    const options = readOptions(process.argv.slice(2))
    if (options === undefined) console.log(HELP)
    else return options.seed === undefined ? await many(options) : one({ ...options, seed: options.seed })
    return 0
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    console.error(`${error.message}\nsee: npm run sim -- --help`)
    return 2
  }
}

function one(ring: Swarm): number {
  const { members, seed } = ring
  const { failure } = swarm(ring, ({ step, tookMs }) => {
    console.log(`${String(tookMs).padStart(7)} ms  ${step}`)
  })
  if (failure !== undefined) console.error(`seed ${seed} failed ${failure}`)
  const progress = new Progress(members, 1)
  progress.done(failure !== undefined)
  console.log(progress.summary(elapsedMs()))
  return failure === undefined ? 0 : 1
}

async function many({ members, core, seeds, from, jobs }: Options): Promise<number> {
  const numbers = Array.from({ length: seeds }, (_, i) => (from === undefined ? systemRandom.below(2 ** 31) : from + i))
  const progress = new Progress(members, seeds)
  const pool = new Pool({ members, core }, numbers, (seed, { failure }) => {
    progress.done(failure !== undefined)
    if (failure !== undefined) {
      progress.clear()
      console.error(`seed ${seed} failed ${failure}\n  replay: ${replayOf({ members, core, seed })}`)
    }
    progress.show(elapsedMs())
  })
  process.on('SIGINT', () => {
    pool.kill()
    progress.clear()
    console.log(`interrupted: ${progress.summary(elapsedMs())}`)
    process.exit(130)
  })
  progress.show(elapsedMs())
  await pool.run(jobs)
  progress.clear()
  console.log(progress.summary(elapsedMs()))
  return progress.failed === 0 ? 0 : 1
}

process.exitCode = await main()
