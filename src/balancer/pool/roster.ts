import { groupBy } from '../../base/index.ts'
import type { PlacedServer } from '../file/data.ts'
import type { ServerState } from '../state/runtime-state.ts'
import { type Entry, entryKey, keyOf, newEntry } from './entry.ts'
import { Guards } from './guards/guards.ts'
import { type Era, decide, type Situation } from './policy.ts'
import type { Server } from '../server.ts'

/** What is known of members, by name; lets the roster explain an endpoint that is no longer named. */
export type MemberStates = ReadonlyMap<string, 'alive' | 'failed' | 'left' | 'reaped'>

const FINAL: ReadonlySet<string> = new Set(['left', 'withdrawn', 'reaped'])

/** The balancer's memory of servers, between what the cluster believes and what HAProxy has. No I/O; time is an argument. */
export class Roster {
  readonly #entries = new Map<string, Entry>()
  readonly guards = new Guards()
  /** A plain server, too, waits for the agent's probe: in templates whose joins are reloads, which start servers as UP. */
  gatesPlain: boolean
  /** Keys of servers that were there before this agent, of which the ring has said nothing yet, and how many there were. */
  readonly #strangers = new Set<string>()
  #found = 0
  /** Since when at least half of them are accounted for. */
  #ringKnownSinceMs: number | undefined

  constructor(gatesPlain: boolean) {
    this.gatesPlain = gatesPlain
  }

  get(pool: string, endpoint: string): Entry | undefined {
    return this.#entries.get(entryKey(pool, endpoint))
  }

  entries(): Entry[] {
    return [...this.#entries.values()]
  }

  /** A server found in HAProxy, or in the last file, of which nobody has said anything yet. */
  adopt(found: Pick<Server, 'pool' | 'name' | 'ip' | 'port' | 'weight'>, nowMs: number, proven: boolean): Entry {
    const server: Server = { ...found, host: found.name, state: 'plain', liveness: 'alive' }
    const entry = newEntry(server, nowMs)
    entry.liveness = 'unexplained'
    entry.proven = proven
    this.#entries.set(entry.key, entry)
    if (!this.#strangers.has(entry.key)) this.#found++
    this.#strangers.add(entry.key)
    return entry
  }

  /** Takes over what is wanted now; an endpoint that is no longer named is explained by its member's state, if known. */
  update(servers: readonly Server[], members: MemberStates | undefined, nowMs: number): void {
    const owners = new Map<string, Server>()
    for (const server of servers) {
      const key = keyOf(server)
      owners.set(key, this.#owner(owners.get(key), server, this.#entries.get(key)))
    }
    for (const [key, server] of owners) this.#take(key, server, nowMs)
    for (const [key, entry] of this.#entries) if (!owners.has(key)) this.#explain(entry, members, nowMs)
    this.#account(nowMs)
  }

  /**
   * Takes over what HAProxy says; `undefined` while it cannot be asked.
   * @returns those that are to be in traffic and that its checks have taken out, or let in again
   */
  observe(stateOf: (entry: Entry) => ServerState | undefined, nowMs: number): Entry[] {
    const turned: Entry[] = []
    const fallen: Entry[] = []
    const serving = this.#serving()
    for (const entry of this.#entries.values()) {
      const state = stateOf(entry)
      const hasFallen = state?.up === false && state.admin !== 'maint' // there its checks say nothing, whoever has put it there
      if (hasFallen && this.#isInTraffic(entry) && entry.liveness !== 'withdrawn') fallen.push(entry)
      const isIn = entry.decision.stance === 'ready' && state?.admin === 'ready'
      if (isIn && entry.up !== undefined && state.up !== entry.up && entry.admin !== 'maint') turned.push(entry)
      entry.up = state?.up
      entry.admin = state?.admin
      if (state !== undefined && state.admin !== 'maint') entry.checksFail = !state.up
      entry.sessions = state?.sessions
      entry.serving = state !== undefined && state.admin === 'ready' && state.up
      if (entry.serving && entry.server.state !== 'ready') entry.proven = true
      const down = state !== undefined && state.admin !== 'maint' && !state.up
      entry.downSinceMs = down ? (entry.downSinceMs ?? nowMs) : undefined
    }
    for (const [pool, entries] of groupBy(fallen, entry => entry.server.pool)) {
      const isOurs = entries.length > 1 && entries.length * 2 >= (serving.get(pool) ?? 0) // of half a pool at once: our own network
      if (!isOurs) for (const entry of entries) this.guards.fell(entry, nowMs)
    }
    return turned
  }

  /** Decides about every server. @returns those that are released: no longer remembered, to be put into maintenance */
  decide(era: Era): { readonly released: readonly Entry[]; readonly lookAtMs: number | undefined } {
    const isAnyGone = this.entries().some(({ liveness }) => liveness !== 'alive')
    const claims = isAnyGone ? this.#claims() : new Map<string, Entry>() // of the alive nobody asks
    const coming = isAnyGone ? this.#coming() : new Set<string>()
    const serving = this.#serving()
    const released: Entry[] = []
    let lookAtMs: number | undefined
    const mayBeHeld = this.#mayBeHeld()
    for (const entry of this.#entries.values()) {
      const wasServing = entry.serving
      const { pool } = entry.server
      const heldUntilMs = (mayBeHeld.get(pool) ?? 0) > 0 ? this.guards.heldUntilMs(entry, era.nowMs) : undefined
      const decision = decide(this.#situation(entry, { heldUntilMs, claims, serving, coming }), era)
      if (decision.held === true) addTo(mayBeHeld, pool, -1)
      entry.decision = decision
      if (decision.shelve === true) entry.shelved = true
      entry.drainingSinceMs = decision.leaves === true ? (entry.drainingSinceMs ?? era.nowMs) : undefined
      if (decision.lookAtMs !== undefined) lookAtMs = Math.min(lookAtMs ?? decision.lookAtMs, decision.lookAtMs)
      if (decision.release) released.push(entry)
      entry.serving &&= !decision.release && decision.stance === 'ready'
      if (wasServing && !entry.serving) addTo(serving, entry.server.pool, -1) // counts for whoever is decided next
    }
    for (const entry of released) this.#entries.delete(entry.key)
    this.guards.weigh(this.entries())
    return { released, lookAtMs }
  }

  /** The agent's probe of an entering server succeeded. */
  prove(key: string): void {
    const entry = this.#entries.get(key)
    if (entry !== undefined) entry.proven = true
  }

  #owner(rival: Server | undefined, server: Server, entry: Entry | undefined): Server {
    if (rival === undefined) return server
    if ((rival.liveness === 'alive') !== (server.liveness === 'alive'))
      return rival.liveness === 'alive' ? rival : server
    if (entry?.server.name === server.name) return server
    return rival
  }

  #take(key: string, server: Server, nowMs: number): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) {
      if (!FINAL.has(server.liveness)) this.#entries.set(key, newEntry(server, nowMs))
      return
    }
    if (server.liveness === 'alive' && entry.shelved) {
      entry.shelved = false
      entry.proven = false
    }
    if (server.liveness === 'withdrawn') this.#withdraws(entry, nowMs)
    if (entry.liveness !== server.liveness) entry.sinceMs = nowMs
    entry.server = server
    entry.liveness = server.liveness
  }

  #explain(entry: Entry, members: MemberStates | undefined, nowMs: number): void {
    if (FINAL.has(entry.liveness)) return // its last word stands
    const state = memberState(entry.server, members)
    const liveness = state === 'alive' ? 'withdrawn' : (state ?? 'unexplained')
    if (liveness === 'withdrawn') this.#withdraws(entry, nowMs)
    if (entry.liveness !== liveness) entry.sinceMs = nowMs
    entry.liveness = liveness
  }

  /** Taken back out of traffic, without a drain before: its process died. It counts once, whether this or its checks told first. */
  #withdraws(entry: Entry, nowMs: number): void {
    const { liveness, server } = entry
    if (liveness === 'alive' && server.state === 'ready' && this.#isInTraffic(entry)) this.guards.fell(entry, nowMs)
  }

  #isInTraffic({ serving, decision }: Entry): boolean {
    return serving && decision.stance === 'ready'
  }

  /** The ring that knows at least half of what was found is the one that this HAProxy served, not an empty half of it. */
  #account(nowMs: number): void {
    for (const key of this.#strangers) {
      const entry = this.#entries.get(key)
      if (entry?.liveness === 'unexplained') continue
      this.#strangers.delete(key)
      if (entry === undefined) this.#found-- // its checks failed: it says nothing of the others
    }
    if (2 * this.#strangers.size <= this.#found) this.#ringKnownSinceMs ??= nowMs
  }

  /** `ip:port` → alive members that have it, whatever the pool. */
  #claims(): Map<string, Entry> {
    return new Map(
      this.entries()
        .filter(entry => entry.liveness === 'alive')
        .map(entry => [entry.endpoint, entry]),
    )
  }

  /** By pool: so many may be held out at a time, a third of it, or one. */
  #mayBeHeld(): Map<string, number> {
    const sizes = new Map<string, number>()
    for (const { server } of this.#entries.values()) addTo(sizes, server.pool, 1)
    return new Map([...sizes].map(([pool, size]) => [pool, Math.max(1, Math.floor(size / 3))]))
  }

  #serving(): Map<string, number> {
    const serving = new Map<string, number>()
    for (const entry of this.#entries.values()) if (entry.serving) addTo(serving, entry.server.pool, 1)
    return serving
  }

  /** `pool member` of those that have an endpoint which is about to take traffic. */
  #coming(): Set<string> {
    const coming = this.entries().filter(
      entry => !entry.serving && entry.liveness === 'alive' && entry.server.state !== 'draining',
    )
    return new Set(coming.map(memberKey))
  }

  #situation(entry: Entry, { heldUntilMs, claims, serving, coming }: Others): Situation {
    const { state, drainReason, pool, name } = entry.server
    const isAlive = entry.liveness === 'alive'
    const claimant = isAlive ? undefined : claims.get(entry.endpoint)?.server.name
    return {
      state,
      drainReason,
      gated: state !== 'plain' || this.gatesPlain,
      liveness: entry.liveness,
      sinceMs: entry.sinceMs,
      proven: entry.proven,
      claimedBy: claimant === name ? undefined : claimant,
      downSinceMs: entry.downSinceMs,
      shelved: entry.shelved,
      sessions: entry.sessions,
      othersServing: (serving.get(pool) ?? 0) - (entry.serving ? 1 : 0),
      ringKnownSinceMs: this.#strangers.has(entry.key) ? this.#ringKnownSinceMs : 0,
      drainingSinceMs: entry.drainingSinceMs,
      heldUntilMs,
      serving: entry.serving,
      successorComes: !isAlive && coming.has(memberKey(entry)),
    }
  }
}

/** Of the other servers, what a decision about one depends on. */
interface Others {
  readonly heldUntilMs: number | undefined
  readonly claims: ReadonlyMap<string, Entry>
  readonly serving: ReadonlyMap<string, number>
  readonly coming: ReadonlySet<string>
}

/** An entry as templates see it. */
export function placed(entry: Entry): PlacedServer {
  const { pool, name, host, ip, port, state } = entry.server
  return { pool, name, host, ip, port, weight: entry.weight, state, stance: entry.decision.stance }
}

/** Where a member has several endpoints in a pool its servers are called `member:port`; of adopted ones only that is known. */
function memberState({ name, host, port }: Server, members: MemberStates | undefined) {
  const suffix = `:${port}`
  return members?.get(name) ?? members?.get(name.endsWith(suffix) ? name.slice(0, -suffix.length) : host)
}

function memberKey({ server }: Entry): string {
  return `${server.pool} ${server.host}`
}

function addTo(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by)
}
