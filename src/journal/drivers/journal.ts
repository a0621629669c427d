import { type Clock, deferred, type Log, messageOf, type Timer } from '../../base/index.ts'
import { boundedBodies } from '../bounded.ts'
import { encodeLine, LINE_BYTES_MAX } from '../line.ts'
import { Pools } from '../pools.ts'
import type { JournalPage, JournalQuery } from '../query.ts'
import type { AgentThen, AnyRecord, JournalEntry, PoolServer } from '../records.ts'
import { load } from './loading.ts'
import { type PoolsThen, readPage, readPools } from './reading.ts'
import { type OpenFile, openFile, SegmentWriter } from './segment-writer.ts'

export interface JournalConfig {
  /** Made with mode 0700 when missing; one journal to a directory. */
  readonly directory: string
  /** On disk, in all; the oldest records go. Default 64 MiB, at least 1 MiB. */
  readonly maxBytes?: number
}

export interface JournalDeps {
  readonly clock: Clock
  readonly log: Log
  /** For tests: a disk that is full. */
  readonly open?: OpenFile
}

export const JOURNAL_BYTES = 64 * 1024 * 1024
export const JOURNAL_BYTES_MIN = 1024 * 1024
/**
 * What was written goes down to the disk within this time. A record is the kernel's a moment after it was appended, so an
 * agent that is killed loses none; a power cut may lose this much. A sync for each record (1 to 30 ms of the disk) would
 * protect what nobody was promised, and nobody waits for it here either way.
 */
const SYNC_MS = 200
/** A disk that refuses is tried again. */
const RETRY_MS = 5_000
/** What waits for a slow disk; a ring of 5,000 that joins at once takes a third of it. */
const QUEUE_BYTES_MAX = 4 * 1024 * 1024
/** Of one write. */
const BATCH_BYTES = 256 * 1024
/** A disk that hangs holds up neither a reader nor the agent's end for longer. */
const PATIENCE_MS = 1_000
/** Numbers that a power cut took from the disk, but not from whoever had read them, are never given again. */
const RESTART_SKIP = 10_000

interface Gap {
  missing: number
  readonly reason: string
}

interface Item {
  readonly line: Buffer
  readonly record: AnyRecord
}

/**
 * Opens the journal, whatever is there. Never throws: a directory that cannot be used is said, tried again, and keeps
 * nobody from working.
 */
export async function openJournal(config: JournalConfig, deps: JournalDeps): Promise<Journal> {
  const journal = new Journal(config, deps)
  await journal.start()
  return journal
}

/** What happened, on disk. Appending is a matter of microseconds and never waits; reading does not hold up writing. */
export class Journal implements AsyncDisposable {
  readonly #directory: string
  readonly #deps: JournalDeps
  readonly #writer: SegmentWriter
  /** As of the last record that was taken from the queue. */
  #pools = new Pools()
  #lastAt = 0
  #isLoaded = false
  #next = 1
  #queue: Item[] = []
  #queueBytes = 0
  /** Set while records are lost: since when, how many, and why. */
  #gap: Gap | undefined
  #missing = 0
  #working: Promise<void> | undefined
  #reading: Promise<unknown> = Promise.resolve()
  #syncing: Promise<void> = Promise.resolve()
  #syncTimer: Timer | undefined
  #retryTimer: Timer | undefined
  #isClosed = false

  constructor(config: JournalConfig, deps: JournalDeps) {
    this.#directory = config.directory
    this.#deps = deps
    const maxBytes = Math.max(config.maxBytes ?? JOURNAL_BYTES, JOURNAL_BYTES_MIN)
    this.#writer = new SegmentWriter({ directory: config.directory, maxBytes }, deps.open ?? openFile)
  }

  /** Why nothing is written at the moment, in words; undefined when all is well. */
  get problem(): string | undefined {
    if (this.#gap === undefined) return undefined
    const { reason, missing } = this.#gap
    return `the journal in ${this.#directory} cannot be written: ${reason}; ${missing} records are missing so far, everything else goes on`
  }

  /** Records that were lost since the start. */
  get missing(): number {
    return this.#missing
  }

  /** On disk. */
  get bytes(): number {
    return this.#writer.bytes
  }

  /** How the agent was last heard of. */
  get agent(): AgentThen | undefined {
    return this.#pools.agent
  }

  /** The pools after everything that was appended and written. */
  pools(): PoolServer[] {
    return this.#pools.list()
  }

  /** The time of the oldest record that may be here; undefined when there is none, or it is not known. */
  get beginsAt(): number | undefined {
    const minAt = this.#writer.segments[0]?.minAt
    return Number.isFinite(minAt) ? minAt : undefined
  }

  /** For `openJournal`. */
  async start(): Promise<void> {
    try {
      await this.#load()
    } catch (failure) {
      await this.#failed(failure, [])
    }
  }

  /** @returns its number */
  append(entry: JournalEntry): number {
    const at = Math.max(0, Math.round(this.#deps.clock.wallMs()))
    try {
      for (const body of boundedBodies(entry))
        this.#enqueue({ index: this.#next++, at, kind: entry.kind, ...body } as AnyRecord)
    } catch (failure) {
      this.#deps.log.error({ kind: entry.kind, reason: messageOf(failure) }, 'something is no JSON, and not on record')
    }
    return this.#next - 1
  }

  /** Of what was appended before; one reader at a time. Never throws; what cannot be read is logged and left out. */
  read(query: JournalQuery): Promise<JournalPage> {
    const unreadable = (path: string, failure: unknown) =>
      this.#deps.log.warn({ path, reason: messageOf(failure) }, 'part of the journal cannot be read')
    return this.#inTurn(() => readPage(this.#writer.segments, query, unreadable))
  }

  /**
   * @param ms wall clock, since 1970
   * @returns undefined when the journal does not go back so far
   * @throws the system's error when it cannot be read
   */
  poolsAt(ms: number): Promise<PoolsThen | undefined> {
    return this.#inTurn(() => readPools(this.#writer.segments, ms))
  }

  /** Resolves when everything appended before is written, or lost. */
  async flush(): Promise<void> {
    while (this.#working !== undefined) await this.#working
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#patiently(this.#close())
  }

  async #close(): Promise<void> {
    await this.flush()
    this.#retryTimer?.cancel()
    this.#syncTimer?.cancel()
    await this.#syncing
    try {
      await this.#writer.close()
    } catch (failure) {
      this.#deps.log.warn({ reason: messageOf(failure) }, 'the end of the journal may not be on disk')
    }
  }

  async #patiently(work: Promise<void>): Promise<void> {
    const over = deferred()
    const timer = this.#deps.clock.after(PATIENCE_MS, () => over.resolve())
    await Promise.race([work, over.promise])
    timer.cancel()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#reading.then(() => this.#patiently(this.flush())).then(work)
    this.#reading = turn.catch(() => undefined) // it is its caller's
    return turn
  }

  #enqueue(record: AnyRecord): void {
    if (this.#isClosed) return
    const item = { record, line: encodeLine(record) }
    if (this.#gap !== undefined || item.line.length > LINE_BYTES_MAX + 1) return this.#lose([item])
    this.#queue.push(item)
    this.#queueBytes += item.line.length
    if (this.#queueBytes > QUEUE_BYTES_MAX) this.#overflow()
    this.#working ??= this.#work()
  }

  #overflow(): void {
    this.#say('records came faster than the disk took them')
    this.#loseQueue()
  }

  /** Until nothing is left to do; never rejects. */
  async #work(): Promise<void> {
    await Promise.resolve() // what is appended in one go is written in one go
    while (this.#gap === undefined ? this.#queue.length > 0 : this.#retryTimer === undefined) {
      if (this.#gap === undefined) await this.#writeSome()
      else await this.#resume()
    }
    this.#working = undefined
  }

  async #writeSome(): Promise<void> {
    let batch: Item[] = []
    try {
      const first = this.#queue[0] as Item
      if (this.#writer.isFull(first.line.length)) await this.#begin(first.record.index)
      batch = this.#takeBatch()
      if (batch.length === 0) return
      const times = batch.map(({ record }) => record.at)
      const bytes = Buffer.concat(batch.map(({ line }) => line))
      await this.#writer.append(bytes, Math.min(...times), Math.max(...times))
      this.#syncSoon()
    } catch (failure) {
      await this.#failed(failure, batch)
    }
  }

  /** What fits into one write and into the segment. Empty when the queue was lost meanwhile. */
  #takeBatch(): Item[] {
    let bytes = 0
    const room = Math.min(BATCH_BYTES, this.#writer.room())
    let count = 0
    for (const { line } of this.#queue) {
      if (count > 0 && bytes + line.length > room) break
      bytes += line.length
      count++
    }
    const batch = this.#queue.splice(0, count)
    this.#queueBytes -= bytes
    for (const item of batch) this.#fold(item)
    return batch
  }

  #fold({ record }: Item): void {
    this.#pools.apply(record)
    this.#lastAt = record.at
  }

  async #begin(first: number): Promise<void> {
    await this.#writer.begin(first, this.#lastAt === 0 ? this.#wallMs() : this.#lastAt, this.#pools)
  }

  async #load(): Promise<void> {
    const { log } = this.#deps
    const directory = this.#directory
    const found = await load(directory)
    const { tornBytes, damaged } = found
    if (tornBytes > 0)
      log.warn({ directory, bytes: tornBytes }, 'the last record of the journal was torn; it is cut off')
    if (damaged > 0) log.warn({ directory, lines: damaged }, 'damaged records of the journal are passed over')
    if (found.unreadable !== undefined)
      log.warn(
        { directory, reason: found.unreadable },
        'the newest part of the journal cannot be read; going on behind it',
      )
    this.#isLoaded = true
    this.#pools = this.#pools.over(found.pools)
    this.#lastAt = found.lastAt
    if (found.segments.length > 0) this.#next = Math.max(this.#next, found.lastIndex + RESTART_SKIP)
    await this.#writer.take(found)
  }

  /** A new segment: its snapshot holds what was lost of the pools. */
  async #resume(): Promise<void> {
    try {
      if (!this.#isLoaded) await this.#load()
      await this.#begin(this.#next++)
    } catch (failure) {
      return await this.#failed(failure, [])
    }
    const { missing, reason } = this.#gap as Gap
    this.#gap = undefined
    this.#deps.log.info({ directory: this.#directory, missing }, 'the journal is written again')
    if (missing > 0) this.append({ kind: 'agent', event: 'gap', missing, reason })
  }

  async #failed(failure: unknown, lost: readonly Item[]): Promise<void> {
    this.#say(messageOf(failure))
    this.#count(lost.length) // they are in the pools already
    this.#loseQueue()
    this.#retryTimer?.cancel()
    this.#retryTimer = this.#deps.clock.after(RETRY_MS, () => {
      this.#retryTimer = undefined
      if (!this.#isClosed) this.#working ??= this.#work()
    })
    await this.#writer.abandon()
  }

  /** Once for each gap. */
  #say(reason: string): void {
    if (this.#gap !== undefined) return
    this.#gap = { missing: 0, reason }
    this.#deps.log.warn(
      { directory: this.#directory, reason },
      'the journal cannot be written; what happens is not on record until it can, and nothing else is disturbed',
    )
  }

  #loseQueue(): void {
    this.#lose(this.#queue)
    this.#queue = []
    this.#queueBytes = 0
  }

  #lose(items: readonly Item[]): void {
    for (const item of items) this.#fold(item)
    this.#count(items.length)
  }

  #count(lost: number): void {
    this.#missing += lost
    if (this.#gap !== undefined) this.#gap.missing += lost
  }

  #syncSoon(): void {
    this.#syncTimer ??= this.#deps.clock.after(SYNC_MS, () => {
      this.#syncTimer = undefined
      this.#syncing = this.#writer.sync().catch(failure => this.#failed(failure, []))
    })
  }

  #wallMs(): number {
    return Math.max(0, Math.round(this.#deps.clock.wallMs()))
  }
}
