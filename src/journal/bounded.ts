import { RECORD_BYTES_MAX } from './line.ts'
import type { JournalEntry, PoolServer, ReceiptEntry } from './records.ts'

/** What a record may keep when it is too long, from generous to hardly anything: list items, characters of a text. */
const LIMITS: readonly (readonly [items: number, characters: number])[] = [
  [256, 1000],
  [64, 500],
  [16, 200],
  [4, 100],
]
const DEPTH_MAX = 6
/** Of number, time, kind, part and the names of what was cut. */
const HEAD_BYTES = 1024
const BODY_BYTES_MAX = RECORD_BYTES_MAX - HEAD_BYTES
/** Changes may take this much of a record, so that there is room for what stands beside them. */
const CHANGES_BYTES = 40 * 1024
const BESIDE_BYTES = BODY_BYTES_MAX - CHANGES_BYTES
/** Of one change, or server, in a list that is spread over records. */
const ITEM_BYTES_MAX = 8 * 1024
const CUTS_SHOWN = 16

/**
 * The bodies of the records that hold an entry: itself when it fits. A receipt with many changes takes several records, since
 * the pools are folded from them and none may be missing; any other list or text is cut, and `cut` says how long it was.
 */
export function boundedBodies(entry: JournalEntry): object[] {
  if (bytesOf(entry) <= BODY_BYTES_MAX) return [entry]
  return entry.kind === 'receipt' ? receiptParts(entry) : [fitted(entry, BODY_BYTES_MAX)]
}

function receiptParts(entry: ReceiptEntry): object[] {
  const { changes, ...rest } = entry
  const beside = fitted(rest, BESIDE_BYTES)
  const again = { ...beside, causes: [], reasons: [], commands: [] }
  const groups = spread(changes, CHANGES_BYTES)
  if (groups.length === 1) return [{ ...beside, changes: groups[0] }]
  return groups.map((group, i) => ({
    ...(i === 0 ? beside : again),
    ...{ changes: group, part: i + 1, parts: groups.length },
  }))
}

/** The servers of a snapshot, in groups that fit into a record each; at least one group. */
export function snapshotGroups(servers: readonly PoolServer[]): object[][] {
  return spread(servers, BODY_BYTES_MAX)
}

function spread(items: readonly object[], bytesMax: number): object[][] {
  const groups: object[][] = [[]]
  let bytes = 0
  for (const item of items) {
    const kept = bytesOf(item) <= ITEM_BYTES_MAX ? item : fitted(item, ITEM_BYTES_MAX)
    const more = bytesOf(kept) + 1
    if (bytes + more > bytesMax) {
      groups.push([])
      bytes = 0
    }
    groups.at(-1)?.push(kept)
    bytes += more
  }
  return groups
}

function fitted(value: object, bytesMax: number): object {
  if (bytesOf(value) <= bytesMax) return value
  for (const [items, characters] of LIMITS) {
    const cut: Record<string, number> = {}
    const trimmed = trim(value, { items, characters, cut }, '', 0) as object
    const whole = { ...trimmed, cut }
    if (bytesOf(whole) <= bytesMax) return whole
  }
  return { cut: { everything: bytesOf(value) } }
}

interface Trimming {
  readonly items: number
  readonly characters: number
  readonly cut: Record<string, number>
}

function trim(value: unknown, how: Trimming, path: string, depth: number): unknown {
  if (typeof value === 'string') {
    if (value.length <= how.characters) return value
    note(how, path, value.length)
    return `${value.slice(0, how.characters)}…`
  }
  if (typeof value !== 'object' || value === null) return value
  if (depth >= DEPTH_MAX) return '…'
  const keys = Object.keys(value)
  if (keys.length > how.items) note(how, path, keys.length)
  const kept = keys.slice(0, how.items)
  const inside = (key: string) =>
    trim((value as Record<string, unknown>)[key], how, path === '' ? key : `${path}.${key}`, depth + 1)
  if (Array.isArray(value)) return kept.map(inside)
  return Object.fromEntries(kept.map(key => [key.slice(0, how.characters), inside(key)]))
}

function note({ cut }: Trimming, path: string, length: number): void {
  if (Object.keys(cut).length < CUTS_SHOWN) cut[path.slice(0, 32)] = length
}

function bytesOf(value: object): number {
  return Buffer.byteLength(JSON.stringify(value))
}
