import type { Stats } from 'node:fs'
import { chmod, type FileHandle, mkdir, open, readFile, realpath, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Clock, type Log, messageOf, type Timer, writeFileAtomic } from '../../base/index.ts'
import { asBuffer, textFromBytes, textToBytes } from '../../codec/index.ts'
import { SnapshotRecord } from '../snapshot.ts'

/** Lines wait at most this long for their write; a crash loses no more. */
const FLUSH_MS = 500
/** After a failed write the whole file is tried anew, no sooner than this. */
const RETRY_MS = 30_000
/** What waits for a disk that takes nothing; beyond it lines are dropped, and the rewrite that follows holds their sum. */
const PENDING_BYTES_MAX = 1024 * 1024
/** Far above what 100,000 members reach before the file is compacted. */
const FILE_BYTES_MAX = 64 * 1024 * 1024
const MODE = 0o644
const NEWLINE = 0x0a

export interface SnapshotFileDeps {
  readonly clock: Clock
  readonly log: Log
}

/**
 * Appends to Serf's snapshot file and compacts it. A disk that fails costs a sentence in the log, nothing more. What is there
 * and is no snapshot is never overwritten: a foreign file is set aside, anything else than a file is left alone.
 */
export class SnapshotFile {
  #path: string
  readonly #record: SnapshotRecord
  readonly #deps: SnapshotFileDeps
  #pending = ''
  #bytes = 0
  #file: FileHandle | undefined
  /** After the last compaction; a file of long names would otherwise be compacted with every line. */
  #compactedBytes = 0
  #isBroken = false
  /** It is known what was at the path at the start; until then whatever shows up there is somebody's. */
  #isLookedAt = false
  /** What is at the path must not be written to. */
  #isRefused = false
  #retryAtMs = 0
  #timer: Timer | undefined
  #writing: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(path: string, record: SnapshotRecord, deps: SnapshotFileDeps) {
    this.#path = path
    this.#record = record
    this.#deps = deps
  }

  /** Reads what is there into the record, and opens the file for appending. Never throws. */
  async open(): Promise<void> {
    try {
      await makeDirectory(dirname(this.#path))
      const found = await statIfThere(this.#path)
      if (found !== undefined) await this.#take(found)
      this.#isLookedAt = true
      if (this.#isRefused) return
      this.#file = await open(this.#path, 'a', MODE)
      await this.#file.truncate(this.#bytes) // what a crash cut off must not become a line, or a part of the next one
    } catch (failure) {
      this.#failed(failure)
    }
  }

  /** Lines of `SnapshotRecord`. */
  append(lines: string): void {
    if (lines === '' || this.#isClosed || this.#isRefused) return
    if (this.#pending.length + lines.length <= PENDING_BYTES_MAX) this.#pending += lines
    else this.#isBroken = true
    this.#timer ??= this.#deps.clock.after(FLUSH_MS, () => {
      this.#timer = undefined
      void this.flush(false)
    })
  }

  /** Writes what waits; with `sync`, down to the disk. Never rejects. */
  flush(sync: boolean): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write(sync)).catch(failure => this.#failed(failure))
    return this.#writing
  }

  async close(): Promise<void> {
    if (this.#isClosed) return this.#writing
    this.#isClosed = true
    if (this.#isRefused) return
    this.#timer?.cancel()
    await this.flush(true)
    await this.#closeFile()
  }

  async #take(found: Stats): Promise<void> {
    if (!found.isFile()) return this.#refuse('it is no file')
    this.#path = await realpath(this.#path) // a symbolic link stays one when the file is replaced
    if (found.size > FILE_BYTES_MAX) return this.#setAside(`it is larger than ${FILE_BYTES_MAX} bytes`)
    try {
      const content = await readFile(this.#path)
      const text = textFromBytes(asBuffer(content), 0, content.length)
      if (SnapshotRecord.isForeign(text)) return await this.#setAside('it is no snapshot of Serf')
      this.#replay(text)
      this.#bytes = content.lastIndexOf(NEWLINE) + 1
    } catch (failure) {
      this.#refuse(messageOf(failure))
    }
  }

  #replay(text: string): void {
    const skipped = this.#record.replay(text)
    if (skipped === 0) return
    this.#deps.log.warn({ path: this.#path, lines: skipped }, 'skipped unreadable lines of the snapshot')
  }

  async #setAside(reason: string): Promise<void> {
    const aside = `${this.#path}.set-aside`
    try {
      await rename(this.#path, aside)
    } catch (failure) {
      return this.#refuse(`${reason}, and it cannot be set aside: ${messageOf(failure)}`)
    }
    const fields = { path: this.#path, reason, aside }
    this.#deps.log.warn(
      fields,
      'cannot use what is in place of the snapshot; set it aside, starting without known peers',
    )
  }

  /** The place could not be looked at when the agent started: a disk that was mounted late. */
  async #lookLate(): Promise<void> {
    const found = await statIfThere(this.#path)
    if (found?.isFile() === false) this.#refuse('it is no file')
    else if (found !== undefined) await this.#setAside('it could not be read when the agent started')
    this.#isLookedAt = true
  }

  #refuse(reason: string): void {
    this.#isRefused = true
    const fields = { path: this.#path, reason }
    this.#deps.log.error(
      fields,
      'cannot use what is in place of the snapshot; known peers will be missing after a restart',
    )
  }

  async #write(sync: boolean): Promise<void> {
    if (this.#isBroken) return this.#recover(sync)
    const content = textToBytes(this.#pending)
    this.#pending = ''
    if (this.#file === undefined) return
    if (content.length > 0) await this.#file.appendFile(content)
    this.#bytes += content.length
    const isLong = this.#bytes > Math.max(this.#record.compactAboveBytes, 2 * this.#compactedBytes)
    if (isLong) await this.#compact()
    else if (sync) await this.#file.sync()
  }

  /** @param now do not wait: it is the last chance */
  async #recover(now: boolean): Promise<void> {
    this.#pending = ''
    if (!now && this.#deps.clock.nowMs() < this.#retryAtMs) return
    await makeDirectory(dirname(this.#path))
    if (!this.#isLookedAt) await this.#lookLate()
    if (this.#isRefused) return
    await this.#compact()
    this.#isBroken = false
    this.#deps.log.info({ path: this.#path }, 'the snapshot is written again')
  }

  async #compact(): Promise<void> {
    const content = textToBytes(this.#record.compacted())
    const found = await statIfThere(this.#path)
    await writeFileAtomic(this.#path, content, MODE)
    if (found !== undefined) await chmod(this.#path, found.mode & 0o777)
    await this.#closeFile()
    this.#bytes = content.length
    this.#compactedBytes = content.length
    this.#file = await open(this.#path, 'a', MODE)
  }

  async #closeFile(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    try {
      await file?.close()
    } catch (failure) {
      this.#failed(failure)
    }
  }

  #failed(failure: unknown): void {
    this.#isBroken = true
    this.#retryAtMs = this.#deps.clock.nowMs() + RETRY_MS
    const fields = { path: this.#path, reason: messageOf(failure) }
    this.#deps.log.warn(fields, 'cannot write the snapshot; known peers will be missing after a restart')
  }
}

async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path)
  } catch (failure) {
    if (failure instanceof Error && 'code' in failure && failure.code === 'ENOENT') return undefined
    throw failure
  }
}

/** With its parents. Node's own `recursive` never ends where the system refuses with ENOENT, as below /proc. */
async function makeDirectory(path: string): Promise<void> {
  if ((await statIfThere(path)) !== undefined) return
  await makeDirectory(dirname(path))
  try {
    await mkdir(path)
  } catch (failure) {
    if (!(failure instanceof Error && 'code' in failure && failure.code === 'EEXIST')) throw failure
  }
}
