/** The drains that this balancer holds: put into force here, kept on disk, told to whoever asks, learned from the others. */
import type { BalancerStatus, Leftover, Server } from '../../balancer/index.ts'
import { type Clock, formatAddress, type Log, messageOf, MusterError, sleep, type Timer } from '../../base/index.ts'
import type { Engine, QueryEvent } from '../../serf/index.ts'
import type { DrainsFile } from '../drivers/drains-file.ts'
import type { Journaling } from '../journal/journaling.ts'
import { aliveBalancers } from '../endpoints/announcer.ts'
import {
  type BelowMinimum,
  decodeDrainsRequest,
  decodePage,
  DRAINS_QUERY,
  type DrainAnswer,
  type DrainsRequest,
  type DrainTarget,
  encodeDrainAnswer,
  encodeDrainsRequest,
  encodePage,
} from '../endpoints/drain-messages.ts'
import { DrainBook, type DrainRecord, isMeant } from '../endpoints/drain-records.ts'

/** What the drains need to know of the balancer beside them. */
export interface DrainedBalancer {
  status(): BalancerStatus
  /** By `ip:port`. @throws MusterError while HAProxy cannot be asked */
  leftOn(endpoints: readonly string[], withAges: boolean): Promise<ReadonlyMap<string, Leftover>>
  /** Fewer servers in traffic than this are refused; 0: no such guard. */
  minServers(pool: string): number
  isSticky(pool: string): boolean
  /** Something about the drains has changed: look again. */
  wake(): void
}

interface HeldDeps {
  readonly clock: Clock
  readonly log: Log
  readonly serf: Engine
  readonly file: DrainsFile
  readonly journal?: Pick<Journaling, 'guard'>
}

/**
 * A client that is bound to a server by a cookie, a header or its address is counted nowhere. While the last request there is
 * younger than this, somebody uses it: a page with what it loads, and the next click, are closer together.
 */
export const BOUND_QUIET_MS = 5_000
/**
 * A pool whose only live servers are drained ones gets them back after so long: longer than checks take to find a server at the
 * start, shorter than requests wait for one.
 */
const LAST_RESORT_MS = 5_000
const TICK_MS = 1_000
/** Another balancer is asked what it holds so often, in turn: what a lost packet kept from us comes with that. */
const COMPARE_MS = 30_000
const PULL_MS = 1_000
const PULL_TRIES = 5
/** More pages than the largest book has. */
export const PAGES_MAX = 256

export class HeldDrains {
  readonly #deps: HeldDeps
  readonly #balancer: DrainedBalancer
  readonly #book = new DrainBook()
  /** Pools without another live server, and since when, ms. */
  readonly #aloneSinceMs = new Map<string, number>()
  readonly #ended = new AbortController()
  #known = new Set<string>()
  #heldBack = new Set<string>()
  #servers: readonly Server[] = []
  #timer: Timer | undefined
  #compareAtMs: number
  #turn = 0

  constructor(balancer: DrainedBalancer, deps: HeldDeps) {
    this.#balancer = balancer
    this.#deps = deps
    this.#compareAtMs = deps.clock.nowMs() + COMPARE_MS
  }

  /** Reads what was held before. A file that cannot be read is said and left; the other balancers know. */
  async load(): Promise<void> {
    const { file, log, clock } = this.#deps
    try {
      const { records, unreadable } = await file.read()
      for (const record of records) this.#book.put(record, clock.wallMs())
      if (unreadable > 0) log.warn({ unreadable }, 'some drains on disk could not be read; the others are in force')
    } catch (failure) {
      log.warn({ reason: messageOf(failure) }, 'the drains on disk could not be read; other balancers are asked')
    }
  }

  /** Answers queries and keeps up with the other balancers. @returns how to end */
  start(): () => void {
    const { serf } = this.#deps
    const stops = [serf.onEvent(event => this.#hear(event)), serf.onChange(() => this.#meet())]
    this.#meet()
    this.#tickLater()
    return () => {
      this.#ended.abort()
      this.#timer?.cancel()
      for (const stop of stops) stop()
    }
  }

  /** The same servers, with those that are drained marked so. */
  apply(servers: readonly Server[]): readonly Server[] {
    this.#servers = servers
    if (this.#book.active().length === 0) return servers
    this.#judge()
    return servers.map(server => {
      const record = this.#inForceOn(server)
      return record === undefined ? server : { ...server, state: 'draining', drainReason: drainReasonOf(record) }
    })
  }

  /** Why a server is drained, in words; undefined where no operator has asked for it. */
  reasonFor(server: { pool: string; name: string; ip: string; port: number }): string | undefined {
    const record = this.#book.active().find(one => isMeant(one, server))
    if (record === undefined) return undefined
    const words = `drained by ${whoIs(record)} since ${timeOf(record.atMs)}${record.reason === undefined ? '' : `: ${record.reason}`}`
    if (!record.forced && this.#heldBack.has(server.pool))
      return `${words}; in traffic all the same, since the pool has no other live server`
    return `${words}; to take it back: muster drain --undo ${record.server}`
  }

  /**
   * A pool that would be left with too few, without what is meant. What is drained is gone from now on, also while HAProxy has it
   * in traffic still: of two who are drained at once, the second is to see the first.
   */
  below(target: DrainTarget): BelowMinimum | undefined {
    for (const pool of this.#balancer.status().pools) {
      const placed = pool.servers.map(server => ({ ...server, pool: pool.name }))
      const ready = placed.filter(server => server.state === 'ready' && this.#inForceOn(server) === undefined)
      const meant = ready.filter(server => isMeant(target, server))
      const min = this.#balancer.minServers(pool.name)
      if (meant.length > 0 && ready.length - meant.length < min)
        return { pool: pool.name, has: ready.length, without: meant.length, min }
    }
    return undefined
  }

  #inForceOn(server: Parameters<typeof isMeant>[1]): DrainRecord | undefined {
    const isHeldBack = this.#heldBack.has(server.pool)
    return this.#book.active().find(record => isMeant(record, server) && (record.forced || !isHeldBack))
  }

  #hear(event: { readonly kind: string } | QueryEvent): void {
    if (event.kind !== 'query' || !('respond' in event) || event.name !== DRAINS_QUERY) return
    const request = decodeDrainsRequest(event.payload)
    if (request === undefined) return
    const answer = async () => event.respond(await this.#answer(request))
    answer().catch(() => undefined) // too late: no answer is an answer, the asker repeats
  }

  async #answer(request: DrainsRequest): Promise<Uint8Array> {
    if (request.op === 'list') return encodePage(this.#book.all(), request.from)
    const target: DrainTarget = request.op === 'put' ? request.record : request
    const below = this.below(target)
    if (request.op === 'put') await this.#put(request.record, below)
    return encodeDrainAnswer(await this.#look(target, below))
  }

  /** What a person would be refused is refused from the wire, too: anybody in the ring can ask. */
  async #put(record: DrainRecord, below: BelowMinimum | undefined): Promise<void> {
    if (below !== undefined && !record.forced && !record.undone && !this.#holds(record)) return
    if (this.#take(record)) await this.#changed()
  }

  #holds(record: DrainRecord): boolean {
    return this.#book.find(record.server, record.pool)?.atMs === record.atMs
  }

  #take(record: DrainRecord): boolean {
    const { clock, log, journal } = this.#deps
    if (this.#book.put(record, clock.wallMs()) !== 'new') return false
    const { server, pool, reason } = record
    const fields = { server, by: whoIs(record), ...(pool === undefined ? {} : { pool }) }
    if (record.undone) log.info(fields, 'a drain is taken back')
    else log.info({ ...fields, ...(reason === undefined ? {} : { reason }) }, 'a server is drained by an operator')
    journal?.guard({
      guard: 'drain',
      what: `${record.undone ? 'taken back' : 'drained'} by ${whoIs(record)}`,
      server,
      ...(pool === undefined ? {} : { pool }),
      ...(reason === undefined ? {} : { reason }),
    })
    return true
  }

  async #changed(): Promise<void> {
    this.#balancer.wake()
    try {
      await this.#deps.file.keep(this.#book.all())
    } catch (failure) {
      this.#deps.log.warn({ reason: messageOf(failure) }, 'the drains could not be written to disk; they are in force')
    }
  }

  async #look(target: DrainTarget, below: BelowMinimum | undefined): Promise<DrainAnswer> {
    const record = this.#book.find(target.server, target.pool)
    const pools = this.#balancer.status().pools
    const meant = pools.flatMap(({ name: pool, servers }) =>
      servers.map(server => ({ ...server, pool })).filter(server => isMeant(target, server)),
    )
    const heldBack = meant.find(({ pool }) => this.#heldBack.has(pool))?.pool
    const left = await this.#leftOn(meant)
    return {
      servers: meant.length,
      ...left,
      ...(heldBack === undefined || record === undefined || record.forced ? {} : { heldBack }),
      ...(below === undefined ? {} : { below }),
      ...(record === undefined ? {} : { record }),
    }
  }

  async #leftOn(
    meant: readonly { pool: string; ip: string; port: number; state: string }[],
  ): Promise<Pick<DrainAnswer, 'sessions' | 'oldestMs' | 'isOpen' | 'isBound'>> {
    if (meant.length === 0) return { sessions: 0, isOpen: false, isBound: false }
    try {
      const found = await this.#balancer.leftOn([...new Set(meant.map(formatAddress))], true)
      const left = [...found.values()]
      const ages = left.flatMap(({ oldestMs }) => (oldestMs === undefined ? [] : [oldestMs]))
      const isBound = meant.some(one => this.#isBound(one.pool, found.get(formatAddress(one))))
      return {
        sessions: left.reduce((sum, one) => sum + one.sessions, 0),
        ...(ages.length === 0 ? {} : { oldestMs: Math.max(...ages) }),
        isOpen: left.some(one => one.isOpen) || meant.some(({ state }) => state === 'ready' || state === 'down'),
        isBound,
      }
    } catch (failure) {
      if (!(failure instanceof MusterError)) throw failure
      return { sessions: 0, isOpen: true, isBound: false } // who cannot be asked may have anything left
    }
  }

  #isBound(pool: string, left: Leftover | undefined): boolean {
    if (left === undefined || !left.isReachable || !this.#balancer.isSticky(pool)) return false
    return left.quietMs !== undefined && left.quietMs < BOUND_QUIET_MS
  }

  /** Never the last of a pool by a record that was not forced. @returns whether something has changed */
  #judge(): boolean {
    const nowMs = this.#deps.clock.nowMs()
    const active = this.#book.active()
    const heldBack = new Set<string>()
    for (const { name, servers } of this.#balancer.status().pools) {
      const meant = servers.filter(server => active.some(record => isMeant(record, { pool: name, ...server })))
      const isForced = meant.some(server => active.some(one => one.forced && isMeant(one, { pool: name, ...server })))
      const hasOther = servers.some(server => server.state === 'ready' && !meant.includes(server))
      const isSafe = meant.length === 0 || hasOther || isForced || this.#balancer.minServers(name) === 0
      if (isSafe) this.#aloneSinceMs.delete(name)
      else if (!this.#aloneSinceMs.has(name)) this.#aloneSinceMs.set(name, nowMs)
      if (nowMs - (this.#aloneSinceMs.get(name) ?? nowMs) >= LAST_RESORT_MS) heldBack.add(name)
    }
    const isSame = heldBack.size === this.#heldBack.size && [...heldBack].every(pool => this.#heldBack.has(pool))
    for (const pool of heldBack) {
      if (this.#heldBack.has(pool)) continue
      const what = 'the pool has no live server but drained ones; they are back in traffic'
      this.#deps.log.warn({ pool }, what)
      this.#deps.journal?.guard({ guard: 'last server', what, pool })
    }
    this.#heldBack = heldBack
    return !isSame
  }

  #tickLater(): void {
    this.#timer = this.#deps.clock.after(TICK_MS, () => {
      this.#tick()
      this.#tickLater()
    })
  }

  #tick(): void {
    const { clock, serf } = this.#deps
    if (this.#book.all().length > 0) this.#tidy()
    if (clock.nowMs() < this.#compareAtMs) return
    this.#compareAtMs = clock.nowMs() + COMPARE_MS
    const others = aliveBalancers(serf).sort()
    const next = others[this.#turn++ % Math.max(1, others.length)]
    if (next !== undefined) void this.#pull(next, 1)
  }

  #tidy(): void {
    const members = new Set(this.#deps.serf.members().map(member => member.name))
    const isThere = (record: DrainRecord) => members.has(record.server) || this.#servers.some(s => isMeant(record, s))
    const isTidied = this.#book.tidy(isThere, this.#deps.clock.wallMs())
    const isJudged = this.#book.active().length > 0 && this.#judge()
    if (isTidied) void this.#changed()
    else if (isJudged) this.#balancer.wake()
  }

  /** A balancer that has just come into sight is asked what it holds: we may be the one that was away. */
  #meet(): void {
    const now = new Set(aliveBalancers(this.#deps.serf))
    const newcomers = [...now].filter(name => !this.#known.has(name))
    this.#known = now
    for (const name of newcomers) void this.#pull(name, PULL_TRIES)
  }

  async #pull(from: string, tries: number): Promise<void> {
    const { clock, log } = this.#deps
    const { signal } = this.#ended
    for (let attempt = 0; attempt < tries && !signal.aborted; attempt++) {
      try {
        if (await this.#pullOnce(from)) return
        await sleep(clock, PULL_MS, signal)
      } catch (failure) {
        if (signal.aborted) return
        log.debug({ from, reason: messageOf(failure) }, 'a balancer could not be asked for its drains')
        await sleep(clock, PULL_MS, signal).catch(() => undefined)
      }
    }
  }

  /** @returns whether there was an answer */
  async #pullOnce(from: string): Promise<boolean> {
    let isChanged = false
    let next: number | undefined = 0
    for (let page = 0; page < PAGES_MAX && next !== undefined; page++) {
      const found = await this.#pageOf(from, next)
      if (found === undefined) return false
      for (const record of found.records) isChanged = this.#take(record) || isChanged
      next = found.next !== undefined && found.next > next ? found.next : undefined
    }
    if (isChanged) await this.#changed()
    return true
  }

  async #pageOf(from: string, at: number) {
    const payload = encodeDrainsRequest({ op: 'list', from: at })
    const query = { name: DRAINS_QUERY, payload, filters: { nodes: [from] }, timeoutMs: PULL_MS }
    for await (const answer of await this.#deps.serf.query(query)) {
      if (answer.kind === 'response' && answer.from === from) return decodePage(answer.payload)
    }
    return undefined
  }
}

/** `drained by root@lb-1 ("new disk")`. */
function drainReasonOf(record: DrainRecord): string {
  return `drained by ${whoIs(record)}${record.reason === undefined ? '' : ` (${JSON.stringify(record.reason)})`}`
}

/** `root@lb-1`. */
export function whoIs({ node, user }: DrainRecord): string {
  return user === undefined ? node : `${user}@${node}`
}

/** `2026-11-21 12:03:07 UTC`. */
export function timeOf(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}
