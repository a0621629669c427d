/** Values that may stand beside a sentence in the log. */
export type LogFields = Readonly<Record<string, unknown>>

/**
 * Records: a constant sentence plus fields. *error* wakes someone, *warn* heals itself, *info* is the cluster's timeline,
 * *debug* explains. pino's own loggers fit this interface.
 */
export interface Log {
  error(fields: LogFields, sentence: string): void
  warn(fields: LogFields, sentence: string): void
  info(fields: LogFields, sentence: string): void
  debug(fields: LogFields, sentence: string): void
  /** A logger that adds `fields` to every record, by habit `{ room: 'balancer' }`. */
  child(fields: LogFields): Log
}

/** Says nothing; for parts under test. */
export const silentLog: Log = { error() {}, warn() {}, info() {}, debug() {}, child: () => silentLog }
