import type { Command } from 'commander'

/** What the files say by now: `plan`, `apply`, `rollback`. */
export function addPlanCommands(muster: Command, socket: readonly [string, string]): void {
  const withCommon = (command: Command) =>
    command
      .allowExcessArguments(false)
      .option('--diff', "also HAProxy's file, as diff -u shows it")
      .option(...socket)
      .option('-o, --output <FORMAT>', 'text or json')
  withCommon(muster.command('plan').description('what the files say by now would change, and how; touches nothing'))
    .option('--detailed-exitcode', 'exit 6 when there is something to do, 0 when there is not')
    .addHelpText(
      'after',
      '\nExit status: 0 it can be done, or there is nothing to do; 1 HAProxy would refuse it; 6 with --detailed-exitcode: something to do.' +
        '\n\nExample:\n  $ muster plan --diff',
    )
    .action(async (options: object) => (await import('./plan.ts')).runPlan(options))
  withCommon(muster.command('apply').description('put in force what the files say by now; refused as a whole or done'))
    .option('--dry-run', 'as muster plan')
    .option('--plan <ID>', 'only if it is this plan that would be done')
    .option('--reload', 'reload HAProxy even if nothing differs: its program was replaced, say')
    .addHelpText('after', '\nExample:\n  $ muster plan\n  $ muster apply --plan 3f9c2a7d01be')
    .action(async (options: object) => (await import('./plan.ts')).runApply(options))
  withCommon(muster.command('rollback').description('go back to a configuration of the balancer that was in force'))
    .argument('[generation]', 'its number; default: the one before')
    .option('--list', 'those that there are')
    .option('--dry-run', 'what it would change')
    .addHelpText('after', '\nExample:\n  $ muster rollback --list\n  $ muster rollback 7')
    .action(async (generation: string | undefined, options: object) =>
      (await import('./plan.ts')).runRollback(options, generation),
    )
}
