/** The Serf query by which drains of operators travel: JSON, below Serf's 1024 bytes, from strangers until it is checked. */
import { ANSWER_BYTES_MAX, decodeJson, encodeJson } from '../query-json.ts'
import { decodeRecord, type DrainRecord, encodeRecord, isPoolName, isServerName } from './drain-records.ts'

/** The query's name. */
export const DRAINS_QUERY = 'muster-drains'

/** Plausible counts end here. */
const COUNT_MAX = 1e9

/** Which server, in which pool. */
export interface DrainTarget {
  readonly server: string
  readonly pool?: string
}

/** What is asked of a balancer. */
export type DrainsRequest =
  /** What would become of a drain, and what is left on the server; changes nothing. */
  | ({ readonly op: 'look' } & DrainTarget)
  /** Hold this record; the answer is that to `look`. */
  | { readonly op: 'put'; readonly record: DrainRecord }
  /** Records, tombstones too, from this one on. */
  | { readonly op: 'list'; readonly from: number }

/** A pool that a drain would leave with too few. */
export interface BelowMinimum {
  readonly pool: string
  /** Servers in traffic now. */
  readonly has: number
  /** Those that would be taken from it. */
  readonly without: number
  readonly min: number
}

/** What one balancer says of a server. */
export interface DrainAnswer {
  /** Its record about exactly this target, in force or a tombstone. */
  readonly record?: DrainRecord
  /** How many servers are meant. */
  readonly servers: number
  /** Requests and tunnels on them, in old workers too. */
  readonly sessions: number
  readonly oldestMs?: number
  /** New clients still come. */
  readonly isOpen: boolean
  /** Clients that are bound to it came a moment ago. */
  readonly isBound: boolean
  /** The record is kept out of force, since this pool has no other server. */
  readonly heldBack?: string
  readonly below?: BelowMinimum
}

export interface DrainsPage {
  readonly records: readonly DrainRecord[]
  /** Where the next page begins. */
  readonly next?: number
}

export function encodeDrainsRequest(request: DrainsRequest): Uint8Array {
  if (request.op === 'look') return encodeJson(['look', request.server, request.pool ?? ''])
  if (request.op === 'put') return encodeJson(['put', encodeRecord(request.record)])
  return encodeJson(['list', request.from])
}

/** Undefined for anything else. */
export function decodeDrainsRequest(payload: Uint8Array): DrainsRequest | undefined {
  const value = decodeJson(payload)
  if (!Array.isArray(value)) return undefined
  const [op, first, second] = value as unknown[]
  if (op === 'look' && typeof first === 'string' && isServerName(first) && typeof second === 'string') {
    if (second === '') return { op, server: first }
    return isPoolName(second) ? { op, server: first, pool: second } : undefined
  }
  if (op === 'put') {
    const record = decodeRecord(first)
    return record === undefined ? undefined : { op, record }
  }
  return op === 'list' && isCount(first) ? { op, from: first } : undefined
}

export function encodeDrainAnswer(a: DrainAnswer): Uint8Array {
  return encodeJson({
    n: a.servers,
    c: a.sessions,
    ...(a.oldestMs === undefined ? {} : { o: a.oldestMs }),
    ...(a.isOpen ? { t: 1 } : {}),
    ...(a.isBound ? { b: 1 } : {}),
    ...(a.heldBack === undefined ? {} : { h: a.heldBack }),
    ...(a.below === undefined ? {} : { m: [a.below.pool, a.below.has, a.below.without, a.below.min] }),
    ...(a.record === undefined ? {} : { r: encodeRecord(a.record) }),
  })
}

/** Undefined for anything else: such a balancer counts as silent. */
export function decodeDrainAnswer(payload: Uint8Array): DrainAnswer | undefined {
  const value = decodeJson(payload)
  if (typeof value !== 'object' || value === null) return undefined
  const { n, c, o, t, b, h, m, r } = value as Record<string, unknown>
  if (!isCount(n) || !isCount(c) || (o !== undefined && !isCount(o))) return undefined
  const record = decodeRecord(r)
  const below = decodeBelow(m)
  return {
    ...{ servers: n, sessions: c, isOpen: t === 1, isBound: b === 1 },
    ...(o === undefined ? {} : { oldestMs: o }),
    ...(typeof h === 'string' && isPoolName(h) ? { heldBack: h } : {}),
    ...(below === undefined ? {} : { below }),
    ...(record === undefined ? {} : { record }),
  }
}

/** As many records as one answer holds. */
export function encodePage(records: readonly DrainRecord[], from: number): Uint8Array {
  const page: unknown[] = []
  let size = 40
  let at = from
  for (; at < records.length; at++) {
    const one = encodeRecord(records[at] as DrainRecord)
    size += Buffer.byteLength(JSON.stringify(one)) + 1
    if (size > ANSWER_BYTES_MAX) break
    page.push(one)
  }
  return encodeJson(at < records.length ? [page, at] : [page])
}

export function decodePage(payload: Uint8Array): DrainsPage | undefined {
  const value = decodeJson(payload)
  if (!Array.isArray(value) || !Array.isArray(value[0])) return undefined
  const [found, next] = value as [unknown[], unknown]
  const records = found.map(decodeRecord).filter(record => record !== undefined)
  return { records, ...(isCount(next) ? { next } : {}) }
}

function decodeBelow(value: unknown): BelowMinimum | undefined {
  if (!Array.isArray(value)) return undefined
  const [pool, has, without, min] = value as unknown[]
  if (typeof pool !== 'string' || !isPoolName(pool) || !isCount(has) || !isCount(without) || !isCount(min))
    return undefined
  return { pool, has, without, min }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= COUNT_MAX
}
