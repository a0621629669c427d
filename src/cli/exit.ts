import { messageOf } from '../base/index.ts'
import { printableLines } from './table.ts'

/** What a command ends with; `changes`: `plan --detailed-exitcode` has found something to do, which no mistyped flag is to look like. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unreachable: 3, refused: 4, timedOut: 5, changes: 6 } as const

/** What cannot work as it is configured; found before anything is started. */
const CONFIGURED_WRONGLY: ReadonlySet<string> = new Set([
  'CONFIG_INVALID',
  'CLI_USAGE',
  'SERF_TAGS_TOO_LARGE',
  'SUPERVISOR_SPEC',
  'API_LISTEN',
  'BALANCER_CONFIG',
  'BALANCER_TEMPLATE',
  'BALANCER_BIND',
  'BALANCER_CONFIG_REFUSED',
])

/** The exit code for whatever a command threw, by its stable code. */
export function exitCodeOf(thrown: unknown): number {
  const code = codeOf(thrown)
  if (CONFIGURED_WRONGLY.has(code) || isAskedWrongly(thrown)) return EXIT.usage
  if (code === 'AGENT_UNREACHABLE' || code === 'RPC_UNREACHABLE') return EXIT.unreachable
  if (code === 'API_REFUSED') return EXIT.refused
  if (code === 'RPC_TIMED_OUT') return EXIT.timedOut
  return EXIT.failed
}

/** The agent could not understand what was asked for, or would not read it: HTTP's 400 and 414. */
function isAskedWrongly(thrown: unknown): boolean {
  return codeOf(thrown) === 'API_ANSWER' && [400, 414].includes((thrown as { status?: number }).status ?? 0)
}

/** What to do about errors whose words are the agent's, not ours. */
const HINTS: Readonly<Record<string, string>> = {
  RPC_AUTH: "give the agent's key with -rpc-auth or in SERF_RPC_AUTH",
  RPC_CLOSED: 'the agent has ended, or could not read the request (an expression that is none?); its log says which',
}

/** The error as a sentence, with what to do where that is known. */
export function explained(thrown: unknown): string {
  const hint = HINTS[codeOf(thrown)]
  const sentence = messageOf(thrown).trimEnd()
  return hint === undefined ? sentence : `${sentence}: ${hint}`
}

/** Says on standard error what failed, and sets the exit code. */
export function fail(thrown: unknown): void {
  process.stderr.write(`muster: ${printableLines(explained(thrown))}\n`)
  process.exitCode = exitCodeOf(thrown)
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
}
