import { MusterError } from '../base/index.ts'

/** The command line makes no sense. Nothing was done. */
export class UsageError extends MusterError {
  readonly code = 'CLI_USAGE'
}
