import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, type FileLock, lockFile, lockHolders, messageOf, MusterError, sleep } from '../../base/index.ts'

/** Another agent has the run directory, or it cannot be used. Nothing was started, nothing of anybody's was touched. */
export class RunDirError extends MusterError {
  readonly code = 'AGENT_RUN_DIR'
}

/** An agent that hands over, or was killed a moment ago, has let go of everything within this. */
const PREDECESSOR_WAIT_MS = 5_000
const LOOK_MS = 20

/**
 * Takes the run directory for this agent alone, before anything in it is touched: its sockets lead to HAProxy and to the
 * services. Held until it is disposed of, or the process dies.
 * @throws RunDirError
 */
export async function claimRunDir(runDir: string, clock: Clock, signal?: AbortSignal): Promise<FileLock> {
  const path = join(runDir, '.agent.lock')
  const untilMs = clock.nowMs() + PREDECESSOR_WAIT_MS
  for (;;) {
    const lock = await tryLock(runDir, path)
    if (lock !== undefined) return lock
    if (clock.nowMs() >= untilMs) break
    await sleep(clock, LOOK_MS, signal)
  }
  const pid = lockHolders(path).join(', ')
  const who = pid === '' ? 'another agent' : `another agent (pid ${pid})`
  const advice =
    'To run two on one machine give this one its own -run-dir and -state-dir (or MUSTER_RUN_DIR, MUSTER_STATE_DIR)'
  throw new RunDirError(`${who} runs with the run directory ${runDir} and goes on; nothing was started. ${advice}`)
}

async function tryLock(runDir: string, path: string): Promise<FileLock | undefined> {
  try {
    mkdirSync(runDir, { recursive: true, mode: 0o700 })
    return await lockFile(path)
  } catch (cause) {
    const advice = 'Nothing was started. Give this user the directory, or choose another with -run-dir'
    throw new RunDirError(`cannot use the run directory ${runDir}: ${messageOf(cause)}. ${advice}`, { cause })
  }
}
