import { systemClock } from '../../base/index.ts'
import { EXIT } from '../exit.ts'
import { tell } from '../output.ts'
import { Bar } from './bar.ts'
import type { Job, Results, Step } from './jobs.ts'
import { Pool } from './pool.ts'

export interface Ran<J extends Job> {
  readonly results: readonly { readonly job: J; readonly result: Results[J['kind']] }[]
  /** What the exit code is if nothing else goes wrong: 0, 1 when a process broke, 130 after Ctrl-C. */
  readonly exitCode: number
}

/** After Ctrl-C, of a shell's own making. */
const INTERRUPTED = 130

/**
 * Runs jobs on a pool, with a bar. Ctrl-C ends all of it; the results that are there come back, in the order of the jobs, and
 * a sentence tells how far the rest was.
 */
export async function runJobs<J extends Job>(jobs: readonly J[], processes: number): Promise<Ran<J>> {
  const startedAtMs = systemClock.nowMs()
  const elapsedMs = () => systemClock.nowMs() - startedAtMs
  const bar = new Bar(jobs.length)
  const results = new Map<J, Results[J['kind']]>()
  const underWay = new Map<J, Step>()
  let exitCode: number = EXIT.ok
  const pool = new Pool(jobs, {
    done(job, result, why) {
      if (exitCode === INTERRUPTED) return
      bar.done(job)
      underWay.delete(job)
      if (result === undefined) {
        bar.clear()
        tell(`a ring was lost because its process ended: ${why}`)
        exitCode = EXIT.failed
      } else results.set(job, result)
      bar.show(elapsedMs())
    },
    step(job, step) {
      underWay.set(job, step)
      bar.step(job, step.share)
      bar.show(elapsedMs())
    },
  })
  const interrupt = () => {
    exitCode = INTERRUPTED
    pool.kill()
  }
  // npm hands Ctrl-C on to whom the terminal has told already: the second is no other wish than the first.
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
  if (process.stderr.isTTY) bar.show(0)
  else tell(`${jobs.length} ${jobs.length === 1 ? 'ring' : 'rings'}, ${Math.min(processes, jobs.length)} at a time`)
  await pool.run(processes)
  if (exitCode !== INTERRUPTED) process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
  bar.clear()
  if (exitCode === INTERRUPTED) {
    tell(`interrupted: ${results.size} of ${jobs.length} rings were through`)
    for (const [job, step] of underWay) tell(`  ${stoodText(job, step)}`)
  }
  const inOrder = jobs.flatMap(job => {
    const result = results.get(job)
    return result === undefined ? [] : [{ job, result }]
  })
  return { results: inOrder, exitCode }
}

function stoodText(job: Job, { share, sample }: Step): string {
  const what = job.kind === 'scenario' ? `seed ${job.seed}` : job.kind === 'scale' ? `${job.run.members} members` : ''
  const how =
    sample === undefined
      ? ''
      : `: ${(sample.agreement * 100).toFixed(1)} % of the views right, ${sample.falsePositives} false positives so far`
  return `${what} was at ${Math.round(share * 100)} %${how}`
}
