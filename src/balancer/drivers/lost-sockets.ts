import { mkdir, readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Clock, messageOf, processIds, sleep } from '../../base/index.ts'
import { RuntimeSocketError } from '../errors.ts'
import { findMaster, type RunningMaster } from './haproxy-process.ts'

const REVIVE_TIMEOUT_MS = 5_000
const POLL_MS = 20

/**
 * The HAProxy that serves already. One whose sockets were deleted (somebody emptied /run) serves on and cannot be reached: it is told
 * to make them anew.
 * @throws RuntimeSocketError naming the process when it runs but stays out of reach
 */
export async function findRunning(masterSocket: string, clock: Clock): Promise<RunningMaster | undefined> {
  const found = await findMaster(masterSocket, clock)
  if (found !== undefined) return found
  const pid = await reviveMaster(masterSocket)
  if (pid === undefined) return undefined
  const deadlineMs = clock.nowMs() + REVIVE_TIMEOUT_MS
  while (clock.nowMs() < deadlineMs) {
    const revived = await findMaster(masterSocket, clock)
    if (revived !== undefined) return revived
    await sleep(clock, POLL_MS)
  }
  throw new RuntimeSocketError(
    `HAProxy runs (pid ${pid}) and serves, but its sockets in ${dirname(masterSocket)} are gone and it does not make them ` +
      `anew. End it by kill -USR1 ${pid}, and start again`,
  )
}

/**
 * Makes the master whose socket's file is gone load its configuration again, hitlessly, and with that its socket; that of its
 * workers stays lost, but the master's serves for it.
 * @returns its pid; undefined when the file is there, or no such master runs
 * @throws RuntimeSocketError when it may not be signalled
 */
export async function reviveMaster(masterSocket: string): Promise<number | undefined> {
  if (await isThere(masterSocket)) return undefined
  const pid = await masterOf(masterSocket)
  if (pid === undefined) return undefined
  await mkdir(dirname(masterSocket), { recursive: true, mode: 0o700 })
  try {
    process.kill(pid, 'SIGUSR2')
  } catch (failure) {
    const reason = messageOf(failure)
    throw new RuntimeSocketError(
      `HAProxy runs (pid ${pid}), but its sockets are gone and it cannot be told to make them anew: ${reason}`,
    )
  }
  return pid
}

/** Whoever was started with this master socket and is no child of another such: its workers have the same command. */
async function masterOf(masterSocket: string): Promise<number | undefined> {
  const parents = new Map<number, number>()
  for (const pid of processIds()) {
    const words = (await textOf(`/proc/${pid}/cmdline`)).split('\0')
    if (!words.some(word => word.startsWith(`${masterSocket},`))) continue
    parents.set(pid, Number(/^PPid:\s*(\d+)/m.exec(await textOf(`/proc/${pid}/status`))?.[1]))
  }
  return [...parents].find(([, parent]) => !parents.has(parent))?.[0]
}

/** Empty for a process that has ended meanwhile, or is not ours to look at. */
function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '')
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  )
}
