import type { Clock } from '../../base/index.ts'
import type { RpcClient } from '../../serf/index.ts'
import { type Flags, type FlagSpec, parseFlags } from './go-flags.ts'
import { HELP, type SerfCommandName } from './texts.ts'

/** What a command sees of the world. */
export interface Console {
  readonly out: (text: string | Uint8Array) => void
  readonly err: (text: string) => void
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  /** Aborted by Ctrl-C, for the commands that end by it in an orderly way; calling it is asking for that. */
  readonly interrupted: () => AbortSignal
}

/** Runs with the arguments behind its name. @returns the exit status */
export type SerfCommand = (args: readonly string[], console: Console) => Promise<number>

/** One line on standard output, where Serf's command puts its errors, too. @returns 1, as most who say something end with it */
export function say(console: Console, line: string): 1 {
  console.out(`${line}\n`)
  return 1
}

/** A complaint, an empty line, and the help. */
export function sayWithHelp(console: Console, name: SerfCommandName, complaint: string): 1 {
  console.out(`${complaint}\n\n${HELP[name]}`)
  return 1
}

/** Undefined when the options could not be read, which has been said: the message on standard error, the help on output. */
export function flagsOf<S extends FlagSpec>(
  console: Console,
  name: SerfCommandName,
  spec: S,
  args: readonly string[],
): { flags: Flags<S & typeof RPC_FLAGS>; rest: readonly string[] } | undefined {
  const parsed = parseFlags({ ...spec, ...RPC_FLAGS }, args)
  if ('flags' in parsed) return parsed
  if (parsed.failure !== undefined) console.err(`${parsed.failure}\n`)
  console.out(HELP[name])
  return undefined
}

const RPC_FLAGS = { 'rpc-addr': 'text', 'rpc-auth': 'text' } as const

/** A command whose work is one use of the agent. */
export type WithAgent = (client: RpcClient) => Promise<number>
