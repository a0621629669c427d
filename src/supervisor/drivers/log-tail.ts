import { spawn } from 'node:child_process'
import {
  closeSync,
  type FSWatcher,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  watch,
  writeSync,
} from 'node:fs'
import { type Clock, type Log, messageOf, type Timer } from '../../base/index.ts'
import { LineSplitter } from '../line-splitter.ts'

/** Read between two looks at anything else, so that a chatty service cannot hold up the agent: about 0.1 ms. */
const TURN_BYTES_MAX = 256 * 1024
/** inotify tells of writes at once; this is for file systems that do not, and costs one fstat. */
const POLL_MS = 250
const BLOCK_BYTES = 4096

/**
 * Follows the file that a service appends its output to, line by line, and releases what it has read.
 *
 * The place up to which lines were handed on is kept in a file of its own, rewritten in place after each turn: an agent
 * killed between the two hands the lines of that one turn on again, and loses none.
 *
 * Released is what lies before that place, by punching a hole (fallocate(2)): the file keeps its length, so neither the
 * appending service nor our offset notices. Where the file system cannot do that, the file is emptied when all of it has
 * been read; a line written in the microseconds between the last read and ftruncate(2) would be lost there. A service
 * that writes faster than we read grows the file in either case, since the alternatives are to lose lines or to stop it.
 */
export class LogTail {
  readonly #path: string
  readonly #maxBytes: number
  readonly #clock: Clock
  readonly #log: Log
  readonly #onLine: (line: string) => void
  readonly #splitter = new LineSplitter()
  readonly #buffer = Buffer.alloc(64 * 1024)
  readonly #fd: number
  readonly #offsetFd: number
  #readOffset: number
  #savedOffset: number
  #checkedAt = 0
  #canPunch = true
  #isReleasing = false
  #isBegun = false
  #isClosed = false
  #hasFailed = false
  #flushWanted = false
  #watcher: FSWatcher | undefined
  #timer: Timer | undefined

  constructor(
    o: { readonly path: string; readonly maxBytes: number; readonly clock: Clock; readonly log: Log },
    onLine: (line: string) => void,
  ) {
    this.#path = o.path
    this.#maxBytes = o.maxBytes
    this.#clock = o.clock
    this.#log = o.log
    this.#onLine = onLine
    closeSync(openSync(o.path, 'a', 0o600))
    this.#fd = openSync(o.path, 'r+')
    closeSync(openSync(offsetPath(o.path), 'a', 0o600))
    this.#offsetFd = openSync(offsetPath(o.path), 'r+')
    const saved = Number(readFileSync(offsetPath(o.path), 'latin1'))
    this.#readOffset = this.#savedOffset = Number.isSafeInteger(saved) && saved > 0 ? saved : 0
  }

  /** Lines come from now on; before, there may be nobody to take them. */
  begin(): void {
    if (this.#isBegun || this.#isClosed) return
    this.#isBegun = true
    this.#watch()
    this.#pump()
  }

  /** The writer is gone: hands on what it left, an unfinished last line too. Bounded; the rest follows in turns. */
  finish(): void {
    this.#flushWanted = true
    if (this.#isBegun) this.#pump()
  }

  /** Releases everything here; what was not read is the next agent's. `remove` takes the files away. */
  close(o: { readonly remove: boolean }): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#watcher?.close()
    this.#timer?.cancel()
    closeSync(this.#fd)
    closeSync(this.#offsetFd)
    if (!o.remove) return
    rmSync(this.#path, { force: true })
    rmSync(offsetPath(this.#path), { force: true })
  }

  #watch(): void {
    try {
      this.#watcher = watch(this.#path, { persistent: false }, () => this.#pump())
      this.#watcher.on('error', failure => this.#pollOnly(failure))
    } catch (failure) {
      this.#pollOnly(failure)
    }
  }

  #pollOnly(failure: unknown): void {
    this.#log.warn({ path: this.#path, error: messageOf(failure) }, 'output is polled, since it cannot be watched')
  }

  #pump(): void {
    if (this.#isClosed) return
    this.#timer?.cancel()
    const isAll = this.#tryTurn()
    if (!this.#isClosed) this.#timer = this.#clock.after(isAll ? POLL_MS : 0, () => this.#pump())
  }

  /** A disk that fails or is full costs a sentence, once, and another try at the next poll. */
  #tryTurn(): boolean {
    try {
      const isAll = this.#readTurn()
      if (isAll && this.#flushWanted) this.#flush()
      if (this.#isClosed) return true // by whoever took a line
      this.#saveOffset()
      this.#release()
      this.#hasFailed = false
      return isAll
    } catch (failure) {
      if (!this.#hasFailed) this.#log.warn({ path: this.#path, error: messageOf(failure) }, 'output cannot be followed')
      this.#hasFailed = true
      return true
    }
  }

  #flush(): void {
    this.#flushWanted = false
    for (const line of this.#splitter.flush()) this.#onLine(line)
  }

  /** False when there is more. */
  #readTurn(): boolean {
    if (fstatSync(this.#fd).size < this.#readOffset) this.#readOffset = 0 // emptied by hand: what is there now is new
    for (let budget = TURN_BYTES_MAX; budget > 0; ) {
      const bytes = readSync(this.#fd, this.#buffer, 0, this.#buffer.length, this.#readOffset)
      if (bytes === 0) return true
      this.#readOffset += bytes
      budget -= bytes
      for (const line of this.#splitter.push(this.#buffer.subarray(0, bytes))) this.#onLine(line)
      if (this.#isClosed) return true
    }
    return false
  }

  get #handedOn(): number {
    return this.#readOffset - this.#splitter.pendingBytes
  }

  #saveOffset(): void {
    if (this.#handedOn === this.#savedOffset) return
    writeSync(this.#offsetFd, String(this.#handedOn).padStart(16, '0'), 0) // one write: a kill cannot halve it
    this.#savedOffset = this.#handedOn
  }

  #release(): void {
    if (this.#isReleasing || Math.abs(this.#handedOn - this.#checkedAt) < this.#maxBytes / 4) return
    const { blocks, size } = fstatSync(this.#fd)
    this.#checkedAt = this.#handedOn
    if (blocks * 512 <= this.#maxBytes) return
    if (this.#canPunch) return this.#punch(Math.floor(this.#handedOn / BLOCK_BYTES) * BLOCK_BYTES)
    if (size !== this.#handedOn) return
    ftruncateSync(this.#fd, 0)
    this.#readOffset = this.#checkedAt = 0
    this.#saveOffset()
  }

  #punch(bytes: number): void {
    if (bytes === 0) return
    this.#isReleasing = true
    const args = ['--punch-hole', '--offset', '0', '--length', String(bytes), this.#path]
    const settle = (isDone: boolean) => {
      this.#isReleasing = false
      if (!isDone) this.#canPunch = false
      if (!isDone) this.#checkedAt = Number.NEGATIVE_INFINITY
    }
    const child = spawn('fallocate', args, { stdio: 'ignore' })
    child.once('error', () => settle(false))
    child.once('exit', status => settle(status === 0))
  }
}

function offsetPath(path: string): string {
  return `${path}.offset`
}
