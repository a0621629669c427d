import { spawn } from 'node:child_process'
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs'
import { MusterError } from '../errors.ts'
import { processIds } from './process-identity.ts'

/** The `flock` command could not be run or failed for a reason other than a held lock. Nothing is locked. */
export class LockError extends MusterError {
  readonly code = 'BASE_LOCK'
}

/**
 * A lock on a file, held as long as any process has the descriptor: the kernel lets go when the last holder dies, however
 * it dies. Hand `fd` to a child as an extra descriptor and release here, and the child holds the lock for its life.
 */
export class FileLock implements Disposable {
  readonly path: string
  readonly fd: number
  #released = false

  constructor(path: string, fd: number) {
    this.path = path
    this.fd = fd
  }

  /** Lets go of our own share. `remove` takes the file away as well, while it is still locked. Idempotent. */
  release(options: { readonly remove?: boolean } = {}): void {
    if (this.#released) return
    this.#released = true
    if (options.remove === true) rmSync(this.path, { force: true })
    closeSync(this.fd)
  }

  [Symbol.dispose](): void {
    this.release()
  }
}

/**
 * Tries once to lock `path`, creating it. flock(2) belongs to the open file, not to a process, so the `flock` command
 * (util-linux; Node has no such call) locks the descriptor that it inherits and ends: about 2 ms.
 * @returns undefined when someone else holds it
 * @throws LockError, or the system's error when the file cannot be opened
 */
export async function lockFile(path: string): Promise<FileLock | undefined> {
  for (let attempt = 0; attempt < 10; attempt++) {
    const lock = new FileLock(path, openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600))
    if (!(await lockDescriptor(lock))) return undefined
    if (isStillThere(lock)) return lock
    lock.release() // its last holder removed the file between our open and our lock: that was nobody's lock
  }
  throw new LockError(`${path} is replaced again and again while it is being locked`)
}

/** Who has `path` open, and with it a share in its lock. Reads all of `/proc`; sees what this user may see. */
export function lockHolders(path: string): number[] {
  const target = realpathSync(path)
  return processIds().filter(pid => pid !== process.pid && descriptorsOf(pid).includes(target))
}

const HELD = 75

async function lockDescriptor(lock: FileLock): Promise<boolean> {
  try {
    const status = await runFlock(lock.fd)
    if (status === 0) return true
    if (status !== HELD) throw new LockError(`flock of ${lock.path} failed with status ${status}`)
  } catch (failure) {
    lock.release()
    throw failure
  }
  lock.release()
  return false
}

function runFlock(fd: number): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn('flock', ['-n', '-E', String(HELD), '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] })
    child.once('error', cause => reject(new LockError('cannot run flock; it is in the package util-linux', { cause })))
    child.once('exit', resolve)
  })
}

function isStillThere(lock: FileLock): boolean {
  const now = statSync(lock.path, { throwIfNoEntry: false })
  return now !== undefined && now.ino === fstatSync(lock.fd).ino
}

/** Other users' processes, and those that end while we look, show nothing. */
function descriptorsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map(name => readlinkSync(`/proc/${pid}/fd/${name}`))
  } catch (failure) {
    const { code } = failure as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return []
    throw failure
  }
}
