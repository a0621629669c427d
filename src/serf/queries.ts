import { type Address, formatAddress, ipFromBytes, type Random } from '../base/index.ts'
import { BroadcastQueue } from '../memberlist/index.ts'
import { type ReceivedQuery, type SerfEffect, warned } from './effects.ts'
import { MessageTooLargeError, ResponseRefusedError, SerfStateError } from './errors.ts'
import { encodeFilters, filtersMatch, type QueryFilters } from './filters.ts'
import { isKeyQuery } from './keys.ts'
import { LamportClock, type LTime } from './lamport.ts'
import type { SerfMember } from './member.ts'
import type { MemberTable } from './member-table.ts'
import {
  encodeSerfMessage,
  QueryFlag,
  TIMEOUT_NS_MAX,
  type QueryMessage,
  type QueryResponse,
  type Relay,
} from './messages.ts'
import { NameVote } from './name-vote.ts'
import { SEEN_TIMES, SeenQueries } from './seen.ts'

export interface QueriesConfig {
  readonly name: string
  readonly gossipIntervalMs: number
  readonly queryBytesMax: number
  readonly queryResponseBytesMax: number
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

const QUERY_TIMEOUT_MULT = 16
/**
 * We vote late in the time that there is: by then a probe has told whether the one that had the name still answers, so that
 * a container that is back elsewhere wins against its own shadow.
 */
const BALLOT_SHARE = 0.8
const BALLOTS_MAX = 64
/** Long enough for each voter to hear of the claim and to probe whoever has the name. */
const VOTE_MS_MIN = 5_000
/** After a vote in which nobody voted. */
const VOTE_AGAIN_MS = 30_000
/** memberlist understands relaying from this protocol version on. */
const RELAY_PROTOCOL = 5

interface OwnQuery {
  readonly id: number
  readonly deadlineMs: number
  readonly acks: Set<string>
  readonly responses: Set<string>
  readonly answersMax: number
}

/** Queries, ours and theirs: asked by gossip, answered to the asker directly, each once. As Serf 0.10 does it. */
export class Queries {
  readonly clock = new LamportClock()
  readonly queue = new BroadcastQueue()
  readonly #config: QueriesConfig
  readonly #members: MemberTable
  readonly #random: Random
  readonly #seen = new SeenQueries()
  readonly #own = new Map<LTime, OwnQuery>()
  #min: LTime = 0
  #vote: NameVote | undefined
  #ballots: { readonly query: ReceivedQuery; readonly name: string; readonly dueMs: number }[] = []
  #voteAgainAtMs = Number.NEGATIVE_INFINITY

  constructor(config: QueriesConfig, members: MemberTable, random: Random) {
    this.#config = config
    this.#members = members
    this.#random = random
    this.clock.increment()
  }

  /** From a snapshot: what was seen before it is not delivered again. */
  restore(ltime: LTime): void {
    this.clock.witness(ltime)
    this.#min = ltime + 1
  }

  /** @throws MessageTooLargeError, or SerfStateError before memberlist has announced us */
  send(params: QueryParams, nowMs: number): SentQuery {
    const self = this.#members.get(this.#config.name)
    if (self === undefined) throw new SerfStateError('a query needs an address to be answered at; not started yet')
    const alive = this.#members.count('alive') + this.#members.count('leaving')
    const timeoutMs =
      params.timeoutMs === undefined || params.timeoutMs <= 0 ? this.defaultTimeoutMs(alive) : params.timeoutMs
    const message = this.#messageOf(params, self, timeoutMs)
    const bytes = encodeSerfMessage(message)
    const limit = this.#config.queryBytesMax
    if (bytes.length > limit) throw new MessageTooLargeError(`query exceeds limit of ${limit} bytes`)
    const { ltime, id } = message
    const deadlineMs = nowMs + timeoutMs
    this.#own.set(ltime, { id, deadlineMs, acks: new Set(), responses: new Set(), answersMax: Math.max(alive, 1) + 16 })
    return { ltime, id, deadlineMs, effects: this.receive(message, bytes, nowMs) }
  }

  /**
   * Queries for the one node that they are sent to, which passes them on to nobody; answers are not waited for. All at one time of
   * the clock, which runs ahead of the ring's by them: who runs far ahead holds the queries of others for too old.
   * @returns none before memberlist has announced us
   */
  direct(all: readonly { readonly name: string; readonly payload: Uint8Array }[]): Uint8Array[] {
    const self = this.#members.get(this.#config.name)
    if (self === undefined) return []
    const timeoutMs = this.defaultTimeoutMs(1)
    const messages = all.map(one => ({ ...this.#messageOf(one, self, timeoutMs), flags: QueryFlag.noBroadcast }))
    this.clock.increment()
    return messages.map(encodeSerfMessage)
  }

  defaultTimeoutMs(alive: number): number {
    return this.#config.gossipIntervalMs * QUERY_TIMEOUT_MULT * Math.ceil(Math.log10(Math.max(1, alive) + 1))
  }

  /** Drops a query of our own before its deadline. */
  end(ltime: LTime): void {
    this.#own.delete(ltime)
  }

  /** Another node announces our name from another address: the ring votes on who keeps it. One vote at a time. */
  startVote(rival: Address, nowMs: number): SerfEffect[] {
    if (this.#vote !== undefined || nowMs < this.#voteAgainAtMs) return []
    const { name } = this.#config
    const alive = this.#members.count('alive') + this.#members.count('leaving')
    const timeoutMs = Math.max(VOTE_MS_MIN, this.defaultTimeoutMs(alive))
    const sent = this.send({ name: '_serf_conflict', payload: Buffer.from(name), timeoutMs }, nowMs)
    this.#vote = new NameVote(name, sent.ltime)
    const said = warned('another node claims our name; asking the others', { member: name, at: formatAddress(rival) })
    return [said, { kind: 'ask-rival', rival }, ...sent.effects]
  }

  /** The other claimant of our name has answered. */
  rivalAnswered(): void {
    this.#vote?.rivalAnswered()
  }

  /** A query, somebody's or our own: passed on, and delivered if it is meant for us. */
  receive(message: QueryMessage, body: Uint8Array, nowMs: number): SerfEffect[] {
    const { ltime, name } = message
    this.clock.witness(ltime)
    if (ltime < this.#min) return []
    if (ltime < this.clock.time() - SEEN_TIMES) return [warned('a query is too old', { name, ltime })]
    if (!this.#seen.add(ltime, message.id)) return []
    if ((message.flags & QueryFlag.noBroadcast) === 0) this.queue.add({ message: body.slice() })
    const tags = this.#members.get(this.#config.name)?.tags ?? {}
    if (!filtersMatch(message.filters, this.#config.name, tags)) return []
    const ack = (message.flags & QueryFlag.ack) === 0 ? [] : this.#ack(message)
    const owned = { ...message, addr: message.addr.slice(), payload: message.payload.slice() }
    return [
      ...ack,
      ...this.#deliver({ message: owned, deadlineMs: nowMs + message.timeoutNs / 1e6, answered: false }, nowMs),
    ]
  }

  /** An ack of, or a response to, a query of our own. */
  answered(message: QueryResponse, nowMs: number): SerfEffect[] {
    const query = this.#own.get(message.ltime)
    if (query === undefined || query.id !== message.id || nowMs > query.deadlineMs) return []
    const kind = (message.flags & QueryFlag.ack) === 0 ? 'response' : 'ack'
    const from = kind === 'ack' ? query.acks : query.responses
    if (from.has(message.from) || from.size >= query.answersMax) return []
    from.add(message.from)
    if (this.#vote?.ltime === message.ltime && kind === 'response')
      this.#vote.count(message.payload, this.#members.get(this.#config.name))
    const answer = { kind, from: message.from, payload: message.payload.slice() } as const
    return [{ kind: 'answer', ltime: message.ltime, answer }]
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

  /** A response that its sender had relayed by us. */
  forward(relay: Relay): SerfEffect[] {
    const to = addressOf(relay.addr, relay.port)
    if (to === undefined || relay.inner.length === 0) return [warned('a relay leads nowhere', {})]
    return [{ kind: 'send', to, node: relay.destName, body: relay.inner.slice() }]
  }

  /** Votes that are due, and the end of queries of our own whose deadline has passed. */
  due(nowMs: number): SerfEffect[] {
    const effects: SerfEffect[] = this.#castBallots(nowMs)
    for (const [ltime, query] of this.#own) {
      if (nowMs < query.deadlineMs) continue
      this.#own.delete(ltime)
      effects.push({ kind: 'answers-end', ltime })
      if (this.#vote?.ltime === ltime) effects.push(...this.#endVote(this.#vote, nowMs))
    }
    return effects
  }

  /** When `due` next has work; Infinity without any. */
  nextMs(): number {
    let next = Number.POSITIVE_INFINITY
    for (const { deadlineMs } of this.#own.values()) next = Math.min(next, deadlineMs)
    for (const { dueMs } of this.#ballots) next = Math.min(next, dueMs)
    return next
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
    if (this.#ballots.length >= BALLOTS_MAX) return [warned('too many votes at a time', { name })]
    const timeoutMs = query.deadlineMs - nowMs
    this.#ballots.push({ query, name, dueMs: nowMs + timeoutMs * BALLOT_SHARE })
    return []
  }

  #castBallots(nowMs: number): SerfEffect[] {
    const due = this.#ballots.filter(({ dueMs }) => dueMs <= nowMs)
    if (due.length > 0) this.#ballots = this.#ballots.filter(({ dueMs }) => dueMs > nowMs)
    return due.flatMap(({ query, name }) => {
      const bytes = NameVote.ballot(this.#members.get(name))
      const isLarge = this.encodeResponse(query.message, bytes).length > this.#config.queryResponseBytesMax
      return isLarge || nowMs > query.deadlineMs ? [] : this.respond(query, bytes, nowMs)
    })
  }

  #endVote(vote: NameVote, nowMs: number): SerfEffect[] {
    this.#vote = undefined
    const { undecided } = vote
    if (undecided !== undefined) {
      this.#voteAgainAtMs = nowMs + VOTE_AGAIN_MS
      return [warned(undecided, { member: this.#config.name })]
    }
    const lost = vote.lost()
    return lost === undefined ? [] : [{ kind: 'event', event: lost }]
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
    const members = this.#members.all()
    const chosen = new Set<SerfMember>()
    for (let draw = 0; draw < 3 * members.length && chosen.size < k; draw++) {
      const m = members[this.#random.below(members.length)] as SerfMember
      if (m.status === 'alive' && m.name !== this.#config.name && m.protocolMax >= RELAY_PROTOCOL) chosen.add(m)
    }
    return [...chosen]
  }

  #messageOf(params: QueryParams, self: SerfMember, timeoutMs: number): QueryMessage {
    return {
      type: 'query',
      ltime: this.clock.time(),
      id: this.#random.below(2 ** 31),
      addr: self.addr,
      port: self.port,
      sourceNode: self.name,
      filters: encodeFilters(params.filters ?? {}),
      flags: params.wantAck === true ? QueryFlag.ack : 0,
      relayFactor: params.relayFactor ?? 0,
      timeoutNs: Math.min(Math.round(timeoutMs * 1e6), TIMEOUT_NS_MAX),
      name: params.name,
      payload: params.payload,
    }
  }
}

function addressOf(addr: Uint8Array, port: number): Address | undefined {
  const ip = ipFromBytes(addr)
  return ip === undefined || port === 0 ? undefined : { ip, port }
}
