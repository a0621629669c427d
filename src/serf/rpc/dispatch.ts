import { type Clock, type Log, messageOf } from '../../base/index.ts'
import type { QueryEvent, SerfEvent } from '../events.ts'
import { type EventFilter, EventFilterError, matchesFilter, parseEventFilters } from '../event-filter.ts'
import type { RpcBackend, RpcJoinResult, RpcQueryAnswers } from './backend.ts'
import { filterMembers } from './filter.ts'
import type { KeyAnswers, KeyOperation } from '../key-requests.ts'
import { joinErrors } from '../join-words.ts'
import { lineFilter } from './monitor.ts'
import {
  bytesOrNil,
  coordinateAnswer,
  encodeRecord,
  eventRecord,
  keyRecord,
  memberRecord,
  type Seq,
} from './records.ts'
import { answerHeader, type QueryRequest, type RpcRequest } from './session.ts'

/** What goes back for one request. */
export interface Answer {
  readonly bytes: Uint8Array
  /** To be called once `bytes` are on their way: what pushes records with the same Seq must not overtake the answer. */
  readonly afterwards?: () => void
}

/** How a connection writes records nobody asked for just now; false when its reader is too slow and the record was dropped. */
export type Push = (bytes: Uint8Array) => boolean

/**
 * Performs one connection's requests on the agent, and owns what lasts longer than an answer: its streams, the handles of
 * queries it may answer, and its running queries. Nothing of it touches a socket.
 */
export class RpcDispatcher {
  readonly #backend: RpcBackend
  readonly #clock: Clock
  readonly #log: Log
  readonly #push: Push
  readonly #streams = new Map<string, { readonly seq: Seq; readonly filters: readonly EventFilter[] }>()
  readonly #handles = new Map<string, QueryEvent>()
  readonly #queries = new Set<RpcQueryAnswers>()
  #monitored: { readonly seq: Seq; end?: () => void } | undefined
  #lastHandle = 0
  #dropped = 0
  #ended = false
  #unsubscribe: (() => void) | undefined

  constructor(backend: RpcBackend, deps: { readonly clock: Clock; readonly log: Log }, push: Push) {
    this.#backend = backend
    this.#clock = deps.clock
    this.#log = deps.log
    this.#push = push
  }

  /**
   * Rejects only when the connection has to be closed without an answer (an expression that does not compile); the failure of
   * an operation is an answer.
   */
  async perform(request: RpcRequest): Promise<Answer> {
    switch (request.command) {
      case 'members':
        return membersAnswer(request.seq, this.#backend.members().map(memberRecord))
      case 'members-filtered':
        return membersAnswer(request.seq, filterMembers(this.#backend.members(), request).map(memberRecord))
      case 'stats':
        return answered(request.seq, '', encodeRecord(this.#backend.stats()))
      case 'join':
        return this.#join(request.seq, request.addresses, request.replay)
      case 'leave':
        return this.#leave(request.seq)
      case 'stream':
        return this.#stream(request.seq, request.filters)
      case 'query':
        return this.#query(request)
      case 'monitor':
        return this.#monitor(request.seq, request.level)
      case 'get-coordinate':
        return answered(request.seq, '', coordinateAnswer(this.#backend.coordinate?.(request.node)))
      case 'list-keys':
        return this.#keys(request.seq, 'list', '')
      case 'install-key':
        return this.#keys(request.seq, 'install', request.key)
      case 'use-key':
        return this.#keys(request.seq, 'use', request.key)
      case 'remove-key':
        return this.#keys(request.seq, 'remove', request.key)
      default:
        return { bytes: answerHeader(request.seq, await failureOf(() => this.#act(request))) }
    }
  }

  /** Ends streams and running queries; idempotent. */
  end(): void {
    this.#ended = true
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
    this.#endMonitor()
    this.#streams.clear()
    this.#handles.clear()
    for (const query of this.#queries) this.#endQuery(query)
  }

  /** What is answered by a bare header. */
  async #act(
    request: Extract<RpcRequest, { command: 'event' | 'force-leave' | 'tags' | 'stop' | 'respond' }>,
  ): Promise<void> {
    switch (request.command) {
      case 'event':
        return this.#backend.userEvent(request.name, request.payload, request.coalesce)
      case 'force-leave':
        return this.#backend.forceLeave(request.node, request.prune)
      case 'tags':
        return this.#setTags(request.set, request.remove)
      case 'stop':
        return this.#stopStream(request.stop)
      case 'respond':
        return this.#respond(request.handle, request.payload)
    }
  }

  async #join(seq: Seq, addresses: readonly string[], replay: boolean): Promise<Answer> {
    let result: RpcJoinResult = { contacted: 0, errors: [] }
    const failure = await failureOf(async () => {
      result = await this.#backend.join(addresses, { ignoreOld: !replay })
    })
    const error = failure === '' && result.contacted === 0 ? joinErrors(result) : failure
    return answered(seq, error, encodeRecord({ Num: result.contacted }))
  }

  async #leave(seq: Seq): Promise<Answer> {
    const error = await failureOf(() => this.#backend.leave())
    return { bytes: answerHeader(seq, error), afterwards: () => this.#backend.afterLeave?.() }
  }

  #setTags(set: ReadonlyMap<string, string>, remove: readonly string[]): Promise<void> {
    const tags = new Map(Object.entries(this.#backend.tags()))
    for (const key of remove) tags.delete(key)
    for (const [key, value] of set) tags.set(key, value)
    return this.#backend.setTags(Object.fromEntries(tags))
  }

  #stream(seq: Seq, text: string): Answer {
    const filters = filtersOf(text)
    if (filters === undefined) return refusal(seq, 'Invalid event filter')
    if (this.#streams.has(String(seq))) return refusal(seq, 'Stream with given sequence exists')
    if (this.#streams.size >= STREAMS_MAX) return refusal(seq, 'Too many streams on this connection')
    const afterwards = () => {
      if (this.#ended) return
      this.#streams.set(String(seq), { seq, filters })
      this.#unsubscribe ??= this.#backend.onEvent(event => this.#event(event))
    }
    return { bytes: answerHeader(seq, ''), afterwards }
  }

  #stopStream(seq: Seq): void {
    if (this.#monitored !== undefined && String(this.#monitored.seq) === String(seq)) this.#endMonitor()
    this.#streams.delete(String(seq))
    if (this.#streams.size > 0) return
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
  }

  #event(event: SerfEvent): void {
    if (event.kind === 'conflict-lost') return
    for (const { seq, filters } of this.#streams.values()) {
      if (!filters.some(filter => matchesFilter(filter, event))) continue
      const handle = event.kind === 'query' ? this.#newHandle(event) : 0
      this.#pushRecord(seq, eventRecord(event, handle))
    }
  }

  /** A handle dies at the query's deadline; one that is already dead is given all the same, as in Serf. */
  #newHandle(query: QueryEvent): number {
    const nowMs = this.#clock.nowMs()
    for (const [handle, held] of this.#handles) if (held.deadlineMs <= nowMs) this.#handles.delete(handle)
    this.#lastHandle++
    const isLive = query.deadlineMs > nowMs && this.#handles.size < HANDLES_MAX
    if (isLive) this.#handles.set(String(this.#lastHandle), query)
    return this.#lastHandle
  }

  async #respond(handle: Seq, payload: Uint8Array): Promise<void> {
    const query = this.#handles.get(String(handle))
    if (query === undefined || query.deadlineMs <= this.#clock.nowMs())
      throw new Error('No pending queries matching ID')
    try {
      await query.respond(payload)
    } catch (failure) {
      throw new Error(`failed to respond to key query: ${messageOf(failure)}`, { cause: failure }) // Serf's words, for any query
    }
  }

  async #query(request: QueryRequest): Promise<Answer> {
    const { seq, ...rest } = request as QueryRequest & { seq: Seq }
    if (isForbiddenName(rest)) return refusal(seq, "Queries cannot contain the '_serf_' prefix")
    if (this.#queries.size >= QUERIES_MAX) return refusal(seq, 'Too many queries on this connection')
    try {
      const answers = await this.#backend.query({ ...rest, filterTags: Object.fromEntries(rest.filterTags) })
      if (this.#ended) answers.close?.()
      else this.#queries.add(answers)
      return { bytes: answerHeader(seq, ''), afterwards: () => void this.#pump(seq, answers) }
    } catch (failure) {
      return refusal(seq, messageOf(failure))
    }
  }

  async #pump(seq: Seq, answers: RpcQueryAnswers): Promise<void> {
    try {
      for await (const { kind, from, payload } of answers) {
        if (this.#ended) break
        const body = kind === 'ack' ? null : bytesOrNil(payload ?? NONE)
        this.#pushRecord(seq, encodeRecord({ From: from, Payload: body, Type: kind }))
      }
    } catch (failure) {
      this.#log.warn({ reason: messageOf(failure) }, 'a query over RPC ended early')
    }
    this.#queries.delete(answers)
    this.#pushRecord(seq, encodeRecord({ From: '', Payload: null, Type: 'done' }))
  }

  async #keys(seq: Seq, operation: KeyOperation, key: string): Promise<Answer> {
    const answers = (await this.#backend.keys?.(operation, key)) ?? NO_KEYS
    return answered(seq, answers.error, keyRecord(answers))
  }

  /** The newest lines and then the live ones, of this level and above. */
  #monitor(seq: Seq, level: string): Answer {
    const passes = lineFilter(level)
    if (passes === undefined) return refusal(seq, `Unknown log level: ${level.toUpperCase()}`)
    if (this.#monitored !== undefined) return refusal(seq, 'Monitor already exists')
    const monitored: { readonly seq: Seq; end?: () => void } = { seq }
    this.#monitored = monitored
    const afterwards = () => {
      const { logs } = this.#backend
      if (logs === undefined || this.#ended) return
      const tell = (line: string) => void (passes(line) && this.#pushRecord(seq, encodeRecord({ Log: line })))
      for (const line of logs.recent()) tell(line)
      monitored.end = logs.onLine(tell)
    }
    return { bytes: answerHeader(seq, ''), afterwards }
  }

  #endMonitor(): void {
    this.#monitored?.end?.()
    this.#monitored = undefined
  }

  /** The pump sees the end, and nothing waits for a deadline that may be far. */
  #endQuery(answers: RpcQueryAnswers): void {
    this.#queries.delete(answers)
    answers.close?.()
  }

  #pushRecord(seq: Seq, record: Uint8Array): void {
    if (this.#ended) return
    if (this.#push(joined(answerHeader(seq, ''), record))) {
      const dropped = this.#dropped
      this.#dropped = 0 // before the sentence: to a monitor that sentence is a record, too
      if (dropped > 0) this.#log.warn({ dropped }, 'an RPC client reads again after records were dropped')
      return
    }
    if (this.#dropped++ === 0) this.#log.warn({}, 'an RPC client reads too slowly: dropping its records')
  }
}

const NONE = new Uint8Array(0)

/** Per connection, far above what any client has open. */
const STREAMS_MAX = 64
const QUERIES_MAX = 64
const HANDLES_MAX = 4096

const NO_KEYS: KeyAnswers = {
  ...{ error: 'Feature not supported', keys: undefined, primaryKeys: new Map(), messages: new Map() },
  ...{ errors: 0, members: 0, answers: 0 },
}

function membersAnswer(seq: Seq, members: ReturnType<typeof memberRecord>[]): Answer {
  return answered(seq, '', encodeRecord({ Members: members }))
}

function answered(seq: Seq, error: string, body: Uint8Array): Answer {
  return { bytes: joined(answerHeader(seq, error), body) }
}

function refusal(seq: Seq, error: string): Answer {
  return { bytes: answerHeader(seq, error) }
}

/** Header and body in one write: they are never torn apart by a pushed record. */
function joined(header: Uint8Array, body: Uint8Array): Uint8Array {
  return Buffer.concat([header, body])
}

/** '' when it worked. An error text is never empty, or the client would take it for success. */
async function failureOf(act: () => void | Promise<void>): Promise<string> {
  try {
    await act()
    return ''
  } catch (failure) {
    return messageOf(failure) || 'unknown error'
  }
}

function filtersOf(text: string): EventFilter[] | undefined {
  try {
    return parseEventFilters(text)
  } catch (failure) {
    if (failure instanceof EventFilterError) return undefined
    throw failure
  }
}

/** Only the ping of `serf reachability` may use the internal prefix. */
function isForbiddenName(query: Pick<QueryRequest, 'name' | 'payload'>): boolean {
  return query.name.startsWith('_serf_') && !(query.name === '_serf_ping' && query.payload.length === 0)
}
