import { messageOf } from '../../base/index.ts'
import { decodeLine, readHead } from '../line.ts'
import { Pools } from '../pools.ts'
import { firstSnapshot, foldInto, isFolded } from './reading.ts'
import { listSegments, linesIn, makeDirectory, type Segment } from './segments.ts'

/** What an earlier agent has left. */
export interface Loaded {
  readonly segments: readonly Segment[]
  readonly pools: Pools
  /** Of the newest record; 0 where there is none. */
  readonly lastIndex: number
  readonly lastAt: number
  readonly snapshotBytes: number
  /** Lines of the newest segment that are no record. */
  readonly damaged: number
  /** Bytes of a record that was being written when the agent was killed, behind the newest segment's last whole one. */
  readonly tornBytes: number
  /** Why the newest segment cannot be read: a bad sector, say. */
  readonly unreadable?: string
}

/** Far more records than a segment has, whatever their numbers. */
const UNREADABLE_SKIP = 1e9

/** Reads the newest segment, and the beginnings of the others. @throws the system's error */
export async function load(directory: string): Promise<Loaded> {
  await makeDirectory(directory)
  const segments = await listSegments(directory)
  for (const [i, segment] of segments.slice(0, -1).entries()) {
    // what cannot be read tells nothing of the times in the segment before; it is looked into when it is asked for
    const next = await firstSnapshot(segments[i + 1]?.path as string).catch(() => undefined)
    if (next?.previous === undefined) continue
    segment.minAt = next.previous.minAt
    segment.maxAt = next.previous.maxAt
  }
  const found = await loadLast(segments.at(-1))
  return { ...found, segments, pools: found.pools.isWhole ? found.pools : await foldBack(segments, found.pools) }
}

type Last = Omit<Loaded, 'segments'>

const NOTHING = { lastIndex: 0, lastAt: 0, snapshotBytes: 0, damaged: 0, tornBytes: 0 }

async function loadLast(last: Segment | undefined): Promise<Last> {
  if (last === undefined) return { ...NOTHING, pools: new Pools(true) }
  try {
    return await scan(last)
  } catch (failure) {
    const lastIndex = last.first + UNREADABLE_SKIP
    return { ...NOTHING, lastIndex, pools: new Pools(), unreadable: messageOf(failure) }
  }
}

async function scan(last: Segment): Promise<Last> {
  const pools = new Pools()
  const found = { ...NOTHING, lastIndex: last.first - 1 }
  const times = { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY }
  let good = 0
  for await (const lines of linesIn(last.path))
    for (const { bytes, end, isTorn } of lines) {
      if (isTorn) continue
      good = end
      const head = readHead(bytes)
      if (head === undefined) {
        found.damaged++
        continue
      }
      const record = isFolded(head.kind) ? decodeLine(bytes) : undefined
      if (record !== undefined) pools.apply(record)
      if (head.kind === 'snapshot') found.snapshotBytes += bytes.length + 1
      found.lastIndex = Math.max(found.lastIndex, head.index)
      found.lastAt = head.at
      times.min = Math.min(times.min, head.at)
      times.max = Math.max(times.max, head.at)
    }
  const tornBytes = Math.max(0, last.bytes - good)
  Object.assign(last, { bytes: good, minAt: times.min, maxAt: times.max })
  return { ...found, pools, tornBytes }
}

/** The newest segment's snapshot is damaged: what was before, and everything since. */
async function foldBack(segments: readonly Segment[], newest: Pools): Promise<Pools> {
  for (let first = segments.length - 2; first >= 0; first--) {
    const pools = new Pools()
    for (const { path } of segments.slice(first)) await foldInto(pools, path, undefined).catch(() => undefined) // the rest tells more than nothing
    if (pools.isWhole || first === 0) return pools
  }
  return newest
}
