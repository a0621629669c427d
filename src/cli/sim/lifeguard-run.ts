import { CONFIGURATIONS, intervalScenario, type Report, thresholdScenario } from '../../simulator/index.ts'
import type { Job } from './jobs.ts'
import type { Cell, CellResult } from './lifeguard-cell.ts'
import { lifeguardPlots, lifeguardText } from './lifeguard-text.ts'
import type { StudyOptions } from './options.ts'
import { runJobs } from './run-jobs.ts'
import { checkPlace, columns, show } from './show.ts'

interface Grid {
  readonly slow: readonly number[]
  readonly forMs: readonly number[]
  readonly pauseMs: readonly number[]
  readonly thresholdSlow: readonly number[]
  readonly thresholdForMs: readonly number[]
}

/** Where something is to be seen: ten minutes on two cores. */
const USUAL_GRID: Grid = {
  slow: [1, 4, 16, 32],
  forMs: [2048, 8192, 32_768],
  pauseMs: [64, 4096],
  thresholdSlow: [1, 8, 16, 32],
  thresholdForMs: [32_768],
}

/** From 128 ms, which nobody should notice, to 32 s; hours. */
const FULL_GRID: Grid = {
  slow: [1, 4, 8, 16, 32],
  forMs: [128, 512, 2048, 8192, 32_768],
  pauseMs: [1, 16, 64, 256, 1024, 4096, 16_384],
  thresholdSlow: [1, 4, 8, 16, 32],
  thresholdForMs: [16_384, 32_768],
}

type CellJob = Extract<Job, { kind: 'scenario' }> & { readonly cell: Cell }

/** @returns the exit code */
export async function runLifeguardStudy(options: StudyOptions): Promise<number> {
  checkPlace(options)
  const jobs = jobsOf(options.full ? FULL_GRID : USUAL_GRID, options.seeds)
  const { results, exitCode } = await runJobs(jobs, options.jobs)
  const cells = results.map(({ job, result }) => outcomeOf(job.cell, result))
  if (cells.length === 0) return exitCode
  show(options, {
    text: () => lifeguardText(cells, options.seeds, columns()),
    json: { study: 'lifeguard', seeds: options.seeds, cells },
    plots: lifeguardPlots(cells),
  })
  return exitCode
}

/** All configurations of a cell one after another, so that what is there after Ctrl-C can be compared. */
function jobsOf(grid: Grid, seeds: readonly number[]): CellJob[] {
  const jobs: CellJob[] = []
  for (const seed of seeds) {
    for (const forMs of grid.thresholdForMs)
      for (const slow of grid.thresholdSlow)
        for (const configuration of CONFIGURATIONS) {
          const cell: Cell = {
            experiment: 'threshold',
            configuration: configuration.name,
            slow,
            forMs,
            pauseMs: 0,
            seed,
          }
          jobs.push({ kind: 'scenario', scenario: thresholdScenario({ configuration, slow, forMs }), seed, cell })
        }
    for (const pauseMs of grid.pauseMs)
      for (const forMs of grid.forMs)
        for (const slow of grid.slow)
          for (const configuration of CONFIGURATIONS) {
            const cell: Cell = { experiment: 'interval', configuration: configuration.name, slow, forMs, pauseMs, seed }
            const scenario = intervalScenario({ configuration, slow, forMs, pauseMs })
            jobs.push({ kind: 'scenario', scenario, seed, cell })
          }
  }
  return jobs
}

function outcomeOf(cell: Cell, { falsePositives, falsePositivesHealthy, cost, spreads }: Report): CellResult {
  const detections = spreads.filter(({ kind }) => kind === 'slow').map(({ firstMs, lastMs }) => ({ firstMs, lastMs }))
  return { ...cell, falsePositives, falsePositivesHealthy, cost, detections }
}
