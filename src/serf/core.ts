import type { Address, Random } from '../base/index.ts'
import { CodecError } from '../codec/index.ts'
import { BroadcastQueue, type Member, retransmitLimit } from '../memberlist/index.ts'
import { type Coordinate, decodePingPayload, encodePingPayload } from './coordinate.ts'
import { Coordinates } from './coordinates.ts'
import { type ReceivedQuery, type SerfEffect, warned } from './effects.ts'
import { isKeyQuery } from './keys.ts'
import { LamportClock, type LTime } from './lamport.ts'
import type { SerfMember } from './member.ts'
import { type IntentOutcome, MemberTable } from './member-table.ts'
import {
  decodeSerfMessage,
  encodeSerfMessage,
  type PushPullState,
  type QueryMessage,
  type SerfMessage,
} from './messages.ts'
import { Queries, type QueriesConfig, type QueryParams, type SentQuery } from './queries.ts'
import { UserEvents } from './user-events.ts'

export interface SerfCoreConfig extends QueriesConfig {
  /** memberlist's, of the profile. */
  readonly retransmitMult: number
  readonly reconnectIntervalMs: number
  readonly reconnectTimeoutMs: number
  readonly tombstoneTimeoutMs: number
  readonly pruneDelayMs: number
  readonly userEventBytesMax: number
  /** A vote on who keeps our name when another node claims it. Default true. */
  readonly resolveConflicts?: boolean
  /** No coordinate on acks, none kept. Default false. */
  readonly disableCoordinates?: boolean
  /** From a snapshot: the clocks go on from there, and what was seen before it is not delivered again. */
  readonly restored?: { readonly clock: LTime; readonly eventClock: LTime; readonly queryClock: LTime }
}

export type SerfState = 'alive' | 'leaving' | 'left' | 'shutdown'

const REAP_INTERVAL_MS = 15_000
/** One failed member is pinged this often. */
const GREET_INTERVAL_MS = 1_000
const QUEUE_CHECK_INTERVAL_MS = 30_000
const QUEUE_DEPTH_WARNING = 128
const QUEUE_DEPTH_MAX = 4096

/**
 * Serf above memberlist, without I/O: what arrives and the time go in, effects come out. Everything that a peer sends is
 * decoded, bounded and dropped with a sentence when it is not what it should be; nothing a peer sends makes it throw.
 */
export class SerfCore {
  readonly #config: SerfCoreConfig
  readonly #random: Random
  readonly clock = new LamportClock()
  readonly #members: MemberTable
  readonly #intents = new BroadcastQueue()
  readonly #queries: Queries
  readonly #events: UserEvents
  readonly #coordinates: Coordinates | undefined
  #ignoreOld = false
  #reapAtMs: number
  #reconnectAtMs: number
  #greetAtMs: number
  #greetings: number
  #queueCheckAtMs: number
  state: SerfState = 'alive'

  constructor(config: SerfCoreConfig, random: Random, nowMs: number) {
    this.#config = config
    this.#random = random
    this.clock.increment()
    this.#members = new MemberTable(config.name, config)
    this.#queries = new Queries(config, this.#members, random)
    this.#events = new UserEvents(config.userEventBytesMax)
    this.#coordinates = config.disableCoordinates === true ? undefined : new Coordinates(random)
    if (config.restored !== undefined) this.#restore(config.restored)
    this.#reapAtMs = nowMs + REAP_INTERVAL_MS
    this.#reconnectAtMs = nowMs + config.reconnectIntervalMs
    this.#greetAtMs = nowMs + GREET_INTERVAL_MS
    this.#greetings = random.below(1000) // members of one ring should not all greet the same one
    this.#queueCheckAtMs = nowMs + QUEUE_CHECK_INTERVAL_MS
  }

  get eventClock(): LamportClock {
    return this.#events.clock
  }

  get queryClock(): LamportClock {
    return this.#queries.clock
  }

  members(): SerfMember[] {
    return this.#members.all()
  }

  member(name: string): SerfMember | undefined {
    return this.#members.get(name)
  }

  hasOtherAlive(): boolean {
    return this.#members.hasOtherAlive()
  }

  /** Serf's statistics that the core knows, as text. */
  stats(): Record<string, string> {
    return {
      members: String(this.#members.size),
      failed: String(this.#members.count('failed')),
      left: String(this.#members.count('left')),
      member_time: String(this.clock.time()),
      event_time: String(this.eventClock.time()),
      query_time: String(this.queryClock.time()),
      intent_queue: String(this.#intents.size),
      event_queue: String(this.#events.queue.size),
      query_queue: String(this.#queries.queue.size),
      ...(this.#coordinates === undefined ? {} : { coordinate_resets: String(this.#coordinates.resets) }),
    }
  }

  /** Where a member stands, ourselves included; undefined when unknown, never measured, or without coordinates. */
  coordinate(name: string): Coordinate | undefined {
    return name === this.#config.name ? this.#coordinates?.own : this.#coordinates?.of(name)
  }

  // memberlist's hooks

  memberChanged(change: 'join' | 'leave' | 'update', member: Member, nowMs: number): SerfEffect[] {
    const effects = this.#members.changed(change, member, nowMs)
    return change === 'join' ? [...effects, ...this.#askWhetherItLeaves(member.name)] : effects
  }

  /** What our acks carry. */
  ackPayload(): Uint8Array | undefined {
    return this.#coordinates === undefined ? undefined : encodePingPayload(this.#coordinates.own)
  }

  /** A direct ping was answered. */
  pingDone(name: string, rttMs: number, payload: Uint8Array | undefined): SerfEffect[] {
    if (this.#coordinates === undefined || payload === undefined || payload.length === 0) return []
    if (this.#members.get(name) === undefined) return [] // nobody would forget it again
    const other = readPayload(payload)
    if (other !== undefined && this.#coordinates.observe(name, other, rttMs / 1000)) return []
    return [warned('a coordinate of a member is refused', { member: name, rttMs, bytes: payload.length })]
  }

  /**
   * One user message: by gossip or sent to us.
   * @param isStale its sender has but a removed key: a recording of its packets, or of those that were sealed for it, must not
   *   bring keys back
   */
  receive(body: Uint8Array, nowMs: number, isStale = false): SerfEffect[] {
    if (body.length === 0) return []
    const message = this.#decode(body)
    if (message === undefined) return [warned('a message of Serf is malformed', { type: body[0], bytes: body.length })]
    switch (message.type) {
      case 'join':
      case 'leave':
        return this.#intent(message, body, nowMs)
      case 'userEvent':
        return this.#events.receive(message, body)
      case 'query':
        return isStale && isKeyQuery(message.name) ? [] : this.#queries.receive(message, body, nowMs)
      case 'queryResponse':
        return this.#queries.answered(message, nowMs)
      case 'relay':
        return isStale ? [] : this.#queries.forward(message)
      default:
        return [warned('a message of Serf is out of place', { type: message.type })]
    }
  }

  /** Broadcasts that wait to be spread. */
  get queued(): number {
    return this.#intents.size + this.#queries.queue.size + this.#events.queue.size
  }

  /** For memberlist's packets: intents first, then queries, then user events. */
  broadcasts(overhead: number, budget: number): Uint8Array[] {
    const limit = retransmitLimit(this.#config.retransmitMult, this.#members.size)
    const taken: Uint8Array[] = []
    let free = budget
    for (const queue of [this.#intents, this.#queries.queue, this.#events.queue]) {
      const messages = queue.fill(overhead, free, limit)
      for (const message of messages) free -= message.length + overhead
      taken.push(...messages)
    }
    return taken
  }

  localState(): Uint8Array {
    const members = this.members()
    return encodeSerfMessage({
      type: 'pushPull',
      ltime: this.clock.time(),
      eventLTime: this.eventClock.time(),
      queryLTime: this.queryClock.time(),
      leftMembers: members.filter(member => member.status === 'left').map(member => member.name),
      statusLTimes: new Map(members.map(member => [member.name, member.statusLTime])),
      events: this.#events.recent(),
    })
  }

  mergeState(bytes: Uint8Array, join: boolean, nowMs: number): SerfEffect[] {
    const state = this.#decode(bytes)
    if (state?.type !== 'pushPull') return [warned('a push/pull state is malformed', { bytes: bytes.length })]
    for (const [clock, time] of this.#clocksOf(state)) if (time > 0) clock.witness(time - 1)
    const effects = this.#mergeIntents(state, nowMs)
    if (join && this.#ignoreOld) this.#events.ignoreBefore(state.eventLTime)
    return [...effects, ...this.#events.merge(state.events)]
  }

  /** Another node announces a name, maybe ours, from the address `rival`. */
  conflict(name: string, rival: Address, nowMs: number): SerfEffect[] {
    if (name !== this.#config.name) return [warned('two members claim one name', { member: name })]
    if (this.#config.resolveConflicts === false)
      return [warned('another node claims our name; no vote', { member: name })]
    return this.state === 'alive' ? this.#queries.startVote(rival, nowMs) : []
  }

  /** Whoever claims our name is there. */
  rivalAnswered(): void {
    this.#queries.rivalAnswered()
  }

  // own operations

  /** While set, a join's push/pull raises the time below which user events count as old. */
  ignoreOld(ignore: boolean): void {
    this.#ignoreOld = ignore
  }

  /** After a join that reached somebody. */
  broadcastJoin(nowMs: number): SerfEffect[] {
    const message = { type: 'join', ltime: this.clock.time(), node: this.#config.name } as const
    this.clock.witness(message.ltime)
    const { effects } = this.#members.joinIntent(message.node, message.ltime, nowMs)
    this.#intents.add({ message: encodeSerfMessage(message) })
    return effects
  }

  /**
   * Own leave (`node` is ours, state is then leaving) or a force-leave.
   * @param options.tell members that hear it directly as well
   * @param options.transmitted called when it was sent often enough; at once when nobody else is alive
   */
  broadcastLeave(
    node: string,
    nowMs: number,
    options: { prune: boolean; tell: readonly string[]; transmitted: () => void },
  ): SerfEffect[] {
    const { prune, tell, transmitted } = options
    if (node === this.#config.name) this.state = 'leaving'
    const ltime = this.clock.time()
    this.clock.increment()
    const body = encodeSerfMessage({ type: 'leave', ltime, node, prune })
    this.clock.witness(ltime)
    // Asked before the intent applies: with two members Serf asks after it, and its target never hears and refutes.
    const isHeard = this.hasOtherAlive()
    const outcome = this.#members.leaveIntent(node, ltime, prune, this.state === 'alive', nowMs)
    this.#forgetting(outcome.effects)
    if (outcome.refute === true) {
      transmitted()
      return this.broadcastJoin(nowMs)
    }
    if (isHeard) this.#intents.add({ message: body, done: transmitted })
    else transmitted()
    return [...outcome.effects, ...(tell.length === 0 ? [] : [{ kind: 'tell', nodes: tell, body } as const])]
  }

  /** @throws MessageTooLargeError */
  sendUserEvent(name: string, payload: Uint8Array, coalesce: boolean): SerfEffect[] {
    return this.#events.send(name, payload, coalesce)
  }

  /** @throws MessageTooLargeError, or SerfStateError before memberlist has announced us */
  sendQuery(params: QueryParams, nowMs: number): SentQuery {
    return this.#queries.send(params, nowMs)
  }

  /** Queries for one node alone, which passes them on to nobody; none before memberlist has announced us. */
  directQueries(all: readonly { readonly name: string; readonly payload: Uint8Array }[]): Uint8Array[] {
    return this.#queries.direct(all)
  }

  /** Drops a query of our own before its deadline. */
  endQuery(ltime: LTime): void {
    this.#queries.end(ltime)
  }

  /** @throws MessageTooLargeError or ResponseRefusedError */
  respond(query: ReceivedQuery, payload: Uint8Array, nowMs: number): SerfEffect[] {
    return this.#queries.respond(query, payload, nowMs)
  }

  /** The response as it would be sent, to see whether it fits. */
  encodeResponse(query: QueryMessage, payload: Uint8Array): Uint8Array {
    return this.#queries.encodeResponse(query, payload)
  }

  /** Everything due by `nowMs`. Calling early, late or twice is safe. */
  tick(nowMs: number): SerfEffect[] {
    const effects = [
      ...this.#forgetting(this.#members.prunesDue(nowMs)),
      ...this.#members.releasesDue(nowMs),
      ...this.#queries.due(nowMs),
    ]
    if (nowMs >= this.#reapAtMs) {
      this.#reapAtMs = nowMs + REAP_INTERVAL_MS
      effects.push(...this.#forgetting(this.#members.reap(nowMs)))
    }
    if (nowMs >= this.#reconnectAtMs) {
      this.#reconnectAtMs = nowMs + this.#config.reconnectIntervalMs
      if (this.state === 'alive') effects.push(...this.#members.reconnect(this.#random))
    }
    if (nowMs >= this.#greetAtMs && this.#greets()) {
      this.#greetAtMs = nowMs + GREET_INTERVAL_MS
      effects.push(...this.#members.greet(this.#greetings++))
    }
    if (nowMs >= this.#queueCheckAtMs) {
      this.#queueCheckAtMs = nowMs + QUEUE_CHECK_INTERVAL_MS
      effects.push(...this.#checkQueues())
    }
    return effects
  }

  nextTickMs(): number {
    const prune = this.#members.nextPruneMs() ?? Number.POSITIVE_INFINITY
    const greet = this.#greets() ? this.#greetAtMs : Number.POSITIVE_INFINITY
    const own = Math.min(this.#reapAtMs, this.#reconnectAtMs, this.#queueCheckAtMs)
    return Math.min(own, greet, prune, this.#members.nextReleaseMs(), this.#queries.nextMs())
  }

  /** Whom the member table has dropped has no coordinate either. */
  #forgetting(effects: SerfEffect[]): SerfEffect[] {
    for (const effect of effects) {
      if (effect.kind !== 'event' || effect.event.kind !== 'member-reap') continue
      for (const { name } of effect.event.members) this.#coordinates?.forget(name)
    }
    return effects
  }

  #greets(): boolean {
    return this.state === 'alive' && this.#members.hasFailed()
  }

  #restore(restored: NonNullable<SerfCoreConfig['restored']>): void {
    this.clock.witness(restored.clock)
    this.#events.restore(restored.eventClock)
    this.#queries.restore(restored.queryClock)
  }

  #decode(body: Uint8Array): SerfMessage | undefined {
    try {
      return decodeSerfMessage(body)
    } catch (failure) {
      if (failure instanceof CodecError) return undefined
      throw failure
    }
  }

  #clocksOf(state: PushPullState): [LamportClock, LTime][] {
    return [
      [this.clock, state.ltime],
      [this.eventClock, state.eventLTime],
      [this.queryClock, state.queryLTime],
    ]
  }

  #mergeIntents(state: PushPullState, nowMs: number): SerfEffect[] {
    const effects: SerfEffect[] = []
    const left = new Set(state.leftMembers)
    for (const node of left) {
      const ltime = Math.min((state.statusLTimes.get(node) ?? 0) + 1, Number.MAX_SAFE_INTEGER)
      const outcome = this.#applyIntent({ type: 'leave', ltime, node, prune: false }, nowMs)
      effects.push(...outcome.effects)
      if (outcome.rebroadcast) effects.push(...this.#askWhetherItLeaves(node))
    }
    for (const [node, ltime] of state.statusLTimes) {
      if (!left.has(node)) effects.push(...this.#applyIntent({ type: 'join', ltime, node }, nowMs).effects)
    }
    return effects
  }

  /**
   * Tells a member of its own leave, which came with a peer's list. Serf keeps it to itself. But a peer can remember the leave
   * of a member that is back, and whoever believes that holds the member for leaving for good: others, who know better, drop
   * the leave. The member itself refutes it.
   */
  #askWhetherItLeaves(node: string): SerfEffect[] {
    const member = this.#members.get(node)
    if (member?.status !== 'leaving' || node === this.#config.name) return []
    const { statusLTime: ltime } = member
    return [{ kind: 'tell', nodes: [node], body: encodeSerfMessage({ type: 'leave', ltime, node, prune: false }) }]
  }

  #intent(message: SerfMessage & { type: 'join' | 'leave' }, body: Uint8Array, nowMs: number): SerfEffect[] {
    const outcome = this.#applyIntent(message, nowMs)
    if (outcome.rebroadcast) this.#intents.add({ message: body.slice() })
    return outcome.effects
  }

  #applyIntent(message: SerfMessage & { type: 'join' | 'leave' }, nowMs: number): IntentOutcome {
    const { node, ltime } = message
    this.clock.witness(ltime)
    if (message.type === 'join') return this.#members.joinIntent(node, ltime, nowMs)
    const outcome = this.#members.leaveIntent(node, ltime, message.prune, this.state === 'alive', nowMs)
    this.#forgetting(outcome.effects)
    return outcome.refute === true ? { effects: this.broadcastJoin(nowMs), rebroadcast: false } : outcome
  }

  #checkQueues(): SerfEffect[] {
    const effects: SerfEffect[] = []
    const queues = { intent: this.#intents, query: this.#queries.queue, event: this.#events.queue }
    for (const [queue, { size }] of Object.entries(queues)) {
      if (size >= QUEUE_DEPTH_WARNING) effects.push(warned('a broadcast queue is deep', { queue, depth: size }))
    }
    for (const queue of Object.values(queues)) queue.prune(QUEUE_DEPTH_MAX)
    return effects
  }
}

function readPayload(payload: Uint8Array): Coordinate | undefined {
  try {
    return decodePingPayload(payload)
  } catch (failure) {
    if (failure instanceof CodecError) return undefined
    throw failure
  }
}
