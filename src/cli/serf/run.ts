import type { Console, SerfCommand } from './console.ts'
import { FLAGS_FIRST, GENERAL_HELP, HELP, type SerfCommandName } from './texts.ts'

/** Each is loaded when it is called. */
const COMMANDS: Readonly<Record<SerfCommandName, () => Promise<SerfCommand>>> = {
  agent: async () => (await import('./agent.ts')).agent,
  event: async () => (await import('./event.ts')).event,
  'force-leave': async () => (await import('./force-leave.ts')).forceLeave,
  info: async () => (await import('./info.ts')).info,
  join: async () => (await import('./join.ts')).join,
  keygen: async () => (await import('./keygen.ts')).keygen,
  keys: async () => (await import('./keys.ts')).keys,
  leave: async () => (await import('./leave.ts')).leave,
  members: async () => (await import('./members.ts')).members,
  monitor: async () => (await import('./monitor.ts')).monitor,
  query: async () => (await import('./query.ts')).query,
  reachability: async () => (await import('./reachability.ts')).reachability,
  rtt: async () => (await import('./rtt.ts')).rtt,
  tags: async () => (await import('./tags.ts')).tags,
  version: async () => (await import('./version.ts')).version,
}

const UNKNOWN_COMMAND = 127

/** Serf's command to the byte: what goes to which stream, and the exit status, as of Serf 0.10. */
export async function runSerf(args: readonly string[], console: Console): Promise<number> {
  if (args.some(text => text === '-v' || text === '--version')) return (await COMMANDS.version())([], console)
  const { name, isHelp, hasEarlyFlags, rest } = readLine(args)
  if (name === undefined || !isCommand(name)) {
    console.err(GENERAL_HELP)
    return name === undefined && isHelp ? 0 : UNKNOWN_COMMAND
  }
  if (isHelp) {
    console.err(HELP[name])
    return 0
  }
  if (!hasEarlyFlags) return (await COMMANDS[name]())(rest, console)
  console.err(`${FLAGS_FIRST}${HELP[name]}`)
  return 1
}

interface Line {
  readonly name: string | undefined
  readonly isHelp: boolean
  /** Options other than help and version before the command. */
  readonly hasEarlyFlags: boolean
  readonly rest: readonly string[]
}

/** The command is the first argument that is no option; what follows `--` is not looked at. */
function readLine(args: readonly string[]): Line {
  const end = args.indexOf('--')
  const seen = end < 0 ? args : args.slice(0, end)
  const at = seen.findIndex(text => text !== '' && !text.startsWith('-'))
  const early = (at < 0 ? seen : seen.slice(0, at)).filter(text => text !== '' && !IGNORED.has(text))
  return {
    name: at < 0 ? undefined : seen[at],
    isHelp: seen.some(text => HELP_FLAGS.has(text)),
    hasEarlyFlags: early.length > 0,
    rest: at < 0 ? [] : args.slice(at + 1),
  }
}

const HELP_FLAGS = new Set(['-h', '-help', '--help'])
const IGNORED = new Set([...HELP_FLAGS, '-version'])

function isCommand(name: string): name is SerfCommandName {
  return Object.hasOwn(COMMANDS, name)
}
