/** The command line: one command a file, loaded when it is called, so that `muster members` starts no agent's code. */
import { basename } from 'node:path'
import { Command, CommanderError, Option } from 'commander'
import { SETTINGS } from '../agent/config/settings.ts'
import { VERSION } from '../agent/version.ts'
import { withTwoDashes } from './arguments.ts'
import { EXIT, fail } from './exit.ts'

type FileArgument = { kind: 'file' | 'dir'; path: string }

function program(): Command {
  const muster = new Command('muster')
  muster.description('A load-balanced tier that assembles itself: gossip, a supervisor and stock HAProxy in one agent.')
  muster.exitOverride().showHelpAfterError('(muster COMMAND --help says more)').enablePositionalOptions()
  muster.version(VERSION, '-v, --version').helpCommand('help [command]', 'this help, or that of a command')
  agentCommand(
    muster,
    'agent',
    "run an agent in the foreground; takes Serf's flags",
    '  $ muster agent -node web-1 -bind 10.0.0.5 -tag role=backend -join 10.0.0.2',
  )
  agentCommand(muster, 'up', 'run everything in a muster.yaml in the foreground', '  $ muster up -f ./muster.yaml')
  membersCommand(muster)
  joinCommand(muster)
  leaveCommand(muster)
  apiCommands(muster)
  demoCommand(muster)
  const version = muster.command('version').description('print the version')
  version
    .addHelpText('after', '\nExample:\n  $ muster version')
    .action(() => void process.stdout.write(`muster ${VERSION}\nAgent Protocol: 5 (Understands back to: 2)\n`))
  return muster
}

function agentCommand(muster: Command, name: string, description: string, example: string): void {
  const files: FileArgument[] = []
  const flags: Record<string, string[]> = {}
  const command = muster.command(name).description(description).allowExcessArguments(false)
  const take = (kind: FileArgument['kind']) => (path: string) => void files.push({ kind, path })
  command.addOption(
    new Option('-f, --config-file <FILE>', 'muster.yaml, or a JSON file of Serf; repeatable').argParser(take('file')),
  )
  command.addOption(new Option('--config-dir <DIR>', 'all .json and .yaml files of a directory').argParser(take('dir')))
  for (const setting of SETTINGS) {
    if (setting.flag === undefined) continue
    const flag = setting.flag
    const value = setting.kind === 'boolean' ? '[BOOL]' : `<${setting.value ?? 'VALUE'}>`
    const option = new Option(`--${flag} ${value}`, setting.help).preset('true')
    command.addOption(option.argParser((text: string) => void (flags[flag] ??= []).push(text)))
  }
  command.addHelpText(
    'after',
    `\nEvery flag may have one dash. Settings in the file and the environment: docs/configuration.md\n\nExample:\n${example}`,
  )
  command.action(async () => {
    const { runAgent } = await import('./agent.ts')
    process.exitCode = await runAgent({ files, flags })
    process.exit() // what a dependency left open must not hold the process
  })
}

function withRpcOptions(command: Command): Command {
  command.option('--rpc-addr <ADDR>', "the agent's RPC address (SERF_RPC_ADDR, else 127.0.0.1:7373)")
  return command.option('--rpc-auth <KEY>', 'its key (SERF_RPC_AUTH)')
}

const collect = (text: string, before: string[] | undefined) => [...(before ?? []), text]

function membersCommand(muster: Command): void {
  const command = withRpcOptions(muster.command('members').description('list the members of the ring'))
  command.option('--name <RE>', 'only names that match').option('--status <RE>', 'only statuses that match')
  command
    .option('--role <RE>', 'deprecated: --tag role=RE')
    .option('--tag <KEY=RE>', 'only tags that match; repeatable', collect)
  command
    .option('--detailed', 'protocol versions, too')
    .option('--format <FORMAT>', 'text or json')
    .option('-o, --output <FORMAT>', 'text or json')
  command.addHelpText('after', '\nExample:\n  $ muster members -status alive -tag role=backend -o json')
  command.action(async (options: object) => (await import('./members.ts')).runMembers(options))
}

function joinCommand(muster: Command): void {
  const command = withRpcOptions(
    muster.command('join <address...>').description('tell the agent to join a ring by any of its members'),
  )
  command
    .option('--replay', 'replay old user events')
    .addHelpText('after', '\nExample:\n  $ muster join 10.0.0.2 10.0.0.3:7946')
  command.action(async (addresses: string[], options: { replay?: boolean; rpcAddr?: string; rpcAuth?: string }) => {
    const { withRpc } = await import('./rpc.ts')
    const count = await withRpc(options, client => client.join(addresses, options.replay === true))
    process.stdout.write(`Successfully joined cluster by contacting ${count} nodes.\n`)
  })
}

function leaveCommand(muster: Command): void {
  const command = withRpcOptions(muster.command('leave').description('drain, leave the ring, and end the agent'))
  command.addHelpText('after', '\nExample:\n  $ muster leave')
  command.action(async (options: object) => {
    const { withRpc } = await import('./rpc.ts')
    await withRpc(options, client => client.leave())
    process.stdout.write('Graceful leave complete\n')
  })
}

function apiCommands(muster: Command): void {
  const socket = [
    '--socket <PATH>',
    "the agent's unix socket (MUSTER_API_SOCKET, else /run/muster/agent.sock)",
  ] as const
  const status = muster.command('status').description('services, pools and servers, with the reason for each state')
  status
    .option(...socket)
    .option('-o, --output <FORMAT>', 'text or json')
    .addHelpText('after', '\nExample:\n  $ muster status -o json')
  status.action(async (options: object) => (await import('./status.ts')).runStatus(options))
  const handover = muster
    .command('handover')
    .description('end the agent without leaving; services and HAProxy run on, for an upgrade')
  handover.option(...socket).addHelpText('after', '\nExample:\n  $ muster handover && muster agent')
  handover.action(async (options: object) => (await import('./status.ts')).runHandover(options))
}

function demoCommand(muster: Command): void {
  const command = muster.command('demo').description('a balancer and three servers on this machine, under load')
  command.allowUnknownOption().allowExcessArguments().argument('[options...]').helpOption(false)
  command.action(async (args: string[]) => {
    const { runDemo } = await import('./demo.ts')
    const code: unknown = await runDemo(args)
    if (typeof code === 'number') process.exitCode = code
  })
}

/** What follows `muster serf`, or all when the program was started by a link named `serf`. */
function serfArguments(): string[] | undefined {
  const args = process.argv.slice(2)
  if (basename(process.argv[1] ?? '') === 'serf') return args
  return args[0] === 'serf' ? args.slice(1) : undefined
}

async function main(): Promise<void> {
  const args = serfArguments()
  if (args === undefined)
    return void (await program().parseAsync(withTwoDashes(process.argv.slice(2)), { from: 'user' }))
  const [{ runSerf }, { processConsole }] = await Promise.all([
    import('./serf/run.ts'),
    import('./serf/process-console.ts'),
  ])
  process.exit(await runSerf(args, processConsole())) // what an agent's dependency left open must not hold the process
}

try {
  await main()
} catch (error) {
  if (!(error instanceof CommanderError)) fail(error)
  else process.exitCode = error.exitCode === 0 || process.argv.length <= 2 ? EXIT.ok : EXIT.usage
}
