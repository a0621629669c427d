import { type ChildProcess, spawn } from 'node:child_process'
import { messageOf } from '../../../base/index.ts'
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

/** Without file descriptors left there is a child without streams, and an 'error' to come: hence the question marks. */
function watched(child: ChildProcess, input: Uint8Array): RunningScript {
  const output = new LastBytes(SCRIPT_OUTPUT_BYTES_MAX)
  const ended = new Promise<ScriptResult>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status, signal) =>
      resolve({ exitStatus: status ?? undefined, signal: signal ?? undefined, output: output.bytes() }),
    )
  })
  child.stdout?.on('data', (chunk: Uint8Array) => output.add(chunk))
  child.stderr?.on('data', (chunk: Uint8Array) => output.add(chunk))
  child.stdin?.on('error', () => {}) // a script that does not read its input is fine
  child.stdin?.end(input)
  return { ended, kill: killer(child) }
}

function killer(child: ChildProcess): RunningScript['kill'] {
  let isKilled = false
  const letGo = () => {
    child.stdout?.destroy()
    child.stderr?.destroy()
  }
  const hasExited = () => child.exitCode !== null || child.signalCode !== null
  child.on('exit', () => {
    if (isKilled) letGo()
  })
  return signal => {
    isKilled = true
    if (hasExited()) letGo()
    else if (child.pid !== undefined) signalGroup(child.pid, signal)
  }
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
