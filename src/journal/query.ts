import { decodeLine, type Head, mayMention } from './line.ts'
import type { JournalRecord, RecordKind } from './records.ts'

/** One answer: so many records, and so many bytes of them. */
export const PAGE_RECORDS_MAX = 1000
export const PAGE_BYTES_MAX = 2 * 1024 * 1024
const PAGE_RECORDS = 100

/** Which records are wanted. Bounds on time are inclusive, those on the index exclusive. */
export interface JournalQuery {
  /** The oldest after this index; without it, the newest. */
  readonly after?: number
  readonly before?: number
  readonly sinceMs?: number
  readonly untilMs?: number
  readonly kinds?: readonly RecordKind[]
  /** The name or address of a member, server, pool or service that it is about. */
  readonly what?: string
  /** 1 to 1000; default 100. */
  readonly limit?: number
}

export interface JournalPage {
  /** By index. */
  readonly records: readonly JournalRecord[]
  /** There are more: older ones than these, or newer ones where `after` was given. */
  readonly more: boolean
  /** Lines that are no record any more, where they were read for this. */
  readonly damaged: number
}

/** Gathers one page from lines as they are read; keeps no more than the page. */
export class PageReader {
  readonly #query: JournalQuery
  readonly #kinds: ReadonlySet<string> | undefined
  readonly #limit: number
  #found: { readonly head: Head; readonly line: Buffer }[] = []
  #bytes = 0
  #more = false
  damaged = 0

  constructor(query: JournalQuery) {
    this.#query = query
    this.#kinds = query.kinds === undefined ? undefined : new Set(query.kinds)
    this.#limit = Math.min(Math.max(query.limit ?? PAGE_RECORDS, 1), PAGE_RECORDS_MAX)
  }

  /** No older (`after`: newer) segment will add to this page. */
  get isFull(): boolean {
    return this.#more
  }

  /** A line of a segment that is older (`after`: newer) than those before; within a segment, from old to new. */
  take(line: Buffer, head: Head): void {
    if (!this.#wants(line, head)) return
    if (this.#query.after !== undefined) {
      if (this.#isOver(line.length, 1)) this.#more = true
      if (this.#more) return
    }
    this.#found.push({ head, line: Buffer.from(line) })
    this.#bytes += line.length
  }

  /** After each handful of lines: what is too much is let go, the oldest first. */
  shed(): void {
    if (this.#query.after !== undefined) return
    this.#found.sort((a, b) => a.head.index - b.head.index)
    let first = 0
    while (this.#isOver(0, -first)) this.#bytes -= this.#found[first++]?.line.length ?? 0
    if (first === 0) return
    this.#more = true
    this.#found = this.#found.slice(first)
  }

  page(): JournalPage {
    this.shed()
    const records = this.#found.map(({ line }) => decodeLine(line)).filter(isShown)
    return { records, more: this.#more, damaged: this.damaged }
  }

  #isOver(bytes: number, records: number): boolean {
    const count = this.#found.length + records
    return count > this.#limit || (count > 1 && this.#bytes + bytes > PAGE_BYTES_MAX)
  }

  #wants(line: Buffer, { index, at, kind }: Head): boolean {
    const { after, before, sinceMs, untilMs, what } = this.#query
    if (kind === 'snapshot' || (this.#kinds !== undefined && !this.#kinds.has(kind))) return false
    if ((after !== undefined && index <= after) || (before !== undefined && index >= before)) return false
    if ((sinceMs !== undefined && at < sinceMs) || (untilMs !== undefined && at > untilMs)) return false
    if (what === undefined) return true
    if (!mayMention(line, what)) return false
    const record = decodeLine(line)
    return isShown(record) && isAbout(record, what)
  }
}

function isShown(record: ReturnType<typeof decodeLine>): record is JournalRecord {
  return record !== undefined && record.kind !== 'snapshot'
}

/** Whether one of the things that a record is about has this name, this address, or this host. */
export function isAbout(record: JournalRecord, what: string): boolean {
  for (const subject of subjectsOf(record, 0)) if (subject === what || hostOf(subject) === what) return true
  return false
}

const SUBJECTS: ReadonlySet<string> = new Set([
  ...(['member', 'address', 'service', 'id', 'pool', 'server', 'actor', 'guard', 'node'] as const),
])
const DEPTH_MAX = 4

/** Whatever shape the record has: a file may have been written by anybody. */
function* subjectsOf(value: object, depth: number): Generator<string> {
  for (const [key, inner] of Object.entries(value) as [string, unknown][]) {
    if (typeof inner === 'string') {
      if (SUBJECTS.has(key)) yield inner
      else if (key === 'command') yield* inner.split(/\s+/)
    } else if (typeof inner === 'object' && inner !== null && key !== 'tags' && depth < DEPTH_MAX)
      yield* subjectsOf(inner, depth + 1)
  }
}

/** Of `10.0.0.1:80` or `[::1]:80`; anything else is not an address with a port. */
function hostOf(address: string): string | undefined {
  const found = /^(?:\[([^\]]+)\]|([^:]+)):\d+$/.exec(address)
  return found?.[1] ?? found?.[2]
}
