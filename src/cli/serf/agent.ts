import type { AgentConfig } from '../../agent/config/index.ts'
import { SETTINGS } from '../../agent/config/settings.ts'
import { formatAddress, messageOf } from '../../base/index.ts'
import { startupComplaints } from './agent-checks.ts'
import { HeldLog, sayRunning } from './agent-output.ts'
import { type Console, type SerfCommand, say } from './console.ts'
import { type FlagSpec, type GivenFlag, parseFlags } from './go-flags.ts'
import { standardDirs } from './standard-dirs.ts'
import { HELP } from './texts.ts'

/** The options of `serf agent`, as of Serf 0.10. */
const FLAGS: FlagSpec = {
  ...{ bind: 'text', advertise: 'text', iface: 'text', 'config-file': 'list', 'config-dir': 'list', encrypt: 'text' },
  ...{ 'keyring-file': 'text', 'event-handler': 'list', join: 'list', replay: 'boolean', 'retry-join': 'list' },
  ...{ 'retry-interval': 'text', 'retry-max': 'integer', 'log-level': 'text', node: 'text', protocol: 'integer' },
  ...{ role: 'text', tag: 'list', 'tags-file': 'text', 'rpc-addr': 'text', profile: 'text', snapshot: 'text' },
  ...{ rejoin: 'boolean', discover: 'text', syslog: 'boolean', 'disable-compression': 'boolean' },
  ...{
    'broadcast-timeout': 'text',
    'mdns-iface': 'text',
    'mdns-disable-ipv4': 'boolean',
    'mdns-disable-ipv6': 'boolean',
  },
}

/** Only where nothing says where: otherwise none are made. */
function dirsOf({ env }: Console): { state: string; run: string } {
  const [state, run] = [env['MUSTER_STATE_DIR'], env['MUSTER_RUN_DIR']]
  return state && run ? { state, run } : standardDirs(env)
}

/** Serf's options, read as Serf reads them; the agent that then runs is Muster's, with its own sentences in the log and its own endings. */
export const agent: SerfCommand = async (args, console) => {
  const parsed = parseFlags(FLAGS, args)
  if (!('flags' in parsed)) {
    if (parsed.failure !== undefined) console.err(`${parsed.failure}\n`)
    console.out(`==> ${HELP.agent}`)
    return 1
  }
  const { lines, isFatal } = startupComplaints(parsed.given)
  for (const line of lines) say(console, `==> ${line}`)
  if (isFatal) return 1
  const missing = parsed.given.find(({ name }) => !isFile(name) && !SETTINGS.some(({ flag }) => flag === name))
  if (missing !== undefined) return say(console, `==> Error: this agent has no -${missing.name}; leave it out`)
  try {
    const { runAgent } = await import('../agent.ts')
    const out = new HeldLog(console.out)
    const input = { files: filesOf(parsed.given), flags: flagsOf(parsed.given), serf: true, dirs: dirsOf(console) }
    const started = (config: AgentConfig) => {
      sayRunning(console, config)
      out.open(config.logFormat === 'text')
    }
    return await runAgent(input, { out, started })
  } catch (failure) {
    const rpc = parsed.given.filter(({ name }) => name === 'rpc-addr').at(-1)?.value ?? '127.0.0.1:7373'
    return say(console, `==> ${takenText(failure, rpc) ?? messageOf(failure)}`)
  }
}

/** In Serf's words which address could not be listened on; undefined when it is about something else. */
export function takenText(failure: unknown, rpcAddress: string): string | undefined {
  let cause = failure as { code?: string; address?: string; port?: number; cause?: unknown } | undefined
  while (cause !== undefined && cause !== null && !(cause.code !== undefined && cause.code in BIND_ERRORS))
    cause = cause.cause as typeof cause
  if (cause?.address === undefined || cause.port === undefined) return undefined
  const address = formatAddress({ ip: cause.address, port: cause.port })
  const listen = `listen tcp ${address}: bind: ${BIND_ERRORS[cause.code ?? ''] ?? ''}`
  if (address === rpcAddress) return `Error starting RPC listener: ${listen}`
  const transport = 'Could not set up network transport: failed to obtain an address'
  const socket = `Failed to start TCP listener on "${cause.address}" port ${cause.port}`
  return `Failed to start the Serf agent: Error creating Serf: Failed to create memberlist: ${transport}: ${socket}: ${listen}`
}

const BIND_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
}

function isFile(name: string): boolean {
  return name === 'config-file' || name === 'config-dir'
}

function filesOf(given: readonly GivenFlag[]) {
  return given
    .filter(({ name }) => isFile(name))
    .map(({ name, value }) => ({ kind: name === 'config-dir' ? ('dir' as const) : ('file' as const), path: value }))
}

/** An empty text is as good as none, as in Serf: units say `-iface=$IFACE` where nothing may have been set. */
export function flagsOf(given: readonly GivenFlag[]): Record<string, string[]> {
  const flags: Record<string, string[]> = {}
  for (const { name, value } of given) {
    if (isFile(name)) continue
    if (value === '' && FLAGS[name] === 'text') delete flags[name]
    else (flags[name] ??= []).push(value)
  }
  return flags
}
