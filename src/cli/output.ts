import { EXIT } from './exit.ts'
import { UsageError } from './usage-error.ts'

export interface OutputOptions {
  /** `-o` */
  readonly output?: string
  /** Serf's name for the same. */
  readonly format?: string
}

export type Format = 'text' | 'json'

/** @throws UsageError for any other format */
export function formatOf(options: OutputOptions): Format {
  const format = options.output ?? options.format ?? 'text'
  if (format === 'text' || format === 'json') return format
  throw new UsageError(`-o: "${format}" is not a format; write text or json`)
}

/** Data: what was asked for, for whoever reads on. */
export function print(text: string): void {
  endWithReader()
  process.stdout.write(`${text}\n`)
}

/**
 * When nobody reads any more (`| head`), the command ends as any program that writes into a closed pipe; when the output cannot
 * be written, as into a full disk, it says so and fails.
 */
export function endWithReader(): void {
  if (process.stdout.listenerCount('error') > 0) return
  process.stdout.on('error', (failure: NodeJS.ErrnoException) => {
    if (failure.code === 'EPIPE') process.exit(BROKEN_PIPE)
    console.error(`muster: the output could not be written: ${failure.message}`)
    process.exit(EXIT.failed)
  })
}

/** 128 and the number of SIGPIPE. */
const BROKEN_PIPE = 141

/** Data as one JSON document; `compact` on one line, for what comes record by record. */
export function printJson(value: unknown, style: 'indented' | 'compact' = 'indented'): void {
  print(style === 'compact' ? JSON.stringify(value) : JSON.stringify(value, undefined, 2))
}

/** Chatter: how it goes, for whoever looks on. */
export function tell(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** What was done: chatter for people, a document for programs. */
export function report(options: OutputOptions, sentence: string, record: object): void {
  if (formatOf(options) === 'json') printJson(record)
  else tell(sentence)
}

/** Colours only on a terminal, and not when NO_COLOR says so (https://no-color.org). */
export function hasColour(): boolean {
  return process.stdout.isTTY === true && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
}

/** Aborted by Ctrl-C or SIGTERM, for commands that end by it in an orderly way. */
export function interrupted(): AbortSignal {
  const quitting = new AbortController()
  const quit = () => quitting.abort()
  process.once('SIGINT', quit).once('SIGTERM', quit)
  return quitting.signal
}
