import { messageOf } from '../base/index.ts'

/** What a command ends with (DESIGN section 6). */
export const EXIT = { ok: 0, failed: 1, usage: 2, unreachable: 3, refused: 4, timedOut: 5 } as const

/** The exit code for whatever a command threw, by its stable code. */
export function exitCodeOf(thrown: unknown): number {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
  if (code === 'CONFIG_INVALID' || code === 'CLI_USAGE') return EXIT.usage
  if (code === 'AGENT_UNREACHABLE' || code === 'RPC_UNREACHABLE') return EXIT.unreachable
  if (code === 'RPC_TIMED_OUT') return EXIT.timedOut
  return EXIT.failed
}

/** Says on standard error what failed, and sets the exit code. */
export function fail(thrown: unknown): void {
  process.stderr.write(`muster: ${messageOf(thrown)}\n`)
  process.exitCode = exitCodeOf(thrown)
}
