import type { Socket } from 'node:net'
import { type Address, type Clock, systemClock } from '../../../base/index.ts'
import { asFloat, asInt, asMap, asText, type Decoded } from '../../../codec/index.ts'
import type { Coordinate } from '../../coordinate.ts'
import type { SerfMember } from '../../member.ts'
import type { RpcQueryAnswer, RpcQueryParams } from '../backend.ts'
import { RpcAuthError, RpcClosedError, RpcProtocolError, RpcRefusedError } from '../errors.ts'
import {
  boolField,
  bytesField,
  bytesOrNil,
  type Fields,
  membersFromFields,
  textField,
  textMapField,
  uintField,
} from '../records.ts'
import {
  AUTH_REQUIRED,
  type CallOptions,
  openSocket,
  type RequestBody,
  type RpcAnswer,
  RpcConnection,
  RpcFeed,
} from './connection.ts'

export interface RpcClientOptions {
  readonly authKey?: string
  /** For connecting, handshake and authentication together. */
  readonly timeoutMs: number
  /** For each answer after that; default 60 000: joins and leaves take seconds. 0: as long as it takes, as Serf's command. */
  readonly answerTimeoutMs?: number
  readonly clock?: Clock
}

export interface MembersFilter {
  /** Expressions in RE2's syntax, anchored by the agent; absent: any. */
  readonly name?: string
  readonly status?: string
  readonly tags?: Readonly<Record<string, string>>
}

/** A record pushed by a stream, decoded only as far as its kind. */
export interface RpcEventRecord {
  /** `member-join`, `user`, `query`… */
  readonly kind: string
  /** Of member events; else empty. */
  readonly members: readonly SerfMember[]
  /** Of user events and queries; else ''. */
  readonly name: string
  readonly payload: Uint8Array
  readonly ltime: number
  /** Of queries: for `respond`, on this connection. */
  readonly handle: number
  /** Of user events. */
  readonly coalesce: boolean
}

/** What the ring answered to a key operation (serf-rpc 4.14). */
export interface RpcKeyAnswer {
  /** Base64 key to the number of nodes that have it; empty except for `listKeys`. */
  readonly keys: Readonly<Record<string, number>>
  /** Node to its error or remark. */
  readonly messages: Readonly<Record<string, string>>
  /** Members known, answers received, and failures among them. */
  readonly nodes: number
  readonly responses: number
  readonly errors: number
}

/** Not every node did what was asked of its keys; `answer` says which. Those that did, did. */
export class RpcKeyError extends RpcRefusedError {
  readonly answer: RpcKeyAnswer

  constructor(message: string, answer: RpcKeyAnswer) {
    super(message)
    this.answer = answer
  }
}

/** Records as they come, until stopped, aborted, or, for a query, its deadline. @throws from the loop what ended the connection */
export interface RpcSubscription<T> extends AsyncIterable<T> {
  /** How many records were dropped because nobody read them in time. */
  readonly dropped: number
  /** Tells the agent, and ends the loop; idempotent. */
  stop(): Promise<void>
}

/**
 * Connects to an agent, ours or Serf's, and shakes hands.
 * @throws RpcUnreachableError, RpcTimedOutError, RpcAuthError, RpcProtocolError, or the signal's reason; nothing stays open
 */
export async function connectRpc(
  address: Address,
  options: RpcClientOptions,
  signal?: AbortSignal,
): Promise<RpcClient> {
  signal?.throwIfAborted()
  const clock = options.clock ?? systemClock
  const startedMs = clock.nowMs()
  const socket = await openSocket(address, { timeoutMs: options.timeoutMs, clock }, signal)
  const client = new RpcClient(socket, { clock, answerTimeoutMs: options.answerTimeoutMs ?? 60_000 }, signal)
  try {
    await client.greet(options.authKey, Math.max(1, options.timeoutMs - (clock.nowMs() - startedMs)))
    return client
  } catch (failure) {
    client.close()
    throw failure
  }
}

/**
 * One connection to an agent. Every call throws RpcRefusedError (with the agent's own words), RpcAuthError, RpcClosedError
 * (`client closed`), RpcTimedOutError or RpcProtocolError; the signal given to `connectRpc` ends them all.
 */
export class RpcClient implements Disposable {
  readonly #connection: RpcConnection

  constructor(socket: Socket, o: { readonly clock: Clock; readonly answerTimeoutMs: number }, signal?: AbortSignal) {
    this.#connection = new RpcConnection(socket, o, signal)
  }

  /** Handshake and, with a key, authentication; `connectRpc` has done it. */
  async greet(authKey: string | undefined, timeoutMs: number): Promise<void> {
    await this.#ask('handshake', { Version: 1 }, { timeoutMs })
    if (authKey !== undefined && authKey !== '') await this.#ask('auth', { AuthKey: authKey }, { timeoutMs })
  }

  /** With a filter, also an empty one, the agent filters; an expression that it cannot read closes the connection. */
  async members(filter?: MembersFilter): Promise<SerfMember[]> {
    if (filter === undefined) return read(await this.#ask('members', undefined, WITH_BODY), membersFromFields)
    const tags = new Map(Object.entries(filter.tags ?? {}))
    const body = { Name: filter.name ?? '', Status: filter.status ?? '', Tags: tags }
    return read(await this.#ask('members-filtered', body, WITH_BODY), membersFromFields)
  }

  /** @returns how many of `addresses` were contacted. @throws RpcRefusedError when none was */
  async join(addresses: readonly string[], replay = false): Promise<number> {
    const body = await this.#ask('join', { Existing: [...addresses], Replay: replay }, WITH_BODY)
    return read(body, fields => uintField(fields, 'Num', 0x7fff_ffff))
  }

  /** The agent leaves the cluster, answers, and ends. */
  async leave(): Promise<void> {
    await this.#ask('leave')
  }

  async forceLeave(node: string, prune = false): Promise<void> {
    await this.#ask('force-leave', { Node: node, Prune: prune })
  }

  async event(name: string, payload: Uint8Array, coalesce = true): Promise<void> {
    await this.#ask('event', { Coalesce: coalesce, Name: name, Payload: bytesOrNil(payload) })
  }

  /** The agent's tags, less `remove`, then `set` over them. */
  async tags(set: Readonly<Record<string, string>>, remove: readonly string[] = []): Promise<void> {
    await this.#ask('tags', { DeleteTags: [...remove], Tags: new Map(Object.entries(set)) })
  }

  /** Sections of keys to texts, such as `agent.name`. */
  async stats(): Promise<Record<string, Record<string, string>>> {
    const body = await this.#ask('stats', undefined, WITH_BODY)
    return read(body, fields =>
      Object.fromEntries(Array.from(fields, ([name, section]) => [name, textsOf(asMap(section))])),
    )
  }

  /** Where `node` is in the ring's coordinates; undefined when the agent does not know. */
  async coordinate(node: string): Promise<Coordinate | undefined> {
    return read(await this.#ask('get-coordinate', { Node: node }, WITH_BODY), coordinateOf)
  }

  /** @throws RpcKeyError when a node failed or did not answer; so do the other three */
  listKeys(): Promise<RpcKeyAnswer> {
    return this.#keys('list-keys')
  }

  installKey(key: string): Promise<RpcKeyAnswer> {
    return this.#keys('install-key', { Key: key })
  }

  /** Makes an installed key the one that messages are encrypted with. */
  useKey(key: string): Promise<RpcKeyAnswer> {
    return this.#keys('use-key', { Key: key })
  }

  removeKey(key: string): Promise<RpcKeyAnswer> {
    return this.#keys('remove-key', { Key: key })
  }

  /** Answers a query that a stream of this connection brought. */
  async respond(handle: number, payload: Uint8Array): Promise<void> {
    await this.#ask('respond', { ID: handle, Payload: bytesOrNil(payload) })
  }

  /** Events that match `filters` (`member-join,user:deploy`; '' is all), as the wire has them. Open when this resolves. */
  async events(filters = '', signal?: AbortSignal): Promise<RpcSubscription<ReadonlyMap<string, Decoded>>> {
    return this.#subscribe('stream', { Type: filters }, record => record, signal)
  }

  /** The agent's log: what it has kept, then what comes. @param level TRACE, DEBUG, INFO, WARN or ERR, in any case */
  async monitor(level: string, signal?: AbortSignal): Promise<RpcSubscription<string>> {
    return this.#subscribe('monitor', { LogLevel: level }, record => textField(record, 'Log'), signal)
  }

  /** As `query`, but the query is on its way when this resolves. */
  async ask(
    params: Partial<RpcQueryParams> & { readonly name: string },
    signal?: AbortSignal,
  ): Promise<RpcSubscription<RpcQueryAnswer>> {
    return this.#subscribe('query', queryBody(params), answerOf, signal)
  }

  /** Events, decoded, until the loop is left, the signal is aborted, or the connection ends. */
  async *stream(filters = '', signal?: AbortSignal): AsyncGenerator<RpcEventRecord, void> {
    const events = await this.events(filters, signal)
    try {
      for await (const record of events) yield decodeRpcEvent(record)
    } finally {
      await events.stop()
    }
  }

  /** Acks and responses as they come; ends at the query's deadline. */
  async *query(params: Partial<RpcQueryParams> & { readonly name: string }): AsyncGenerator<RpcQueryAnswer, void> {
    yield* await this.ask(params)
  }

  close(): void {
    this.#connection.end(new RpcClosedError())
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async #ask(command: string, body?: RequestBody, o?: CallOptions): Promise<Fields> {
    return accepted(await this.#connection.call(command, body, o)).body
  }

  async #keys(command: string, body?: RequestBody): Promise<RpcKeyAnswer> {
    const answer = await this.#connection.call(command, body, WITH_BODY)
    const keys = read(answer.body, keyAnswerOf)
    if (answer.error === '' || isAuthError(answer.error)) accepted(answer)
    else throw new RpcKeyError(answer.error, keys)
    return keys
  }

  /** @param take undefined ends the loop */
  async #subscribe<T>(
    command: string,
    body: RequestBody,
    take: (record: Fields) => T | undefined,
    signal?: AbortSignal,
  ): Promise<RpcSubscription<T>> {
    signal?.throwIfAborted()
    const connection = this.#connection
    const feed = new RpcFeed()
    const { seq } = accepted(await connection.call(command, body, { feed }))
    const finish = () => feed.finish()
    if (signal?.aborted === true) finish()
    signal?.addEventListener('abort', finish, { once: true })
    let isStopped = false
    return {
      get dropped() {
        return feed.dropped
      },
      async stop() {
        signal?.removeEventListener('abort', finish)
        feed.finish()
        if (isStopped || !connection.isOpen || command === 'query') return // a query ends by itself; the rest is dropped
        isStopped = true
        await connection.call('stop', { Stop: seq })
        connection.forget(seq)
      },
      async *[Symbol.asyncIterator]() {
        try {
          for (let record = await feed.next(); record !== undefined; record = await feed.next()) {
            const item = read(record, take)
            if (item === undefined) return
            yield item
          }
        } finally {
          signal?.removeEventListener('abort', finish)
          feed.finish()
        }
      },
    }
  }
}

const WITH_BODY: CallOptions = { hasBody: true }

function isAuthError(text: string): boolean {
  return text === AUTH_REQUIRED || text === 'Invalid authentication token'
}

function accepted(answer: RpcAnswer): RpcAnswer {
  if (answer.error === '') return answer
  throw isAuthError(answer.error) ? new RpcAuthError(answer.error) : new RpcRefusedError(answer.error)
}

/** @throws RpcProtocolError when the record is not what the command's answer should be */
function read<T>(fields: Fields, take: (fields: Fields) => T): T {
  try {
    return take(fields)
  } catch (cause) {
    throw new RpcProtocolError('the agent answered with another record than this command has', { cause })
  }
}

function textsOf(section: Fields): Record<string, string> {
  return Object.fromEntries(Array.from(section, ([key, value]) => [key, asText(value)]))
}

function keyAnswerOf(fields: Fields): RpcKeyAnswer {
  const count = (name: string) => uintField(fields, name, Number.MAX_SAFE_INTEGER)
  const keys = Array.from(asMap(fields.get('Keys') ?? new Map()), ([key, nodes]) => [key, asInt(nodes)] as const)
  return {
    keys: Object.fromEntries(keys),
    messages: Object.fromEntries(textMapField(fields, 'Messages')),
    nodes: count('NumNodes'),
    responses: count('NumResp'),
    errors: count('NumErr'),
  }
}

function coordinateOf(fields: Fields): Coordinate | undefined {
  if (!boolField(fields, 'Ok')) return undefined
  const coordinate = asMap(fields.get('Coord') ?? new Map())
  const vec = coordinate.get('Vec') ?? []
  return {
    vec: Array.isArray(vec) ? vec.map(value => asFloat(value)) : [],
    error: asFloat(coordinate.get('Error')),
    adjustment: asFloat(coordinate.get('Adjustment')),
    height: asFloat(coordinate.get('Height')),
  }
}

function queryBody(params: Partial<RpcQueryParams> & { readonly name: string }): RequestBody {
  return {
    FilterNodes: [...(params.filterNodes ?? [])],
    FilterTags: new Map(Object.entries(params.filterTags ?? {})),
    Name: params.name,
    Payload: bytesOrNil(params.payload ?? new Uint8Array(0)),
    RelayFactor: params.relayFactor ?? 0,
    RequestAck: params.requestAck ?? true,
    Timeout: Math.round((params.timeoutMs ?? 0) * 1e6),
  }
}

/** Undefined for `done`, and for the stray record without a sender that can come just before it (serf-rpc 4.11). */
function answerOf(record: Fields): RpcQueryAnswer | undefined {
  const from = textField(record, 'From')
  if (from === '') return undefined
  const kind = textField(record, 'Type') === 'ack' ? 'ack' : 'response'
  return { kind, from, payload: bytesField(record, 'Payload') }
}

/** A record of `events` by its kind. @throws RpcProtocolError when it is none */
export function decodeRpcEvent(record: ReadonlyMap<string, Decoded>): RpcEventRecord {
  return read(record, eventOf)
}

function eventOf(record: Fields): RpcEventRecord {
  return {
    kind: textField(record, 'Event'),
    members: membersFromFields(record),
    name: textField(record, 'Name'),
    payload: bytesField(record, 'Payload'),
    ltime: uintField(record, 'LTime', Number.MAX_SAFE_INTEGER),
    handle: uintField(record, 'ID', Number.MAX_SAFE_INTEGER),
    coalesce: boolField(record, 'Coalesce'),
  }
}
