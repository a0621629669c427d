import { MusterError } from '../../base/index.ts'
import { describeFilter, type EventFilter, EventFilterError, parseEventFilters } from '../../serf/index.ts'

/** One event handler: what it is for and what it runs. */
export interface HandlerSpec {
  /** At least one. A script runs once for each filter that matches, as in Serf, where each becomes a handler. */
  readonly filters: readonly EventFilter[]
  /** For `/bin/sh -c`. */
  readonly script: string
}

/** A handler for a kind of event that does not exist. Nothing was installed. */
export class HandlerSpecError extends MusterError {
  readonly code = 'AGENT_HANDLER'
}

/**
 * Reads `[FILTER[,FILTER…]=]SCRIPT`, split at the first `=` as Serf 0.10 does. So a script with a `=` of its own needs a filter:
 * `*=handler.sh --x=1`.
 * @throws HandlerSpecError in Serf's words
 */
export function parseHandler(spec: string): HandlerSpec {
  const split = spec.indexOf('=')
  const script = spec.slice(split + 1)
  try {
    return { filters: parseEventFilters(split < 0 ? '' : spec.slice(0, split)), script }
  } catch (cause) {
    if (!(cause instanceof EventFilterError)) throw cause
    const words = `Invalid event script: Event '${describeFilter(cause.filter)}' invoking '${script}'`
    throw new HandlerSpecError(words, { cause })
  }
}
