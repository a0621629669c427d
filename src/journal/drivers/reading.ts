import { decodeLine, readHead } from '../line.ts'
import { Pools } from '../pools.ts'
import { type JournalPage, type JournalQuery, PageReader } from '../query.ts'
import type { AgentThen, AnyRecord, PoolServer, SnapshotRecord } from '../records.ts'
import { hasCode, linesIn, type Segment } from './segments.ts'

/** The pools as they were. */
export interface PoolsThen {
  readonly servers: readonly PoolServer[]
  /** How the agent was last heard of before. */
  readonly agent?: AgentThen
  /** False: what they were folded from is damaged, and some servers may be missing. */
  readonly isWhole: boolean
}

/** One page, from as few segments as it takes. @param unreadable is told of a segment that cannot be read */
export async function readPage(
  segments: readonly Segment[],
  query: JournalQuery,
  unreadable: (path: string, failure: unknown) => void,
): Promise<JournalPage> {
  const reader = new PageReader(query)
  const candidates = segments.filter((segment, i) => mayHold(segment, segments[i + 1]?.first, query))
  for (const { path } of query.after === undefined ? candidates.reverse() : candidates) {
    try {
      await readInto(reader, path)
    } catch (failure) {
      if (!hasCode(failure, 'ENOENT')) unreadable(path, failure) // gone: it has become too old meanwhile
    }
    if (reader.isFull) break
  }
  return reader.page()
}

async function readInto(reader: PageReader, path: string): Promise<void> {
  for await (const lines of linesIn(path)) {
    for (const { bytes, isTorn } of lines) {
      const head = readHead(bytes)
      if (head !== undefined) reader.take(bytes, head)
      else if (!isTorn) reader.damaged++
    }
    reader.shed()
  }
}

function mayHold(segment: Segment, next: number | undefined, query: JournalQuery): boolean {
  const { after = -1, before = Number.POSITIVE_INFINITY } = query
  const { sinceMs = Number.NEGATIVE_INFINITY, untilMs = Number.POSITIVE_INFINITY } = query
  const isThere = segment.first < before && (next === undefined || next > after + 1)
  return isThere && segment.maxAt >= sinceMs && segment.minAt <= untilMs
}

/**
 * The pools after the last record, by index, that is not later than `ms`: where the clock went back, the later one of two
 * moments with the same time is meant.
 * @returns undefined when nothing is known of that time
 */
export async function readPools(segments: readonly Segment[], ms: number): Promise<PoolsThen | undefined> {
  const known = [...segments] // the oldest may go meanwhile
  const last = known.findLastIndex(({ minAt }) => minAt <= ms)
  for (let first = last; first >= 0; first--) {
    const pools = new Pools()
    let read = 0
    for (let i = first; i <= last; i++)
      if (await foldIfThere(pools, known[i]?.path as string, i === last ? ms : undefined)) read++
    if (!pools.isWhole && first > 0) continue // its snapshot is damaged; the one before, and everything since
    const { agent, isWhole } = pools
    return read === 0 ? undefined : { servers: pools.list(), ...(agent === undefined ? {} : { agent }), isWhole }
  }
  return undefined
}

async function foldIfThere(pools: Pools, path: string, ms: number | undefined): Promise<boolean> {
  try {
    await foldInto(pools, path, ms)
    return true
  } catch (failure) {
    if (hasCode(failure, 'ENOENT')) return false
    throw failure
  }
}

/** @param ms undefined: everything */
export async function foldInto(pools: Pools, path: string, ms: number | undefined): Promise<void> {
  let later: AnyRecord[] = []
  for await (const lines of linesIn(path))
    for (const { bytes } of lines) {
      const head = readHead(bytes)
      if (head === undefined || !isFolded(head.kind)) continue
      const record = decodeLine(bytes)
      if (record === undefined) continue
      later.push(record)
      if (ms !== undefined && head.at > ms) continue
      for (const one of later) pools.apply(one)
      later = []
    }
}

export function isFolded(kind: string): boolean {
  return kind === 'snapshot' || kind === 'receipt' || kind === 'agent'
}

/** The snapshot at a segment's beginning; undefined where it is damaged. @throws the system's error */
export async function firstSnapshot(path: string): Promise<SnapshotRecord | undefined> {
  for await (const lines of linesIn(path)) {
    const bytes = lines[0]?.bytes
    if (bytes === undefined) continue
    const record = readHead(bytes)?.kind === 'snapshot' ? decodeLine(bytes) : undefined
    return record?.kind === 'snapshot' ? record : undefined
  }
  return undefined
}
