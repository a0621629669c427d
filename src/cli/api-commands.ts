import type { Command } from 'commander'
import type { DrainOptions } from './drain.ts'
import { addPlanCommands } from './plan-commands.ts'

const SOCKET = ['--socket <PATH>', "the agent's unix socket (MUSTER_API_SOCKET, else /run/muster/agent.sock)"] as const

/** Commands that ask a running agent over its HTTP API. */
export function addApiCommands(muster: Command): void {
  statusCommand(muster)
  drainCommand(muster)
  doctorCommand(muster)
  handoverCommand(muster)
  historyCommand(muster)
  whyCommand(muster)
  addPlanCommands(muster, SOCKET)
}

/** What all of them take. */
function withCommon(command: Command): Command {
  return command.option(...SOCKET).option('-o, --output <FORMAT>', 'text or json')
}

function statusCommand(muster: Command): void {
  withCommon(muster.command('status').description('services, pools and servers, with the reason for each state'))
    .addHelpText('after', '\nExample:\n  $ muster status -o json')
    .action(async (options: object) => (await import('./status.ts')).runStatus(options))
}

function drainCommand(muster: Command): void {
  const command = muster
    .command('drain [server]')
    .description('take a server out of traffic on every balancer, and wait')
    .option('--pool <NAME>', 'only in this pool')
    .option('--list', 'what is drained, by whom, since when; so is drain without a server')
    .option('--undo', 'let it take traffic again, everywhere')
    .option('--timeout <DURATION>', 'how long to wait until nothing is left on it (30s); it stays drained')
    .option('--no-wait', 'do not wait')
    .option('--reason <TEXT>', 'why, for the journal and the list')
    .option('--force', 'in spite of the minimum number of servers; wants a reason')
  withCommon(command)
    .addHelpText(
      'after',
      '\nExit status: 0 nothing is left, 1 somebody has taken it back, 4 refused (too few servers), 5 the time came first.' +
        '\n\nExample:\n  $ muster drain web-2 --reason "new disk" && ssh web-2 reboot\n  $ muster drain --undo web-2',
    )
    .allowExcessArguments(false)
    .action(async (server: string | undefined, options: DrainOptions) =>
      (await import('./drain.ts')).runDrain(options, server),
    )
}

function doctorCommand(muster: Command): void {
  const description = 'what is wrong with the agent, and what to do; exit 1 if anything is'
  withCommon(muster.command('doctor').description(description))
    .addHelpText('after', '\nExample:\n  $ muster doctor')
    .action(async (options: object) => (await import('./doctor.ts')).runDoctor(options))
}

function handoverCommand(muster: Command): void {
  const description = 'end the agent without leaving; services and HAProxy run on, for an upgrade'
  withCommon(muster.command('handover').description(description))
    .addHelpText('after', '\nExample:\n  $ muster handover && muster agent')
    .action(async (options: object) => (await import('./status.ts')).runHandover(options))
}

function historyCommand(muster: Command): void {
  const times = '10m (ago), 12:03:07 (today), 2026-11-21T12:03:07'
  const command = muster
    .command('history')
    .description('what happened, from the journal; with --at, the pools as they were')
    .argument('[name]', 'only what is about this member, server, pool, service or address')
    .allowExcessArguments(false)
    .option('--at <TIME>', `the pools at that time: ${times}`)
    .option('--since <TIME>', 'everything from then on, the same forms of time')
    .option('--until <TIME>', 'up to then')
    .option('--kind <KINDS>', 'member, service, receipt, command, guard, check, agent; several with commas')
    .option('-n, --number <COUNT>', 'how many, the newest; default 50, with --since 10000')
  withCommon(command)
    .addHelpText('after', '\nExample:\n  $ muster history --at 12:03:07\n  $ muster history web-2 --since 10m')
    .action(async (name: string | undefined, options: object) =>
      (await import('./history.ts')).runHistory(name, options),
    )
}

function whyCommand(muster: Command): void {
  const command = muster
    .command('why')
    .description('why a server, pool, service or this node is as it is: one verdict, then the evidence')
    .argument('[name]', 'a member, server, service or pool, or an address; without, what is not well on this node')
    .allowExcessArguments(false)
  withCommon(command)
    .addHelpText(
      'after',
      '\nExit status: 0 all is well, or as an operator wished; 1 something is wrong, or nobody knows the name.' +
        '\n\nExample:\n  $ muster why web-2\n  $ muster why 10.0.0.7:3000',
    )
    .action(async (name: string | undefined, options: object) => (await import('./why.ts')).runWhy(name, options))
}
