import { type Address, ipFromBytes, type Random } from '../base/index.ts'
import { CodecError } from '../codec/index.ts'
import { BroadcastQueue, type Member, retransmitLimit } from '../memberlist/index.ts'
import { bytesEqual, unmapped } from './bytes.ts'
import { type ReceivedQuery, type SerfEffect, warned } from './effects.ts'
import { MessageTooLargeError, ResponseRefusedError, SerfStateError } from './errors.ts'
import { encodeFilters, filtersMatch, type QueryFilters } from './filters.ts'
import { isKeyQuery } from './keys.ts'
import { LamportClock, type LTime } from './lamport.ts'
import { type SerfMember, STATUSES } from './member.ts'
import { type IntentOutcome, MemberTable } from './member-table.ts'
import {
  type ConflictResponse,
  decodeSerfMessage,
  encodeSerfMessage,
  type PushPullState,
  QueryFlag,
  type QueryMessage,
  type QueryResponse,
  type Relay,
  type SerfMessage,
  type UserEventMessage,
} from './messages.ts'
import { SEEN_TIMES, SeenEvents, SeenQueries, USER_EVENT_BYTES_MAX } from './seen.ts'

export interface SerfCoreConfig {
  readonly name: string
  /** memberlist's, of the profile. */
  readonly retransmitMult: number
  readonly gossipIntervalMs: number
  readonly reconnectIntervalMs: number
  readonly reconnectTimeoutMs: number
  readonly tombstoneTimeoutMs: number
  readonly pruneDelayMs: number
  readonly userEventBytesMax: number
  readonly queryBytesMax: number
  readonly queryResponseBytesMax: number
  /** From a snapshot: the clocks go on from there, and what was seen before it is not delivered again. */
  readonly restored?: { readonly clock: LTime; readonly eventClock: LTime; readonly queryClock: LTime }
}

export interface QueryParams {
  readonly name: string
  readonly payload: Uint8Array
  readonly filters?: QueryFilters
  readonly wantAck?: boolean
  readonly relayFactor?: number
  /** Default: gossip interval × 16 × ceil(log10(members + 1)). */
  readonly timeoutMs?: number
}

export interface SentQuery {
  readonly ltime: LTime
  readonly id: number
  readonly deadlineMs: number
  readonly effects: SerfEffect[]
}

export type SerfState = 'alive' | 'leaving' | 'left' | 'shutdown'

const REAP_INTERVAL_MS = 15_000
/** One failed member is pinged this often. */
const GREET_INTERVAL_MS = 1_000
const QUEUE_CHECK_INTERVAL_MS = 30_000
const QUEUE_DEPTH_WARNING = 128
const QUEUE_DEPTH_MAX = 4096
const QUERY_TIMEOUT_MULT = 16
/** memberlist understands relaying from this protocol version on. */
const RELAY_PROTOCOL = 5

interface OwnQuery {
  readonly id: number
  readonly deadlineMs: number
  readonly acks: Set<string>
  readonly responses: Set<string>
  readonly answersMax: number
}

interface Vote {
  readonly ltime: LTime
  responses: number
  matching: number
}

/**
 * Serf above memberlist, without I/O: what arrives and the time go in, effects come out. Everything that a peer sends is
 * decoded, bounded and dropped with a sentence when it is not what it should be; nothing a peer sends makes it throw.
 */
export class SerfCore {
  readonly #config: SerfCoreConfig
  readonly #random: Random
  readonly clock = new LamportClock()
  readonly eventClock = new LamportClock()
  readonly queryClock = new LamportClock()
  readonly #members: MemberTable
  readonly #intentQueue = new BroadcastQueue()
  readonly #queryQueue = new BroadcastQueue()
  readonly #eventQueue = new BroadcastQueue()
  readonly #seenEvents = new SeenEvents()
  readonly #seenQueries = new SeenQueries()
  readonly #own = new Map<LTime, OwnQuery>()
  #eventMin: LTime = 0
  #queryMin: LTime = 0
  #vote: Vote | undefined
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
    this.#members = new MemberTable(config.name, config)
    for (const clock of [this.clock, this.eventClock, this.queryClock]) clock.increment()
    if (config.restored !== undefined) this.#restore(config.restored)
    this.#reapAtMs = nowMs + REAP_INTERVAL_MS
    this.#reconnectAtMs = nowMs + config.reconnectIntervalMs
    this.#greetAtMs = nowMs + GREET_INTERVAL_MS
    this.#greetings = random.below(1000) // members of one ring should not all greet the same one
    this.#queueCheckAtMs = nowMs + QUEUE_CHECK_INTERVAL_MS
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
      intent_queue: String(this.#intentQueue.size),
      event_queue: String(this.#eventQueue.size),
      query_queue: String(this.#queryQueue.size),
    }
  }

  // memberlist's hooks

  memberChanged(change: 'join' | 'leave' | 'update', member: Member, nowMs: number): SerfEffect[] {
    return this.#members.changed(change, member, nowMs)
  }

  /** One user message: by gossip or sent to us. */
  receive(body: Uint8Array, nowMs: number): SerfEffect[] {
    if (body.length === 0) return []
    const message = this.#decode(body)
    if (message === undefined) return [warned('a message of Serf is malformed', { type: body[0], bytes: body.length })]
    switch (message.type) {
      case 'join':
      case 'leave':
        return this.#intent(message, body, nowMs)
      case 'userEvent':
        return this.#userEvent(message, body)
      case 'query':
        return this.#query(message, body, nowMs)
      case 'queryResponse':
        return this.#response(message, nowMs)
      case 'relay':
        return this.#forward(message)
      default:
        return [warned('a message of Serf is out of place', { type: message.type })]
    }
  }

  /** Broadcasts that wait to be spread. */
  get queued(): number {
    return this.#intentQueue.size + this.#queryQueue.size + this.#eventQueue.size
  }

  /** For memberlist's packets: intents first, then queries, then user events. */
  broadcasts(overhead: number, budget: number): Uint8Array[] {
    const limit = retransmitLimit(this.#config.retransmitMult, this.#members.size)
    const taken: Uint8Array[] = []
    let free = budget
    for (const queue of [this.#intentQueue, this.#queryQueue, this.#eventQueue]) {
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
      events: this.#seenEvents.slots(),
    })
  }

  mergeState(bytes: Uint8Array, join: boolean, nowMs: number): SerfEffect[] {
    const state = this.#decode(bytes)
    if (state?.type !== 'pushPull') return [warned('a push/pull state is malformed', { bytes: bytes.length })]
    for (const [clock, time] of this.#clocksOf(state)) if (time > 0) clock.witness(time - 1)
    const effects = this.#mergeIntents(state, nowMs)
    if (join && this.#ignoreOld) this.#eventMin = Math.max(this.#eventMin, state.eventLTime)
    for (const slot of state.events) {
      for (const event of slot?.events ?? []) {
        const message = { type: 'userEvent', ltime: slot?.ltime ?? 0, ...event, coalesce: false } as const
        effects.push(...this.#userEvent(message, encodeSerfMessage(message)))
      }
    }
    return effects
  }

  /** Another node announces our name from another address: the ring votes on who keeps it. */
  conflict(name: string, nowMs: number): SerfEffect[] {
    if (name !== this.#config.name) return [warned('two members claim one name', { member: name })]
    if (this.#vote !== undefined || this.state !== 'alive') return []
    const sent = this.sendQuery({ name: '_serf_conflict', payload: Buffer.from(name) }, nowMs)
    this.#vote = { ltime: sent.ltime, responses: 0, matching: 0 }
    return [warned('another node claims our name; asking the others', { member: name }), ...sent.effects]
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
    this.#intentQueue.add({ message: encodeSerfMessage(message) })
    return effects
  }

  /**
   * Own leave (`node` is ours, state is then leaving) or a force-leave.
   * @param transmitted called when it was sent often enough; at once when nobody else is alive
   */
  broadcastLeave(node: string, prune: boolean, nowMs: number, transmitted: () => void): SerfEffect[] {
    if (node === this.#config.name) this.state = 'leaving'
    const ltime = this.clock.time()
    this.clock.increment()
    const message = { type: 'leave', ltime, node, prune } as const
    this.clock.witness(ltime)
    // Asked before the intent applies: with two members Serf asks after it, and its target never hears and refutes.
    const isHeard = this.hasOtherAlive()
    const outcome = this.#members.leaveIntent(node, ltime, prune, this.state === 'alive', nowMs)
    if (outcome.refute === true) {
      transmitted()
      return this.broadcastJoin(nowMs)
    }
    if (isHeard) this.#intentQueue.add({ message: encodeSerfMessage(message), done: transmitted })
    else transmitted()
    return outcome.effects
  }

  /** @throws MessageTooLargeError */
  sendUserEvent(name: string, payload: Uint8Array, coalesce: boolean): SerfEffect[] {
    const limit = this.#config.userEventBytesMax
    if (Buffer.byteLength(name) + payload.length > limit) {
      throw new MessageTooLargeError(`user event exceeds configured limit of ${limit} bytes before encoding`)
    }
    const message = { type: 'userEvent', ltime: this.eventClock.time(), name, payload, coalesce } as const
    const bytes = encodeSerfMessage(message)
    if (bytes.length > limit) {
      throw new MessageTooLargeError(`encoded user event exceeds configured limit of ${limit} bytes after encoding`)
    }
    this.eventClock.increment()
    return this.#userEvent(message, bytes)
  }

  /** @throws MessageTooLargeError, or SerfStateError before memberlist has announced us */
  sendQuery(params: QueryParams, nowMs: number): SentQuery {
    const self = this.member(this.#config.name)
    if (self === undefined) throw new SerfStateError('a query needs an address to be answered at; not started yet')
    const alive = this.#members.count('alive') + this.#members.count('leaving')
    const timeoutMs =
      params.timeoutMs === undefined || params.timeoutMs <= 0 ? this.defaultQueryTimeoutMs(alive) : params.timeoutMs
    const message = this.#queryMessage(params, self, timeoutMs)
    const bytes = encodeSerfMessage(message)
    const limit = this.#config.queryBytesMax
    if (bytes.length > limit) throw new MessageTooLargeError(`query exceeds limit of ${limit} bytes`)
    const { ltime, id } = message
    const deadlineMs = nowMs + timeoutMs
    this.#own.set(ltime, { id, deadlineMs, acks: new Set(), responses: new Set(), answersMax: Math.max(alive, 1) + 16 })
    return { ltime, id, deadlineMs, effects: this.#query(message, bytes, nowMs) }
  }

  defaultQueryTimeoutMs(alive: number): number {
    return this.#config.gossipIntervalMs * QUERY_TIMEOUT_MULT * Math.ceil(Math.log10(Math.max(1, alive) + 1))
  }

  /** Drops a query of our own before its deadline. */
  endQuery(ltime: LTime): void {
    this.#own.delete(ltime)
  }

  /** @throws MessageTooLargeError or ResponseRefusedError */
  respond(query: ReceivedQuery, payload: Uint8Array, nowMs: number): SerfEffect[] {
    const bytes = this.encodeResponse(query.message, payload)
    const limit = this.#config.queryResponseBytesMax
    if (bytes.length > limit) throw new MessageTooLargeError(`response exceeds limit of ${limit} bytes`)
    if (query.answered) throw new ResponseRefusedError('response already sent')
    if (nowMs > query.deadlineMs) throw new ResponseRefusedError('response is past the deadline')
    query.answered = true
    return this.#answer(query.message, bytes)
  }

  /** The response as it would be sent, to see whether it fits. */
  encodeResponse(query: QueryMessage, payload: Uint8Array, flags = 0): Uint8Array {
    const { ltime, id } = query
    return encodeSerfMessage({ type: 'queryResponse', ltime, id, from: this.#config.name, flags, payload })
  }

  /** Everything due by `nowMs`. Calling early, late or twice is safe. */
  tick(nowMs: number): SerfEffect[] {
    const effects = [...this.#members.prunesDue(nowMs), ...this.#endQueries(nowMs)]
    if (nowMs >= this.#reapAtMs) {
      this.#reapAtMs = nowMs + REAP_INTERVAL_MS
      effects.push(...this.#members.reap(nowMs))
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
    const deadlines = [...this.#own.values()].map(query => query.deadlineMs)
    const prune = this.#members.nextPruneMs() ?? Number.POSITIVE_INFINITY
    const greet = this.#greets() ? this.#greetAtMs : Number.POSITIVE_INFINITY
    return Math.min(this.#reapAtMs, this.#reconnectAtMs, greet, this.#queueCheckAtMs, prune, ...deadlines)
  }

  #greets(): boolean {
    return this.state === 'alive' && this.#members.count('failed') > 0
  }

  #restore(restored: NonNullable<SerfCoreConfig['restored']>): void {
    this.clock.witness(restored.clock)
    this.eventClock.witness(restored.eventClock)
    this.queryClock.witness(restored.queryClock)
    this.#eventMin = restored.eventClock + 1
    this.#queryMin = restored.queryClock + 1
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
      effects.push(...this.#applyIntent({ type: 'leave', ltime, node, prune: false }, nowMs).effects)
    }
    for (const [node, ltime] of state.statusLTimes) {
      if (!left.has(node)) effects.push(...this.#applyIntent({ type: 'join', ltime, node }, nowMs).effects)
    }
    return effects
  }

  #intent(message: SerfMessage & { type: 'join' | 'leave' }, body: Uint8Array, nowMs: number): SerfEffect[] {
    const outcome = this.#applyIntent(message, nowMs)
    if (outcome.rebroadcast) this.#intentQueue.add({ message: body.slice() })
    return outcome.effects
  }

  #applyIntent(message: SerfMessage & { type: 'join' | 'leave' }, nowMs: number): IntentOutcome {
    const { node, ltime } = message
    this.clock.witness(ltime)
    if (message.type === 'join') return this.#members.joinIntent(node, ltime, nowMs)
    const outcome = this.#members.leaveIntent(node, ltime, message.prune, this.state === 'alive', nowMs)
    return outcome.refute === true ? { effects: this.broadcastJoin(nowMs), rebroadcast: false } : outcome
  }

  #userEvent(message: UserEventMessage, body: Uint8Array): SerfEffect[] {
    const { ltime, name, coalesce } = message
    this.eventClock.witness(ltime)
    if (ltime < this.#eventMin) return []
    if (ltime < this.eventClock.time() - SEEN_TIMES) return [warned('a user event is too old', { name, ltime })]
    if (body.length > USER_EVENT_BYTES_MAX) return [warned('a user event is too large', { bytes: body.length })]
    if (!this.#seenEvents.add(ltime, name, message.payload)) return []
    this.#eventQueue.add({ message: body.slice() })
    return [{ kind: 'event', event: { kind: 'user', name, payload: message.payload.slice(), ltime, coalesce } }]
  }

  #query(message: QueryMessage, body: Uint8Array, nowMs: number): SerfEffect[] {
    const { ltime, name } = message
    this.queryClock.witness(ltime)
    if (ltime < this.#queryMin) return []
    if (ltime < this.queryClock.time() - SEEN_TIMES) return [warned('a query is too old', { name, ltime })]
    if (!this.#seenQueries.add(ltime, message.id)) return []
    if ((message.flags & QueryFlag.noBroadcast) === 0) this.#queryQueue.add({ message: body.slice() })
    const tags = this.member(this.#config.name)?.tags ?? {}
    if (!filtersMatch(message.filters, this.#config.name, tags)) return []
    const ack = (message.flags & QueryFlag.ack) === 0 ? [] : this.#ack(message)
    const owned = { ...message, addr: message.addr.slice(), payload: message.payload.slice() }
    return [
      ...ack,
      ...this.#deliver({ message: owned, deadlineMs: nowMs + message.timeoutNs / 1e6, answered: false }, nowMs),
    ]
  }

  #ack(message: QueryMessage): SerfEffect[] {
    return this.#answer(message, this.encodeResponse(message, new Uint8Array(0), QueryFlag.ack))
  }

  #deliver(query: ReceivedQuery, nowMs: number): SerfEffect[] {
    const { name, ltime, payload } = query.message
    if (!name.startsWith('_serf_')) return [{ kind: 'query', query }]
    const seen: SerfEffect = { kind: 'internal-query', ltime }
    if (name === '_serf_ping') return [seen]
    if (name === '_serf_conflict') return [seen, ...this.#answerConflict(query, nowMs)]
    if (isKeyQuery(name)) return [seen, { kind: 'key-query', query }]
    return [seen, warned('an internal query is unknown', { name, bytes: payload.length })]
  }

  #answerConflict(query: ReceivedQuery, nowMs: number): SerfEffect[] {
    const name = Buffer.from(query.message.payload).toString()
    if (name === this.#config.name) return []
    const bytes = encodeSerfMessage(this.#conflictResponse(name))
    if (this.encodeResponse(query.message, bytes).length > this.#config.queryResponseBytesMax) return []
    return this.respond(query, bytes, nowMs)
  }

  #conflictResponse(name: string): ConflictResponse {
    const m = this.member(name)
    if (m === undefined) return { type: 'conflictResponse', member: undefined }
    const versions = [m.protocolMin, m.protocolMax, m.protocolCur, m.delegateMin, m.delegateMax, m.delegateCur] as const
    const status = STATUSES.indexOf(m.status)
    return { type: 'conflictResponse', member: { name, addr: m.addr, port: m.port, tags: m.tags, status, versions } }
  }

  /** To the asker, and by way of others if it asked for that. */
  #answer(query: QueryMessage, bytes: Uint8Array): SerfEffect[] {
    const to = addressOf(query.addr, query.port)
    if (to === undefined) return [warned('a query has no address to answer', { name: query.name })]
    return [{ kind: 'send', to, node: query.sourceNode, body: bytes }, ...this.#relay(query, bytes)]
  }

  #relay(query: QueryMessage, inner: Uint8Array): SerfEffect[] {
    const k = query.relayFactor
    if (k === 0 || this.#members.size < k + 1) return []
    const { addr, port, sourceNode } = query
    const body = encodeSerfMessage({ type: 'relay', addr, port, zone: '', destName: sourceNode, inner })
    if (body.length > this.#config.queryResponseBytesMax) return [warned('a relayed response is too large', {})]
    return this.#relays(k).map(m => ({ kind: 'send', to: { ip: m.ip, port: m.port }, node: m.name, body }))
  }

  #relays(k: number): SerfMember[] {
    const members = this.members()
    const chosen = new Set<SerfMember>()
    for (let draw = 0; draw < 3 * members.length && chosen.size < k; draw++) {
      const m = members[this.#random.below(members.length)] as SerfMember
      if (m.status === 'alive' && m.name !== this.#config.name && m.protocolMax >= RELAY_PROTOCOL) chosen.add(m)
    }
    return [...chosen]
  }

  #forward(relay: Relay): SerfEffect[] {
    const to = addressOf(relay.addr, relay.port)
    if (to === undefined || relay.inner.length === 0) return [warned('a relay leads nowhere', {})]
    return [{ kind: 'send', to, node: relay.destName, body: relay.inner.slice() }]
  }

  #response(message: QueryResponse, nowMs: number): SerfEffect[] {
    const query = this.#own.get(message.ltime)
    if (query === undefined || query.id !== message.id || nowMs > query.deadlineMs) return []
    const kind = (message.flags & QueryFlag.ack) === 0 ? 'response' : 'ack'
    const from = kind === 'ack' ? query.acks : query.responses
    if (from.has(message.from) || from.size >= query.answersMax) return []
    from.add(message.from)
    if (this.#vote?.ltime === message.ltime && kind === 'response') this.#countVote(this.#vote, message.payload)
    const answer = { kind, from: message.from, payload: message.payload.slice() } as const
    return [{ kind: 'answer', ltime: message.ltime, answer }]
  }

  #countVote(vote: Vote, payload: Uint8Array): void {
    const answer = this.#decode(payload)
    const self = this.member(this.#config.name)
    if (answer?.type !== 'conflictResponse' || self === undefined) return
    vote.responses++
    const claim = answer.member
    if (claim?.port === self.port && bytesEqual(unmapped(claim.addr), unmapped(self.addr))) vote.matching++
  }

  #endQueries(nowMs: number): SerfEffect[] {
    const effects: SerfEffect[] = []
    for (const [ltime, query] of this.#own) {
      if (nowMs < query.deadlineMs) continue
      this.#own.delete(ltime)
      effects.push({ kind: 'answers-end', ltime })
      if (this.#vote?.ltime === ltime) effects.push(...this.#endVote(this.#vote))
    }
    return effects
  }

  /** A majority of those who answered must know the name at our address; with no answers there is none. */
  #endVote(vote: Vote): SerfEffect[] {
    this.#vote = undefined
    const { responses, matching } = vote
    if (matching >= Math.floor(responses / 2) + 1) return []
    return [{ kind: 'event', event: { kind: 'conflict-lost', name: this.#config.name, responses, matching } }]
  }

  #checkQueues(): SerfEffect[] {
    const effects: SerfEffect[] = []
    const queues = { intent: this.#intentQueue, query: this.#queryQueue, event: this.#eventQueue }
    for (const [queue, { size }] of Object.entries(queues)) {
      if (size >= QUEUE_DEPTH_WARNING) effects.push(warned('a broadcast queue is deep', { queue, depth: size }))
    }
    for (const queue of Object.values(queues)) queue.prune(QUEUE_DEPTH_MAX)
    return effects
  }

  #queryMessage(params: QueryParams, self: SerfMember, timeoutMs: number): QueryMessage {
    return {
      type: 'query',
      ltime: this.queryClock.time(),
      id: this.#random.below(2 ** 31),
      addr: self.addr,
      port: self.port,
      sourceNode: self.name,
      filters: encodeFilters(params.filters ?? {}),
      flags: params.wantAck === true ? QueryFlag.ack : 0,
      relayFactor: params.relayFactor ?? 0,
      timeoutNs: Math.round(timeoutMs * 1e6),
      name: params.name,
      payload: params.payload,
    }
  }
}

function addressOf(addr: Uint8Array, port: number): Address | undefined {
  const ip = ipFromBytes(addr)
  return ip === undefined || port === 0 ? undefined : { ip, port }
}
