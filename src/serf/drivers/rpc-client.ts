import { connect, type Socket } from 'node:net'
import { type Address, BoundedQueue, type Clock, messageOf, systemClock, type Timer } from '../../base/index.ts'
import { asMap, asText, type MsgpackValue } from '../../codec/index.ts'
import type { SerfMember } from '../member.ts'
import type { RpcQueryAnswer, RpcQueryParams } from '../rpc-backend.ts'
import {
  RpcAuthError,
  RpcClosedError,
  RpcProtocolError,
  RpcRefusedError,
  RpcTimedOutError,
  RpcUnreachableError,
} from '../rpc-errors.ts'
import {
  bytesField,
  bytesOrNil,
  encodeRecord,
  type Fields,
  membersFromFields,
  textField,
  uintField,
} from '../rpc-records.ts'
import { type Reply, ReplyReader } from '../rpc-replies.ts'

export interface RpcClientOptions {
  readonly authKey?: string
  /** For connecting, handshake and authentication together. */
  readonly timeoutMs: number
  /** For each answer after that; default 60 000: joins and leaves take seconds. */
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
  const socket = await connected(address, { timeoutMs: options.timeoutMs, clock }, signal)
  const client = new RpcClient(socket, { clock, answerTimeoutMs: options.answerTimeoutMs ?? 60_000 }, signal)
  try {
    await client.greet(options.authKey, Math.max(1, options.timeoutMs - (clock.nowMs() - startedMs)))
    return client
  } catch (failure) {
    client.close()
    throw failure
  }
}

/** One connection to an agent. Every call throws RpcRefusedError, RpcClosedError, RpcTimedOutError or RpcProtocolError. */
export class RpcClient implements Disposable {
  readonly #socket: Socket
  readonly #clock: Clock
  readonly #answerTimeoutMs: number
  readonly #reader = new ReplyReader((seq, error) => this.#hasBody(Number(seq), error))
  readonly #calls = new Map<number, Call>()
  readonly #feeds = new Map<number, Feed>()
  #lastSeq = 0
  #ended: Error | undefined

  constructor(socket: Socket, o: { readonly clock: Clock; readonly answerTimeoutMs: number }, signal?: AbortSignal) {
    this.#socket = socket
    this.#clock = o.clock
    this.#answerTimeoutMs = o.answerTimeoutMs
    const onAbort = () => this.#end(signal?.reason instanceof Error ? signal.reason : new RpcClosedError())
    signal?.addEventListener('abort', onAbort, { once: true })
    socket.on('data', chunk => this.#receive(chunk))
    socket.on('error', cause => this.#end(new RpcClosedError({ cause })))
    socket.on('close', () => {
      signal?.removeEventListener('abort', onAbort)
      this.#end(new RpcClosedError())
    })
  }

  /** Handshake and, with a key, authentication; `connectRpc` has done it. */
  async greet(authKey: string | undefined, timeoutMs: number): Promise<void> {
    await this.#call('handshake', { Version: 1 }, { timeoutMs })
    if (authKey !== undefined && authKey !== '') await this.#call('auth', { AuthKey: authKey }, { timeoutMs })
  }

  async members(filter: MembersFilter = {}): Promise<SerfMember[]> {
    const tags = new Map(Object.entries(filter.tags ?? {}))
    const body = { Name: filter.name ?? '', Status: filter.status ?? '', Tags: tags }
    return membersFromFields(await this.#call('members-filtered', body, { hasBody: true }))
  }

  /** @returns how many of `addresses` were contacted. @throws RpcRefusedError when none was */
  async join(addresses: readonly string[], replay = false): Promise<number> {
    const body = await this.#call('join', { Existing: [...addresses], Replay: replay }, { hasBody: true })
    return uintField(body, 'Num', 0x7fff_ffff)
  }

  /** The agent leaves the cluster, answers, and ends. */
  async leave(): Promise<void> {
    await this.#call('leave')
  }

  async forceLeave(node: string, prune = false): Promise<void> {
    await this.#call('force-leave', { Node: node, Prune: prune })
  }

  async event(name: string, payload: Uint8Array, coalesce = true): Promise<void> {
    await this.#call('event', { Coalesce: coalesce, Name: name, Payload: bytesOrNil(payload) })
  }

  /** The agent's tags, less `remove`, then `set` over them. */
  async tags(set: Readonly<Record<string, string>>, remove: readonly string[] = []): Promise<void> {
    await this.#call('tags', { DeleteTags: [...remove], Tags: new Map(Object.entries(set)) })
  }

  /** Sections of keys to texts, such as `agent.name`. */
  async stats(): Promise<Record<string, Record<string, string>>> {
    const body = await this.#call('stats', undefined, { hasBody: true })
    return Object.fromEntries(Array.from(body, ([name, section]) => [name, textsOf(asMap(section))]))
  }

  async respond(handle: number, payload: Uint8Array): Promise<void> {
    await this.#call('respond', { ID: handle, Payload: bytesOrNil(payload) })
  }

  /** Events that match `filters` (`member-join,user:deploy`; '' is all), until the loop is left or the connection ends. */
  async *stream(filters = ''): AsyncGenerator<RpcEventRecord, void> {
    const feed = new Feed()
    const seq = await this.#open('stream', { Type: filters }, feed)
    try {
      for (let record = await feed.next(); record !== undefined; record = await feed.next()) yield eventOf(record)
    } finally {
      if (this.#ended === undefined) await this.#call('stop', { Stop: seq })
      this.#feeds.delete(seq)
    }
  }

  /** Acks and responses as they come; ends at the query's deadline. */
  async *query(params: Partial<RpcQueryParams> & { readonly name: string }): AsyncGenerator<RpcQueryAnswer, void> {
    const feed = new Feed()
    await this.#open('query', queryBody(params), feed)
    try {
      for (let record = await feed.next(); record !== undefined; record = await feed.next()) {
        const from = textField(record, 'From')
        if (from === '') return // done, or the stray record that can come just before it
        const kind = textField(record, 'Type') === 'ack' ? 'ack' : 'response'
        yield { kind, from, payload: bytesField(record, 'Payload') }
      }
    } finally {
      feed.finish() // what still comes is read and dropped
    }
  }

  close(): void {
    this.#end(new RpcClosedError())
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async #open(command: string, body: RequestBody, feed: Feed): Promise<number> {
    const seq = this.#lastSeq + 1 // the feed must be known before the first record, which may come with the answer
    await this.#call(command, body, { feed })
    return seq
  }

  #call(command: string, body?: RequestBody, o: CallOptions = {}): Promise<Fields> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    const seq = ++this.#lastSeq
    const timeoutMs = o.timeoutMs ?? this.#answerTimeoutMs
    const header = encodeRecord({ Command: command, Seq: seq })
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(timeoutMs, () => this.#end(new RpcTimedOutError(command, timeoutMs)))
      this.#calls.set(seq, { command, hasBody: o.hasBody === true, feed: o.feed, timer, resolve, reject })
      this.#socket.write(body === undefined ? header : Buffer.concat([header, encodeRecord(body)]))
    })
  }

  /** Before authentication no answer has a body, whatever the command (serf-rpc 2.2). */
  #hasBody(seq: number, error: string): boolean {
    const call = this.#calls.get(seq)
    if (call !== undefined) return call.hasBody && error !== AUTH_REQUIRED
    return this.#feeds.has(seq) && error === ''
  }

  #receive(chunk: Uint8Array): void {
    try {
      this.#reader.receive(chunk)
      for (let reply = this.#reader.next(); reply !== undefined; reply = this.#reader.next()) this.#take(reply)
    } catch (cause) {
      this.#end(new RpcProtocolError(`the agent's answer is not RPC: ${messageOf(cause)}`, { cause }))
    }
  }

  #take(reply: Reply): void {
    const seq = Number(reply.seq)
    const call = this.#calls.get(seq)
    if (call === undefined) {
      if (reply.body !== undefined) this.#feeds.get(seq)?.push(reply.body)
      return // an unknown Seq is ignored, as Serf's own client does
    }
    this.#calls.delete(seq)
    call.timer.cancel()
    if (reply.error !== '') return call.reject(errorOf(reply.error))
    if (call.feed !== undefined) this.#feeds.set(seq, call.feed)
    call.resolve(reply.body ?? new Map())
  }

  #end(reason: Error): void {
    if (this.#ended !== undefined) return
    this.#ended = reason
    this.#socket.destroy()
    for (const call of this.#calls.values()) {
      call.timer.cancel()
      call.reject(reason)
    }
    this.#calls.clear()
    for (const feed of this.#feeds.values()) feed.finish(reason)
    this.#feeds.clear()
  }
}

type RequestBody = { readonly [field: string]: MsgpackValue }

interface CallOptions {
  readonly hasBody?: boolean
  readonly timeoutMs?: number
  readonly feed?: Feed
}

interface Call {
  readonly command: string
  readonly hasBody: boolean
  readonly feed: Feed | undefined
  readonly timer: Timer
  resolve(body: Fields): void
  reject(failure: Error): void
}

/** Records between the socket and whoever reads them; when full, further ones are dropped as in the agent. */
class Feed {
  readonly #records = new BoundedQueue<Fields>(FEED_RECORDS_MAX)
  #wake: (() => void) | undefined
  #isFinished = false
  #failure: Error | undefined

  push(record: Fields): void {
    if (!this.#isFinished) this.#records.push(record)
    this.#wake?.()
  }

  finish(failure?: Error): void {
    this.#isFinished = true
    this.#failure ??= failure
    this.#wake?.()
  }

  /** Undefined at the end. @throws what the connection ended with, after the last record */
  async next(): Promise<Fields | undefined> {
    for (;;) {
      const record = this.#records.shift()
      if (record !== undefined) return record
      if (this.#failure !== undefined) throw this.#failure
      if (this.#isFinished) return undefined
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }
}

const FEED_RECORDS_MAX = 4096
const AUTH_REQUIRED = 'Authentication required'

function errorOf(text: string): Error {
  const isAuth = text === AUTH_REQUIRED || text === 'Invalid authentication token'
  return isAuth ? new RpcAuthError(text) : new RpcRefusedError(text)
}

function textsOf(section: Fields): Record<string, string> {
  return Object.fromEntries(Array.from(section, ([key, value]) => [key, asText(value)]))
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

function eventOf(record: Fields): RpcEventRecord {
  return {
    kind: textField(record, 'Event'),
    members: membersFromFields(record),
    name: textField(record, 'Name'),
    payload: bytesField(record, 'Payload'),
    ltime: uintField(record, 'LTime', Number.MAX_SAFE_INTEGER),
    handle: uintField(record, 'ID', Number.MAX_SAFE_INTEGER),
  }
}

function connected(
  address: Address,
  o: { readonly timeoutMs: number; readonly clock: Clock },
  signal: AbortSignal | undefined,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address.ip, port: address.port, noDelay: true })
    const settle = (failure?: unknown) => {
      timer.cancel()
      signal?.removeEventListener('abort', onAbort)
      socket.removeAllListeners('error')
      if (failure === undefined) return resolve(socket)
      socket.on('error', () => {}).destroy() // nobody is left to tell
      reject(failure instanceof Error ? failure : new Error('aborted', { cause: failure }))
    }
    const onAbort = () => settle(signal?.reason ?? new Error('aborted'))
    const late = () =>
      settle(new RpcUnreachableError(address, { cause: new Error(`no connection in ${o.timeoutMs} ms`) }))
    const timer = o.clock.after(o.timeoutMs, late)
    signal?.addEventListener('abort', onAbort, { once: true })
    socket.once('connect', () => settle())
    socket.once('error', cause => settle(new RpcUnreachableError(address, { cause })))
  })
}
