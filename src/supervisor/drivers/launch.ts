import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { closeSync, constants, lstatSync, openSync, rmSync } from 'node:fs'
import { promisify } from 'node:util'
import {
  bootId,
  type Clock,
  type FileLock,
  lockFile,
  lockHolders,
  messageOf,
  type ProcessIdentity,
  readProcess,
  sleep,
} from '../../base/index.ts'
import { LaunchError } from '../errors.ts'
import { argvOf, type Spec } from '../spec.ts'

/** Where one service's files are. */
export interface ServicePaths {
  readonly record: string
  readonly lock: string
  readonly log: string
  readonly fifo: string
}

/** What the last run left behind has been killed; until the kernel is done with it the lock is held. */
const LOCK_WAIT_MS = 1000

const run = promisify(execFile)

/**
 * Starts a service: in its own session and group, input from nowhere, output appended to its log file, and two more
 * descriptors that it keeps as long as it lives: the write end of its FIFO, whose end of file tells any agent of its
 * death, and its lock, which keeps a second one from being started before this one is on record.
 * (The descriptor is locked before the program starts, rather than by `flock -nF … program`, so that a held lock and a
 * program that is missing or ends are told apart.)
 * @throws LaunchError; nothing runs and nothing is held
 */
export async function launch(
  spec: Spec,
  paths: ServicePaths,
  clock: Clock,
): Promise<{ readonly child: ChildProcess; readonly identity: ProcessIdentity }> {
  const [file, ...args] = await commandFor(spec)
  await makeFifo(paths.fifo)
  using lock = await takeLock(paths.lock, clock)
  const descriptors = openDescriptors(paths)
  try {
    const { log, writer } = descriptors
    const stdio = ['ignore' as const, log, log, writer, lock.fd]
    const env = { ...process.env, ...spec.env }
    const child = spawn(file, args, {
      detached: true,
      stdio,
      env,
      ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
    })
    child.on('error', () => {}) // told by the missing pid, below
    // Not reaped before we return to the event loop: its start time is there to be read even if it is dead already.
    const stat = child.pid === undefined ? undefined : readProcess(child.pid)
    if (stat === undefined) throw await spawnFailure(child, spec)
    return { child, identity: { pid: stat.pid, startTime: stat.startTime, bootId: bootId() } }
  } catch (cause) {
    if (cause instanceof LaunchError) throw cause
    throw new LaunchError(`cannot start ${file}: ${messageOf(cause)}`, { cause })
  } finally {
    for (const fd of Object.values(descriptors)) closeSync(fd)
  }
}

function openDescriptors(paths: ServicePaths): { log: number; reader: number; writer: number } {
  const opened: number[] = []
  const open = (path: string, flags: number) => {
    opened.push(openSync(path, flags, 0o600))
    return opened.at(-1) as number
  }
  try {
    const log = open(paths.log, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT)
    const reader = open(paths.fifo, constants.O_RDONLY | constants.O_NONBLOCK) // a writer may open only beside a reader
    return { log, reader, writer: open(paths.fifo, constants.O_WRONLY | constants.O_NONBLOCK) }
  } catch (cause) {
    for (const fd of opened) closeSync(fd)
    throw new LaunchError(`cannot open the service's log or FIFO: ${messageOf(cause)}`, { cause })
  }
}

async function spawnFailure(child: ChildProcess, spec: Spec): Promise<LaunchError> {
  const cause = await new Promise<unknown>(resolve => {
    child.once('error', resolve)
    child.once('exit', () => resolve(new Error('it ended at once')))
  })
  const hint = spec.cwd === undefined ? '' : ` (in ${spec.cwd})`
  return new LaunchError(`cannot start ${argvOf(spec)[0]}${hint}: ${messageOf(cause)}`, { cause })
}

async function commandFor(spec: Spec): Promise<readonly [string, ...string[]]> {
  const argv = argvOf(spec)
  if (spec.user === undefined) return argv
  try {
    const { stdout } = await run('id', ['-g', '--', spec.user])
    return ['setpriv', `--reuid=${spec.user}`, `--regid=${stdout.trim()}`, '--init-groups', '--', ...argv]
  } catch (cause) {
    throw new LaunchError(`there is no user ${spec.user}`, { cause })
  }
}

async function makeFifo(path: string): Promise<void> {
  const now = lstatSync(path, { throwIfNoEntry: false })
  if (now?.isFIFO() === true) return
  try {
    if (now !== undefined) rmSync(path)
    await run('mkfifo', ['-m', '600', '--', path])
  } catch (cause) {
    throw new LaunchError(`cannot make the FIFO ${path}: ${messageOf(cause)}`, { cause })
  }
}

async function takeLock(path: string, clock: Clock): Promise<FileLock> {
  const untilMs = clock.nowMs() + LOCK_WAIT_MS
  for (;;) {
    const lock = await tryLock(path)
    if (lock !== undefined) return lock
    if (clock.nowMs() >= untilMs) break
    await sleep(clock, 10)
  }
  const pids = lockHolders(path).join(', ') || 'a process of another user'
  throw new LaunchError(`it already runs: ${path} is held by ${pids}. End that process, and this one starts by itself`)
}

async function tryLock(path: string): Promise<FileLock | undefined> {
  try {
    return await lockFile(path)
  } catch (cause) {
    throw new LaunchError(`cannot lock ${path}: ${messageOf(cause)}`, { cause })
  }
}
