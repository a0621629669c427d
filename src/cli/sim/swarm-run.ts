import { systemClock, systemRandom } from '../../base/index.ts'
import { type Swarm, swarm } from '../../simulator/index.ts'
import { EXIT } from '../exit.ts'
import { type Options, replayOf } from './options.ts'
import { Pool } from './pool.ts'
import { Progress } from './progress.ts'

/** @returns the exit code */
export async function runSwarm(options: Options): Promise<number> {
  const startedAtMs = systemClock.nowMs()
  const elapsedMs = () => systemClock.nowMs() - startedAtMs
  if (options.seed === undefined) return many(options, elapsedMs)
  return one({ ...options, seed: options.seed }, elapsedMs)
}

function one(ring: Swarm, elapsedMs: () => number): number {
  const { members, seed } = ring
  const { failure } = swarm(ring, ({ step, tookMs }) => {
    console.log(`${String(tookMs).padStart(7)} ms  ${step}`)
  })
  if (failure !== undefined) console.error(`seed ${seed} failed ${failure}`)
  const progress = new Progress(members, 1)
  progress.done(failure !== undefined)
  console.log(progress.summary(elapsedMs()))
  return failure === undefined ? EXIT.ok : EXIT.failed
}

async function many({ members, core, seeds, from, jobs }: Options, elapsedMs: () => number): Promise<number> {
  const rings = Array.from({ length: seeds }, (_, i) => {
    const seed = from === undefined ? systemRandom.below(2 ** 31) : from + i
    return { kind: 'swarm', ring: { members, core, seed } } as const
  })
  const progress = new Progress(members, seeds)
  const pool = new Pool(rings, {
    done({ ring }, outcome, why) {
      const failure = outcome === undefined ? `because its process ended: ${why}` : outcome.failure
      progress.done(failure !== undefined)
      if (failure !== undefined) {
        progress.clear()
        console.error(`seed ${ring.seed} failed ${failure}\n  replay: ${replayOf(ring)}`)
      }
      progress.show(elapsedMs())
    },
  })
  const interrupt = () => {
    pool.kill()
    progress.clear()
    console.log(`interrupted: ${progress.summary(elapsedMs())}`)
    process.exit(130)
  }
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
  progress.show(elapsedMs())
  await pool.run(jobs)
  progress.clear()
  console.log(progress.summary(elapsedMs()))
  return progress.failed === 0 ? EXIT.ok : EXIT.failed
}
