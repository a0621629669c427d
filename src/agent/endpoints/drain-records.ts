/**
 * What operators have drained: records that every balancer holds, and their agreement. Of two about the same server the later
 * counts, by time and then by the node that it was asked on; what was taken back stays for a day as a tombstone, so that a
 * balancer that was away does not bring it again. Pure; time is an argument.
 */

/** That somebody wants a server drained, or not any more. */
export interface DrainRecord {
  /** A member's name (all its servers), a server's, or `ip:port`. */
  readonly server: string
  /** Absent: in every pool. */
  readonly pool?: string
  /** The node it was asked on. */
  readonly node: string
  /** Who asked there, as the operating system names them. */
  readonly user?: string
  /** Wall clock of that node, ms; after every earlier one about the same server that was known there. */
  readonly atMs: number
  /** Until when whoever asked waits; for people only. */
  readonly deadlineMs?: number
  readonly reason?: string
  /** In spite of the minimum number of servers. */
  readonly forced: boolean
  /** A tombstone: the drain is taken back. */
  readonly undone: boolean
}

/** So many are more than any site drains at once; a flood of forged ones stops here. */
export const RECORDS_MAX = 256
/** Of one record as it travels, bytes; a Serf query may have 1024 with everything. */
export const RECORD_BYTES_MAX = 640
/** Longest name of who asked, characters. */
export const USER_MAX = 64
/** Longest reason, characters. */
export const REASON_MAX = 200
/** A tombstone is forgotten after this. */
const TOMBSTONE_MS = 24 * 3_600_000
/** A clock may be ahead of ours by so much; a record from beyond that could never be replaced. */
const AHEAD_MS_MAX = 24 * 3_600_000
/** A record about a server that no member has any more is forgotten after this. */
const GONE_MS = 3_600_000
/** Serf's longest node name is 128; an address with its port is shorter. */
const SERVER_NAME = /^[A-Za-z0-9_.:[\]-]{1,136}$/
const POOL_NAME = /^[A-Za-z0-9_-]{1,48}$/

/** Whether a name can be that of a server, a member or an endpoint. */
export function isServerName(text: string): boolean {
  return SERVER_NAME.test(text)
}

export function isPoolName(text: string): boolean {
  return POOL_NAME.test(text)
}

/** As it travels and is kept: one letter a field. */
export function encodeRecord(r: DrainRecord): Record<string, unknown> {
  return {
    s: r.server,
    ...(r.pool === undefined ? {} : { p: r.pool }),
    n: r.node,
    ...(r.user === undefined ? {} : { u: r.user }),
    a: r.atMs,
    ...(r.deadlineMs === undefined ? {} : { d: r.deadlineMs }),
    ...(r.reason === undefined ? {} : { r: r.reason }),
    ...(r.forced ? { f: 1 } : {}),
    ...(r.undone ? { x: 1 } : {}),
  }
}

/** @param value from the network or a file; undefined for anything that is not exactly a record */
export function decodeRecord(value: unknown): DrainRecord | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { s, p, n, u, a, d, r, f, x } = value as Record<string, unknown>
  if (typeof s !== 'string' || !isServerName(s)) return undefined
  if (p !== undefined && (typeof p !== 'string' || !isPoolName(p))) return undefined
  if (!isLine(n, 128) || !isTime(a)) return undefined
  if (u !== undefined && !isLine(u, USER_MAX)) return undefined
  if (r !== undefined && !isLine(r, REASON_MAX)) return undefined
  if (d !== undefined && !isTime(d)) return undefined
  const record: DrainRecord = {
    server: s,
    ...(p === undefined ? {} : { pool: p }),
    node: n,
    ...(u === undefined ? {} : { user: u }),
    atMs: a,
    ...(d === undefined ? {} : { deadlineMs: d }),
    ...(r === undefined ? {} : { reason: r }),
    forced: f === 1,
    undone: x === 1,
  }
  return bytesOf(record) > RECORD_BYTES_MAX ? undefined : record
}

/** How much room a record takes on its way. */
export function bytesOf(record: DrainRecord): number {
  return Buffer.byteLength(JSON.stringify(encodeRecord(record)))
}

/** Whether one endpoint is meant. */
export function isMeant(
  record: { readonly server: string; readonly pool?: string | undefined },
  server: { readonly pool: string; readonly name: string; readonly host?: string; readonly ip: string; port: number },
): boolean {
  if (record.pool !== undefined && record.pool !== server.pool) return false
  const { name, host, ip, port } = server
  const endpoint = ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
  return [name, host, endpoint, name.endsWith(`:${port}`) ? name.slice(0, -`:${port}`.length) : name].includes(
    record.server,
  )
}

/** Of two records about one server, whether the first is the later one. */
export function isLater(a: DrainRecord, b: DrainRecord): boolean {
  if (a.atMs !== b.atMs) return a.atMs > b.atMs
  if (a.node !== b.node) return a.node > b.node
  return JSON.stringify(encodeRecord(a)) > JSON.stringify(encodeRecord(b)) // every balancer decides alike
}

/** All records of one balancer. */
export class DrainBook {
  readonly #records = new Map<string, DrainRecord>()
  /** By record: when its server was last there, ms. */
  readonly #seenMs = new Map<string, number>()

  /** What is in force, and tombstones, in a fixed order. */
  all(): DrainRecord[] {
    return [...this.#records].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, record]) => record)
  }

  /** What is drained. */
  active(): DrainRecord[] {
    return this.all().filter(record => !record.undone)
  }

  find(server: string, pool: string | undefined): DrainRecord | undefined {
    return this.#records.get(keyOf({ server, pool }))
  }

  /**
   * Takes over a record unless a later one about the same server is known.
   * @returns `new`: something has changed; `known`: exactly this is held; `older` and `refused`: it is not held
   */
  put(record: DrainRecord, nowMs: number): 'new' | 'known' | 'older' | 'refused' {
    if (record.atMs > nowMs + AHEAD_MS_MAX) return 'refused'
    const key = keyOf(record)
    const before = this.#records.get(key)
    if (before !== undefined) {
      if (JSON.stringify(encodeRecord(before)) === JSON.stringify(encodeRecord(record))) return 'known'
      if (!isLater(record, before)) return 'older'
    }
    if (before === undefined && !this.#makeRoom()) return 'refused'
    this.#records.set(key, record)
    this.#seenMs.set(key, nowMs)
    return 'new'
  }

  /**
   * Forgets old tombstones, and what is about servers that nobody has had for an hour.
   * @param isThere whether some member has the name, or some server the address
   * @returns whether anything was forgotten
   */
  tidy(isThere: (record: DrainRecord) => boolean, nowMs: number): boolean {
    const before = this.#records.size
    for (const [key, record] of this.#records) {
      if (isThere(record) || !this.#seenMs.has(key)) this.#seenMs.set(key, nowMs)
      const isGone = nowMs - (this.#seenMs.get(key) ?? nowMs) > GONE_MS
      if (record.undone ? nowMs - record.atMs > TOMBSTONE_MS : isGone) this.#forget(key)
    }
    return this.#records.size !== before
  }

  #makeRoom(): boolean {
    if (this.#records.size < RECORDS_MAX) return true
    const tombstones = [...this.#records].filter(([, record]) => record.undone)
    const oldest = tombstones.sort(([, a], [, b]) => a.atMs - b.atMs)[0]
    if (oldest === undefined) return false
    this.#forget(oldest[0])
    return true
  }

  #forget(key: string): void {
    this.#records.delete(key)
    this.#seenMs.delete(key)
  }
}

/** A time for a new record: now, and after what it replaces, whoever's clock that was. */
export function stampAfter(nowMs: number, earlier: readonly DrainRecord[]): number {
  return Math.max(Math.floor(nowMs), ...earlier.map(record => record.atMs + 1))
}

function keyOf({ server, pool }: { readonly server: string; readonly pool?: string | undefined }): string {
  return `${server} ${pool ?? ''}`
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 && value < 1e14
}

/** One line of text without control characters. */
function isLine(value: unknown, lengthMax: number): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= lengthMax && !/\p{C}/u.test(value)
}
