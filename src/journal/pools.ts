import { snapshotGroups } from './bounded.ts'
import type { AgentThen, AnyRecord, PoolServer, ReceiptChange, SnapshotRecord } from './records.ts'

/** Above every pool that HAProxy bears; more could only come from a file that somebody has written. */
export const SERVERS_MAX = 50_000

/**
 * The pools as the receipts make them, record by record. A snapshot takes the place of everything once all its parts were
 * there; one that is damaged changes nothing.
 */
export class Pools {
  #servers = new Map<string, PoolServer>()
  /** What went before a snapshot was read. */
  readonly #gone = new Set<string>()
  #agent: AgentThen | undefined
  #staged: Map<string, PoolServer> | undefined
  #stagedParts = 0
  #isWhole: boolean

  /** @param isWhole nothing was before */
  constructor(isWhole = false) {
    this.#isWhole = isWhole
  }

  /** A snapshot has been read whole: what is here is everything there was. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  /** How the agent was last heard of. */
  get agent(): AgentThen | undefined {
    return this.#agent
  }

  get size(): number {
    return this.#servers.size
  }

  /** By pool, then server. */
  list(): PoolServer[] {
    return [...this.#servers.values()].sort(
      (a, b) => compare(a.pool, b.pool) || compare(a.server, b.server) || compare(a.address, b.address),
    )
  }

  apply(record: AnyRecord): void {
    if (record.kind === 'snapshot') this.#stage(record)
    else if (record.kind === 'agent' && record.event !== 'gap') this.#agent = { event: record.event, at: record.at }
    else if (record.kind === 'check') this.#check(record)
    else if (record.kind === 'receipt' && Array.isArray(record.changes))
      for (const change of record.changes) if (isChange(change)) this.#change(change, record.at)
  }

  /** What these changes make of pools that turn out to have been there before. */
  over(before: Pools): Pools {
    const both = new Pools(before.#isWhole)
    both.#agent = this.#agent ?? before.#agent
    both.#servers = new Map([...before.#servers].filter(([key]) => !this.#gone.has(key)))
    for (const [key, server] of this.#servers) both.#servers.set(key, server)
    return both
  }

  /** @returns the bodies of the records of a snapshot of this */
  snapshot(): Pick<SnapshotRecord, 'part' | 'parts' | 'servers' | 'agent'>[] {
    const groups = snapshotGroups([...this.#servers.values()]) as PoolServer[][]
    const agent = this.#agent === undefined ? {} : { agent: this.#agent }
    return groups.map((servers, i) => ({ part: i + 1, parts: groups.length, ...agent, servers }))
  }

  /** Only of a server that is there: who is in the pool is not for the checks to say. */
  #check({ pool, address, after, reason, at }: Extract<AnyRecord, { readonly kind: 'check' }>): void {
    const key = keyOf(pool, address)
    const there = this.#servers.get(key)
    const isSound = (after === 'ready' || after === 'down') && typeof reason === 'string'
    if (there !== undefined && isSound) this.#servers.set(key, { ...there, state: after, since: at, reason })
  }

  #change({ pool, server, address, after, reason }: ReceiptChange, at: number): void {
    const key = keyOf(pool, address)
    if (after === null) {
      this.#servers.delete(key)
      if (!this.#isWhole && this.#gone.size < SERVERS_MAX) this.#gone.add(key)
    } else if (this.#servers.has(key) || this.#servers.size < SERVERS_MAX)
      this.#servers.set(key, {
        ...{ pool, server, address },
        state: after.state,
        weight: after.weight,
        since: at,
        reason,
      })
  }

  #stage(record: SnapshotRecord): void {
    if (record.part === 1) {
      this.#staged = new Map()
      this.#stagedParts = 0
    }
    if (this.#staged === undefined || record.part !== this.#stagedParts + 1 || !Array.isArray(record.servers)) return
    this.#stagedParts = record.part
    for (const one of record.servers) {
      if (!isServer(one) || this.#staged.size >= SERVERS_MAX) continue
      this.#staged.set(keyOf(one.pool, one.address), one)
    }
    if (record.part !== record.parts) return
    this.#servers = this.#staged
    this.#agent = record.agent
    this.#staged = undefined
    this.#isWhole = true
  }
}

/** By address: a member may serve a pool on several ports, and whoever moves is gone there and comes in here. */
function keyOf(pool: string, address: string): string {
  return `${pool}\0${address}`
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function areTexts(value: Record<string, unknown>, keys: readonly string[]): boolean {
  return keys.every(key => typeof value[key] === 'string')
}

function isChange(value: unknown): value is ReceiptChange {
  if (!isObject(value) || !areTexts(value, ['pool', 'server', 'address', 'reason'])) return false
  const { after } = value
  return (
    after === null || (isObject(after) && typeof after['state'] === 'string' && typeof after['weight'] === 'number')
  )
}

function isServer(value: unknown): value is PoolServer {
  if (!isObject(value) || !areTexts(value, ['pool', 'server', 'address', 'state', 'reason'])) return false
  return typeof value['weight'] === 'number' && typeof value['since'] === 'number'
}
