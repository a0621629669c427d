/** The command line. */
import { basename } from 'node:path'
import { CommanderError } from 'commander'
import { withoutUnknown, withTwoDashes } from './arguments.ts'
import { EXIT, fail } from './exit.ts'
import { program } from './program.ts'

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
  if (args === undefined) {
    const muster = program()
    const names = muster.commands.map(command => command.name())
    await muster.parseAsync(withoutUnknown(withTwoDashes(process.argv.slice(2)), names), { from: 'user' })
    return
  }
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
