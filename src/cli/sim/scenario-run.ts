import { closeSync, openSync, readSync } from 'node:fs'
import { messageOf } from '../../base/index.ts'
import { UsageError } from '../usage-error.ts'
import type { Command } from './options.ts'
import { runJobs } from './run-jobs.ts'
import { plotsOf, scenarioText } from './scenario-text.ts'
import { readScenario, type ScenarioText } from './scenario-source.ts'
import { checkPlace, columns, show } from './show.ts'
import { summaryOf } from './summary.ts'

/** @returns the exit code */
export async function runScenarioCommand(command: Extract<Command, { kind: 'scenario' }>): Promise<number> {
  const file = command.file === undefined ? undefined : fileOf(command.file)
  const { scenario, seeds } = readScenario(file, command.flags)
  checkPlace(command)
  const jobs = seeds.map(seed => ({ kind: 'scenario', scenario, seed }) as const)
  const { results, exitCode } = await runJobs(jobs, command.jobs)
  if (results.length === 0) return exitCode
  const runs = results.map(({ result }) => result)
  const summary = summaryOf(runs)
  show(command, {
    text: () =>
      scenarioText(
        scenario,
        runs.map(({ seed }) => seed),
        summary,
        columns(),
      ),
    json: { scenario, seeds: runs.map(({ seed }) => seed), summary, runs },
    plots: plotsOf(summary),
  })
  return exitCode
}

function fileOf(name: string): ScenarioText {
  try {
    return { name, text: textOf(name) }
  } catch (cause) {
    const studies = 'the studies are called lifeguard and scale'
    throw new UsageError(`${name} is not a scenario that can be read (${messageOf(cause)}); ${studies}`, { cause })
  }
}

/** A list of all members of the largest ring is a tenth of it. */
const TEXT_BYTES_MAX = 1 << 20

/** A file, or a pipe; no more of it than a scenario can be, so that a device without an end is refused, too. */
function textOf(name: string): string {
  const buffer = Buffer.alloc(TEXT_BYTES_MAX + 1)
  const file = openSync(name, 'r')
  try {
    let length = 0
    for (let read = -1; read !== 0 && length < buffer.length; length += read)
      read = readSync(file, buffer, length, buffer.length - length, null)
    if (length > TEXT_BYTES_MAX) throw new Error(`it is longer than ${TEXT_BYTES_MAX} bytes`)
    return buffer.toString('utf8', 0, length)
  } finally {
    closeSync(file)
  }
}
