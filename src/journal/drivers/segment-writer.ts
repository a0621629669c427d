import { access, open, rm, truncate } from 'node:fs/promises'
import { encodeLine, type Head } from '../line.ts'
import type { Pools } from '../pools.ts'
import type { SnapshotRecord } from '../records.ts'
import type { Loaded } from './loading.ts'
import { makeDirectory, newSegment, type Segment, syncDirectory } from './segments.ts'

/** What is appended to; a test's own may run out of room. */
export interface AppendFile {
  /** All of it, or it throws. */
  append(bytes: Buffer): Promise<void>
  /** Down to the disk. */
  sync(): Promise<void>
  close(): Promise<void>
}

/** @param isNew it must not be there yet */
export type OpenFile = (path: string, isNew: boolean) => Promise<AppendFile>

const MODE = 0o600

export const openFile: OpenFile = async (path, isNew) => {
  const file = await open(path, isNew ? 'ax' : 'a', MODE)
  return { append: bytes => file.appendFile(bytes), sync: () => file.datasync(), close: () => file.close() }
}

/** At least 16 files, so that what is deleted is a small part of the whole; 4 MiB are read in some 20 ms. */
const SEGMENTS_MIN = 16
const SEGMENT_BYTES_MAX = 4 * 1024 * 1024

export interface WriterConfig {
  readonly directory: string
  /** Of all segments; the oldest ones go. Exceeded only where a single segment with its snapshot is larger. */
  readonly maxBytes: number
}

/** The files that records are appended to. Whatever fails is thrown; `abandon` then leaves a file that ends with a record. */
export class SegmentWriter {
  readonly #config: WriterConfig
  readonly #open: OpenFile
  readonly #segmentBytes: number
  #segments: Segment[] = []
  #file: AppendFile | undefined
  /** Of the last segment's snapshot. */
  #snapshotBytes = 0

  constructor(config: WriterConfig, open: OpenFile) {
    this.#config = config
    this.#open = open
    this.#segmentBytes = Math.min(SEGMENT_BYTES_MAX, Math.floor(config.maxBytes / SEGMENTS_MIN))
  }

  /** From old to new. */
  get segments(): readonly Segment[] {
    return this.#segments
  }

  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** What an earlier agent has left; the last one is appended to. @throws the system's error: the segments are known all the same */
  async take({ segments, snapshotBytes, tornBytes, unreadable }: Loaded): Promise<void> {
    this.#segments = [...segments]
    this.#snapshotBytes = snapshotBytes
    const last = segments.at(-1)
    if (last === undefined || unreadable !== undefined) return
    if (tornBytes > 0) await truncate(last.path, last.bytes)
    this.#file = await this.#open(last.path, false)
  }

  /** A record of so many bytes takes another segment. */
  isFull(bytes: number): boolean {
    return this.#file === undefined || this.room() < bytes
  }

  /** Bytes until the segment is full; the first record behind a snapshot always has room. */
  room(): number {
    const last = this.#segments.at(-1)
    if (last === undefined || last.bytes <= this.#snapshotBytes) return Number.POSITIVE_INFINITY
    return Math.max(this.#segmentBytes, 2 * this.#snapshotBytes) - last.bytes
  }

  /**
   * Ends the last segment and begins the next with a snapshot.
   * @param first the index of the record that comes next
   * @throws the system's error; there is no new segment then
   */
  async begin(first: number, at: number, pools: Pools): Promise<void> {
    const segment = newSegment(this.#config.directory, first)
    const snapshot = this.#snapshotOf({ index: first - 1, at, kind: 'snapshot' }, pools)
    await makeDirectory(this.#config.directory) // somebody may have tidied up
    await this.#makeRoom(Math.max(this.#segmentBytes, 2 * snapshot.length))
    const file = await this.#open(segment.path, true)
    try {
      await file.append(snapshot)
      await syncDirectory(this.#config.directory)
    } catch (failure) {
      await file.close()
      await rm(segment.path, { force: true })
      throw failure
    }
    const before = this.#file
    this.#file = file
    this.#segments.push({ ...segment, bytes: snapshot.length, minAt: at, maxAt: at })
    this.#snapshotBytes = snapshot.length
    await ended(before)
  }

  /** @throws the system's error; part of it may be in the file */
  async append(bytes: Buffer, minAt: number, maxAt: number): Promise<void> {
    const last = this.#segments.at(-1)
    if (this.#file === undefined || last === undefined) throw new Error('there is no segment')
    await this.#file.append(bytes)
    last.bytes += bytes.length
    last.minAt = Math.min(last.minAt, minAt)
    last.maxAt = Math.max(last.maxAt, maxAt)
  }

  /** @throws the system's error, also when the file is at its place no more: what is written there nobody will read */
  async sync(): Promise<void> {
    const last = this.#segments.at(-1)
    if (this.#file === undefined || last === undefined) return
    await this.#file.sync()
    if (last === this.#segments.at(-1)) await access(last.path)
  }

  /** After a failure: nothing is appended to this segment any more. Never throws. */
  async abandon(): Promise<void> {
    const last = this.#segments.at(-1)
    const file = this.#file
    this.#file = undefined
    // the disk that has just failed may fail here, too; a torn line is passed over by whoever reads
    await file?.close().catch(() => undefined)
    if (last !== undefined) await truncate(last.path, last.bytes).catch(() => undefined)
  }

  /** @throws the system's error */
  async close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await ended(file)
  }

  #snapshotOf(head: Head & { readonly kind: 'snapshot' }, pools: Pools): Buffer {
    const last = this.#segments.at(-1)
    const previous = last === undefined ? {} : { previous: { minAt: last.minAt, maxAt: last.maxAt } }
    const lines = pools.snapshot().map(body => {
      const record: SnapshotRecord = { ...head, ...body, ...(body.part === 1 ? previous : {}) }
      return encodeLine(record)
    })
    return Buffer.concat(lines)
  }

  async #makeRoom(bytes: number): Promise<void> {
    for (let all = this.bytes; all + bytes > this.#config.maxBytes; ) {
      const oldest = this.#segments[0]
      if (oldest === undefined || (this.#segments.length === 1 && this.#file !== undefined)) return
      await rm(oldest.path, { force: true })
      this.#segments.shift()
      all -= oldest.bytes
    }
  }
}

async function ended(file: AppendFile | undefined): Promise<void> {
  try {
    await file?.sync()
  } finally {
    await file?.close()
  }
}
