import type { ScaleRun } from '../../simulator/index.ts'
import type { StudyOptions } from './options.ts'
import { runJobs } from './run-jobs.ts'
import { scalePlots, scaleText } from './scale-text.ts'
import { checkPlace, columns, show } from './show.ts'

const SIZES = [10, 100, 1000] as const
/** Serf's own view of everybody in everybody is too much memory above. */
const SERF_MEMBERS_MAX = 1000

/** @returns the exit code */
export async function runScaleStudy(options: StudyOptions): Promise<number> {
  checkPlace(options)
  const sizes = options.members ?? SIZES
  const runs = sizes.flatMap(members => options.seeds.flatMap(seed => runsOf(members, seed)))
  const largestFirst = runs.toSorted((a, b) => b.members - a.members) // the longest decide when it ends
  const jobs = largestFirst.map(run => ({ kind: 'scale', run }) as const)
  const { results, exitCode } = await runJobs(jobs, options.jobs)
  const outcomes = results.map(({ result }) => result)
  if (outcomes.length === 0) return exitCode
  show(options, {
    text: () => scaleText(outcomes, options.seeds, columns()),
    json: { study: 'scale', seeds: options.seeds, results: outcomes },
    plots: scalePlots(outcomes),
  })
  return exitCode
}

function runsOf(members: number, seed: number): ScaleRun[] {
  const membership: ScaleRun = { members, core: 'memberlist', seed }
  return members > SERF_MEMBERS_MAX ? [membership] : [membership, { members, core: 'serf', seed }]
}
