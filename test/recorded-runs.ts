import { readFileSync } from 'node:fs'

/** One run of Serf's own command, as it was recorded. */
export interface RecordedRun {
  readonly argv: readonly string[]
  readonly stdout: string
  readonly stderr?: string
  readonly exit: number
  readonly env?: Readonly<Record<string, string>>
  readonly note?: string
}

/** The recordings, moved from 127.0.0.1 to `ip`, so that rings of several test files do not meet. */
export function recordedRuns(ip: string): readonly RecordedRun[] {
  const text = readFileSync(new URL('vectors/serf-cli.json', import.meta.url), 'utf8')
  const moved = text.replaceAll(/127\.0\.0\.1(?!:7373)/g, ip) // the help's default stays
  return (JSON.parse(moved) as { cases: RecordedRun[] }).cases
}
