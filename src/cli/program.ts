/** Every command with its options, one command a file, loaded when it is called, so that `muster members` starts no agent's code. */
import { Argument, Command, Option } from 'commander'
import { SETTINGS } from '../agent/config/settings.ts'
import { VERSION } from '../agent/version.ts'
import { addApiCommands } from './api-commands.ts'
import { completionScript, SHELLS, type Shell } from './completion.ts'
import { endWithReader, formatOf, type OutputOptions, print, printJson } from './output.ts'
import { addRingCommands } from './ring.ts'

type FileArgument = { kind: 'file' | 'dir'; path: string }

/** `muster` as commander knows it; `demo`, `prove` and `sim` read their options themselves (`own-options.ts`). */
export function program(): Command {
  const muster = new Command('muster')
  muster.description('A load-balanced tier that assembles itself: gossip, a supervisor and stock HAProxy in one agent.')
  muster.exitOverride().showHelpAfterError('(muster COMMAND --help says more)').enablePositionalOptions()
  muster.configureOutput({
    writeOut: text => {
      endWithReader() // muster --help | head
      process.stdout.write(text)
    },
    outputError: (text, write) => write(text.replace(/^error: /, 'muster: ')),
  })
  muster.version(VERSION, '-v, --version').helpCommand('help [command]', 'this help, or that of a command')
  agentCommand(
    muster,
    'agent',
    "run an agent in the foreground; takes Serf's flags",
    '  $ muster agent -node web-1 -bind 10.0.0.5 -tag role=backend -join 10.0.0.2',
  )
  agentCommand(muster, 'up', 'run everything in a muster.yaml in the foreground', '  $ muster up -f ./muster.yaml')
  addRingCommands(muster)
  addApiCommands(muster)
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
    `\nEvery flag may have one dash. Settings in the file and the environment: docs/configuration.md\nWithout -f the file is MUSTER_CONFIG_FILE, else /etc/muster/muster.yaml.\n\nExample:\n${example}`,
  )
  command.action(async () => {
    const { runAgent } = await import('./agent.ts')
    process.exitCode = await runAgent({ files, flags })
    process.exit() // what a dependency left open must not hold the process
  })
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
  command.action(async (name: Shell) => {
    const { OWN_OPTIONS } = await import('./own-options.ts')
    endWithReader()
    process.stdout.write(completionScript(name, muster, OWN_OPTIONS))
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
