import { spawn } from 'node:child_process'
import { type Clock, identify, signalGroup, signalProcess } from '../../base/index.ts'
import { SOCKET_VARIABLE } from './options.ts'

export interface CommandEnd {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
}

/** How long an interrupted command may take to end. */
const END_MS_MAX = 5000

/**
 * Runs COMMAND to its end; its output goes through. Once `signal` is aborted it gets SIGTERM, later SIGKILL: with all that it
 * has started, unless it reads from our terminal, which signals its group itself.
 * @throws when it cannot be started
 */
export function runCommand(
  command: readonly string[],
  options: { readonly socket: string; readonly outputToStderr: boolean; readonly clock: Clock },
  signal: AbortSignal,
): Promise<CommandEnd> {
  const [program = '', ...argv] = command
  const isOwnGroup = process.stdin.isTTY !== true
  const child = spawn(program, argv, {
    stdio: ['inherit', options.outputToStderr ? 2 : 1, 2],
    env: { ...process.env, [SOCKET_VARIABLE]: options.socket },
    detached: isOwnGroup,
  })
  const identity = child.pid === undefined ? undefined : identify(child.pid)
  const end = (name: NodeJS.Signals) => {
    if (identity !== undefined) (isOwnGroup ? signalGroup : signalProcess)(identity, name)
  }
  const onAbort = () => {
    end('SIGTERM')
    killer = options.clock.after(END_MS_MAX, () => end('SIGKILL'))
  }
  let killer: { cancel(): void } | undefined
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  return new Promise<CommandEnd>((resolve, reject) => {
    child.once('error', cause => reject(new Error(`${program} cannot be started: ${cause.message}`, { cause })))
    child.once('exit', (exitCode, name) => resolve({ exitCode, signal: name }))
  }).finally(() => {
    signal.removeEventListener('abort', onAbort)
    killer?.cancel()
    if (signal.aborted) end('SIGKILL') // what it has left behind
  })
}
