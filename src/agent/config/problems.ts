import { MusterError } from '../../base/index.ts'

/** One thing that is wrong, and where. */
export interface Problem {
  /** Dotted, `services.web.port`; empty for the whole source. */
  readonly path: string
  /** `muster.yaml:6:5`, `-bind` or `MUSTER_CLUSTER_BIND`. */
  readonly where?: string
  readonly message: string
  /** The line with a caret under the culprit, and what is allowed there. */
  readonly details?: readonly string[]
}

/** The configuration is wrong. Nothing was started; whatever runs already goes on with its own. */
export class ConfigError extends MusterError {
  readonly code = 'CONFIG_INVALID'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[], options?: { cause?: unknown }) {
    super(problems.map(formatProblem).join('\n'), options)
    this.problems = problems
  }
}

/** More than anybody reads; what is above is counted, and its place is not looked for. */
export const PROBLEMS_SHOWN = 20

/** @throws ConfigError with every problem, if there is one */
export function refuse(problems: readonly Problem[]): void {
  if (problems.length === 0) return
  const more = problems.length - PROBLEMS_SHOWN
  if (more <= 0) throw new ConfigError(problems)
  throw new ConfigError([...problems.slice(0, PROBLEMS_SHOWN), { path: '', message: `and ${more} more` }])
}

function formatProblem(problem: Problem): string {
  const where = problem.where === undefined ? '' : `${problem.where}: `
  return [`${where}${problem.message}`, ...(problem.details ?? [])].join('\n')
}
