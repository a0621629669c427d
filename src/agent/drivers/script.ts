import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { messageOf } from '../../base/index.ts'
import { type RunningScript, SCRIPT_OUTPUT_BYTES_MAX, type ScriptCall, type ScriptResult } from '../event-handlers.ts'

/**
 * Runs `/bin/sh -c SCRIPT` in a process group of its own, in the agent's directory and environment with `env` over it.
 * Ends, as in Serf, when the script has exited and nobody holds its output any more; after `kill` the exit is enough.
 */
export function runScript(call: ScriptCall): RunningScript {
  try {
    const child = spawn('/bin/sh', ['-c', call.script], { env: { ...process.env, ...call.env }, detached: true })
    return watched(child, call.input)
  } catch (failure) {
    // A NUL byte in the environment, say: a stranger may have put it into an event's name.
    return { ended: Promise.reject(new Error(messageOf(failure), { cause: failure })), kill() {} }
  }
}

function watched(child: ChildProcessWithoutNullStreams, input: Uint8Array): RunningScript {
  const output = new LastBytes(SCRIPT_OUTPUT_BYTES_MAX)
  let isKilled = false
  let hasExited = false
  const letGo = () => {
    child.stdout.destroy()
    child.stderr.destroy()
  }
  child.stdout.on('data', chunk => output.add(chunk))
  child.stderr.on('data', chunk => output.add(chunk))
  child.stdin.on('error', () => {}) // a script that does not read its input is fine
  child.stdin.end(input)
  child.on('exit', () => {
    hasExited = true
    if (isKilled) letGo()
  })
  const ended = new Promise<ScriptResult>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status, signal) =>
      resolve({ exitStatus: status ?? undefined, signal: signal ?? undefined, output: output.bytes() }),
    )
  })
  const kill = (signal: 'SIGTERM' | 'SIGKILL') => {
    isKilled = true
    if (hasExited) letGo()
    else if (child.pid !== undefined) signalGroup(child.pid, signal)
  }
  return { ended, kill }
}

/** Only called while the leader is not reaped, so the number is still its group's. */
function signalGroup(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(-pid, signal)
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code !== 'ESRCH') throw failure
  }
}

/** Keeps the end of what is written to it. */
class LastBytes {
  readonly #bytesMax: number
  #held: Buffer = Buffer.alloc(0)

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  add(chunk: Uint8Array): void {
    this.#held = Buffer.concat([this.#held, chunk]).subarray(-this.#bytesMax)
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#held)
  }
}
