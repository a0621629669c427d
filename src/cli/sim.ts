/** `muster sim`: rings of the real cores in virtual time. What each kind of run needs is loaded when it is called. */
import { EXIT } from './exit.ts'
import { print } from './output.ts'
import { HELP, readCommand } from './sim/options.ts'
import { WORKER_FLAG } from './sim/worker-flag.ts'

/** @returns the exit code */
export async function runSim(args: readonly string[]): Promise<number> {
  if (args[0] === WORKER_FLAG) return (await import('./sim/worker.ts')).runWorker()
  const command = readCommand(args)
  if (command.kind === 'help') {
    print(HELP)
    return EXIT.ok
  }
  if (command.kind === 'swarm') return (await import('./sim/swarm-run.ts')).runSwarm(command)
  if (command.kind === 'scenario') return (await import('./sim/scenario-run.ts')).runScenarioCommand(command)
  if (command.study === 'scale') return (await import('./sim/scale-run.ts')).runScaleStudy(command)
  return (await import('./sim/lifeguard-run.ts')).runLifeguardStudy(command)
}
