import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Clock, type Log, messageOf, type Timer, writeFileAtomic } from '../../base/index.ts'
import { asBuffer, textFromBytes, textToBytes } from '../../codec/index.ts'
import type { SnapshotRecord } from '../snapshot.ts'

/** Lines wait at most this long for their write; a crash loses no more. */
const FLUSH_MS = 500
/** After a failed write the whole file is tried anew, no sooner than this. */
const RETRY_MS = 30_000
/** What waits for a disk that takes nothing; beyond it lines are dropped, and the rewrite that follows holds their sum. */
const PENDING_BYTES_MAX = 1024 * 1024

export interface SnapshotFileDeps {
  readonly clock: Clock
  readonly log: Log
}

/** Appends to Serf's snapshot file and compacts it. A disk that fails costs a sentence in the log, nothing more. */
export class SnapshotFile {
  readonly #path: string
  readonly #record: SnapshotRecord
  readonly #deps: SnapshotFileDeps
  #pending = ''
  #bytes = 0
  #file: FileHandle | undefined
  #isBroken = false
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
      await mkdir(dirname(this.#path), { recursive: true })
      this.#replay(await readIfThere(this.#path))
      this.#file = await open(this.#path, 'a', 0o644)
    } catch (failure) {
      this.#failed(failure)
    }
  }

  /** Lines of `SnapshotRecord`. */
  append(lines: string): void {
    if (lines === '' || this.#isClosed) return
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
    this.#timer?.cancel()
    await this.flush(true)
    await this.#closeFile()
  }

  #replay(content: Uint8Array): void {
    this.#bytes = content.length
    const skipped = this.#record.replay(textFromBytes(asBuffer(content), 0, content.length))
    if (skipped > 0)
      this.#deps.log.warn({ path: this.#path, lines: skipped }, 'skipped unreadable lines of the snapshot')
    if (content.length > 0 && content.at(-1) !== 0x0a) this.#pending = '\n' // what a crash cut off ends here
  }

  async #write(sync: boolean): Promise<void> {
    if (this.#isBroken) return this.#recover()
    const content = textToBytes(this.#pending)
    this.#pending = ''
    if (this.#file === undefined) return
    if (content.length > 0) await this.#file.appendFile(content)
    this.#bytes += content.length
    if (this.#bytes > this.#record.compactAboveBytes) await this.#compact()
    else if (sync) await this.#file.sync()
  }

  async #recover(): Promise<void> {
    this.#pending = ''
    if (this.#deps.clock.nowMs() < this.#retryAtMs) return
    await this.#compact()
    this.#isBroken = false
    this.#deps.log.info({ path: this.#path }, 'the snapshot is written again')
  }

  async #compact(): Promise<void> {
    const content = textToBytes(this.#record.compacted())
    await writeFileAtomic(this.#path, content, 0o644)
    await this.#closeFile()
    this.#bytes = content.length
    this.#file = await open(this.#path, 'a', 0o644)
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

async function readIfThere(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (failure) {
    if (failure instanceof Error && 'code' in failure && failure.code === 'ENOENT') return new Uint8Array(0)
    throw failure
  }
}
