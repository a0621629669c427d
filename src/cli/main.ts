/** The command line: one command a file, loaded when it is called, so that `muster members` starts no agent's code. */
import { basename } from 'node:path'
import { Argument, Command, CommanderError, Option } from 'commander'
import { SETTINGS } from '../agent/config/settings.ts'
import { VERSION } from '../agent/version.ts'
import { withTwoDashes } from './arguments.ts'
import { completionScript, SHELLS, type Shell } from './completion.ts'
import type { DrainOptions } from './drain.ts'
import { EXIT, fail } from './exit.ts'
import { formatOf, type OutputOptions, print, printJson } from './output.ts'
import { addPlanCommands } from './plan-commands.ts'
import { addRingCommands } from './ring.ts'

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
  addRingCommands(muster)
  apiCommands(muster)
  demoCommand(muster)
  proveCommand(muster)
  simCommand(muster)
  serfCommand(muster)
  completionCommand(muster)
  versionCommand(muster)
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
  const drain = muster.command('drain [server]').description('take a server out of traffic on every balancer, and wait')
  drain
    .option('--pool <NAME>', 'only in this pool')
    .option('--list', 'what is drained, by whom, since when; so is drain without a server')
    .option('--undo', 'let it take traffic again, everywhere')
    .option('--timeout <DURATION>', 'how long to wait until nothing is left on it (30s); it stays drained')
    .option('--no-wait', 'do not wait')
    .option('--reason <TEXT>', 'why, for the journal and the list')
    .option('--force', 'in spite of the minimum number of servers; wants a reason')
    .option(...socket)
    .option('-o, --output <FORMAT>', 'text or json')
    .addHelpText(
      'after',
      '\nExit status: 0 nothing is left, 4 refused (too few servers), 5 something was left at the time-out.' +
        '\n\nExample:\n  $ muster drain web-2 --reason "new disk" && ssh web-2 reboot\n  $ muster drain --undo web-2',
    )
    .allowExcessArguments(false)
  drain.action(async (server: string | undefined, options: DrainOptions) =>
    (await import('./drain.ts')).runDrain(options, server),
  )
  const doctor = muster
    .command('doctor')
    .description('what is wrong with the agent, and what to do; exit 1 if anything is')
  doctor
    .option(...socket)
    .option('-o, --output <FORMAT>', 'text or json')
    .addHelpText('after', '\nExample:\n  $ muster doctor')
  doctor.action(async (options: object) => (await import('./doctor.ts')).runDoctor(options))
  const handover = muster
    .command('handover')
    .description('end the agent without leaving; services and HAProxy run on, for an upgrade')
  handover
    .option(...socket)
    .option('-o, --output <FORMAT>', 'text or json')
    .addHelpText('after', '\nExample:\n  $ muster handover && muster agent')
  handover.action(async (options: object) => (await import('./status.ts')).runHandover(options))
  historyCommand(muster, socket)
  whyCommand(muster, socket)
  addPlanCommands(muster, socket)
}

function historyCommand(muster: Command, socket: readonly [string, string]): void {
  const command = muster
    .command('history')
    .description('what happened, from the journal; with --at, the pools as they were')
  const times = '10m (ago), 12:03:07 (today), 2026-11-21T12:03:07'
  command
    .argument('[name]', 'only what is about this member, server, pool, service or address')
    .allowExcessArguments(false)
    .option('--at <TIME>', `the pools at that time: ${times}`)
    .option('--since <TIME>', 'everything from then on, the same forms of time')
    .option('--until <TIME>', 'up to then')
    .option('--kind <KINDS>', 'member, service, receipt, command, guard, check, agent; several with commas')
    .option('-n, --number <COUNT>', 'how many, the newest; default 50, with --since 10000')
    .option(...socket)
    .option('-o, --output <FORMAT>', 'text or json')
    .addHelpText('after', '\nExample:\n  $ muster history --at 12:03:07\n  $ muster history web-2 --since 10m')
  command.action(async (name: string | undefined, options: object) =>
    (await import('./history.ts')).runHistory(name, options),
  )
}

function whyCommand(muster: Command, socket: readonly [string, string]): void {
  const command = muster
    .command('why')
    .description('why a server, pool, service or this node is as it is: one verdict, then the evidence')
  command
    .argument('[name]', 'a member, server, service or pool, or an address; without, what is not well on this node')
    .allowExcessArguments(false)
    .option(...socket)
    .option('-o, --output <FORMAT>', 'text or json')
    .addHelpText(
      'after',
      '\nExit status: 0 all is well, or as an operator wished; 1 something is wrong, or nobody knows the name.' +
        '\n\nExample:\n  $ muster why web-2\n  $ muster why 10.0.0.7:3000',
    )
  command.action(async (name: string | undefined, options: object) => (await import('./why.ts')).runWhy(name, options))
}

function versionCommand(muster: Command): void {
  const command = muster.command('version').description('print the version')
  command.option('-o, --output <FORMAT>', 'text or json').addHelpText('after', '\nExample:\n  $ muster version')
  command.action((options: OutputOptions) => {
    if (formatOf(options) === 'json') printJson({ version: VERSION, protocol: { min: 2, max: 5, version: 5 } })
    else print(`muster ${VERSION}\nAgent Protocol: 5 (Understands back to: 2)`)
  })
}

/** Only for the help: what follows `serf` goes to Serf's own parser before commander sees it. */
function serfCommand(muster: Command): void {
  const command = muster.command('serf [command...]').description("Serf's command to the byte; so is a link named serf")
  command.allowUnknownOption().helpOption(false)
}

function completionCommand(muster: Command): void {
  const shell = new Argument('<shell>', 'for which shell').choices(SHELLS)
  const command = muster.command('completion').description('print a script that completes commands and options')
  command.addArgument(shell).addHelpText('after', '\nExample:\n  $ source <(muster completion bash)')
  command.action((name: Shell) => {
    process.stdout.write(completionScript(name, muster))
  })
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

function simCommand(muster: Command): void {
  const command = muster.command('sim').description('rings of thousands in virtual time: scenarios, studies, the swarm')
  command.allowUnknownOption().allowExcessArguments().argument('[options...]').helpOption(false)
  command.action(async (args: string[]) => {
    process.exitCode = await (await import('./sim.ts')).runSim(args)
  })
}

/** Only for the help: what follows `prove` may hold a command line, whose `--` commander would take away. */
function proveCommand(muster: Command): void {
  const command = muster
    .command('prove')
    .description('a load and a ledger around any operation: lost, doubled, unknown')
  command.allowUnknownOption().allowExcessArguments().argument('[options...]').helpOption(false)
}

/** What follows `muster serf`, or all when the program was started by a link named `serf`. */
function serfArguments(): string[] | undefined {
  const args = process.argv.slice(2)
  if (basename(process.argv[1] ?? '') === 'serf') return args
  return args[0] === 'serf' ? args.slice(1) : undefined
}

async function main(): Promise<void> {
  const args = serfArguments()
  if (process.argv[2] === 'prove' && args === undefined) {
    process.exitCode = await (await import('./prove.ts')).runProve(withTwoDashes(process.argv.slice(3)))
    return
  }
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
