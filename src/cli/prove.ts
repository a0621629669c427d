/** `muster prove`: a load and a ledger around any operation. What each form needs is loaded when it is called. */
import { EXIT } from './exit.ts'
import { print, tell } from './output.ts'
import { HELP, readProve, SOCKET_VARIABLE } from './prove/options.ts'

/** @returns the exit code */
export async function runProve(args: readonly string[]): Promise<number> {
  const command = readProve(args)
  if (command.kind === 'help') {
    print(HELP)
    return EXIT.ok
  }
  if (command.kind === 'tell') return await tellProver(command.words)
  const interrupted = new AbortController()
  const onSignal = () => interrupted.abort(new Error('interrupted'))
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const name of signals) process.on(name, onSignal)
  try {
    if (command.kind === 'run') return await (await import('./prove/run.ts')).runProof(command, interrupted.signal)
    return await (await import('./prove/scenario.ts')).runScenario(command, interrupted.signal)
  } finally {
    for (const name of signals) process.off(name, onSignal)
  }
}

/** A script that is run without the prover goes its way. */
async function tellProver(words: readonly string[]): Promise<number> {
  const path = process.env[SOCKET_VARIABLE]
  if (path === undefined || path === '') {
    tell(`muster prove ${words.join(' ')}: nobody proves anything here (${SOCKET_VARIABLE} is not set)`)
    return EXIT.ok
  }
  await (await import('./prove/marks.ts')).tellProver(path, words)
  return EXIT.ok
}
