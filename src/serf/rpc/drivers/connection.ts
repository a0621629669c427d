import { connect, type Socket } from 'node:net'
import { type Address, BoundedQueue, type Clock, messageOf, type Timer } from '../../../base/index.ts'
import type { MsgpackValue } from '../../../codec/index.ts'
import { RpcClosedError, RpcProtocolError, RpcTimedOutError, RpcUnreachableError } from '../errors.ts'
import { encodeRecord, type Fields, textField } from '../records.ts'
import { type Reply, ReplyReader } from '../replies.ts'

export type RequestBody = { readonly [field: string]: MsgpackValue }

export interface CallOptions {
  /** The answer has a body, also beside an error (serf-rpc 5). */
  readonly hasBody?: boolean
  /** 0: as long as it takes. Default: the connection's. */
  readonly timeoutMs?: number
  /** Where records pushed under this call's number go. */
  readonly feed?: RpcFeed
}

/** What the agent said to one call. */
export interface RpcAnswer {
  readonly seq: number
  /** '' when it worked. */
  readonly error: string
  /** Empty when the answer had none. */
  readonly body: Fields
}

/** Calls and pushed records over one socket. Whatever ends it fails every open call and every feed with the same reason. */
export class RpcConnection {
  readonly #socket: Socket
  readonly #clock: Clock
  readonly #answerTimeoutMs: number
  readonly #reader = new ReplyReader((seq, error) => this.#hasBody(Number(seq), error))
  readonly #calls = new Map<number, Call>()
  readonly #feeds = new Map<number, RpcFeed>()
  #lastSeq = 0
  #ended: Error | undefined

  constructor(socket: Socket, o: { readonly clock: Clock; readonly answerTimeoutMs: number }, signal?: AbortSignal) {
    this.#socket = socket
    this.#clock = o.clock
    this.#answerTimeoutMs = o.answerTimeoutMs
    const onAbort = () => this.end(signal?.reason instanceof Error ? signal.reason : new RpcClosedError())
    signal?.addEventListener('abort', onAbort, { once: true })
    socket.on('data', chunk => this.#receive(chunk))
    socket.on('error', cause => this.end(new RpcClosedError({ cause })))
    socket.on('close', () => {
      signal?.removeEventListener('abort', onAbort)
      this.end(new RpcClosedError())
    })
  }

  get isOpen(): boolean {
    return this.#ended === undefined
  }

  /** @throws RpcClosedError, RpcTimedOutError, RpcProtocolError, or the signal's reason; an error of the agent's is an answer */
  call(command: string, body?: RequestBody, o: CallOptions = {}): Promise<RpcAnswer> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    const seq = ++this.#lastSeq
    const timeoutMs = o.timeoutMs ?? this.#answerTimeoutMs
    const header = encodeRecord({ Command: command, Seq: seq })
    const bytes = body === undefined ? header : Buffer.concat([header, encodeRecord(body)])
    return new Promise((resolve, reject) => {
      const late = () => this.end(new RpcTimedOutError(command, timeoutMs))
      const timer = timeoutMs === 0 ? undefined : this.#clock.after(timeoutMs, late)
      this.#calls.set(seq, { hasBody: o.hasBody === true, feed: o.feed, timer, resolve, reject })
      this.#socket.write(bytes)
    })
  }

  /** Nothing will come under `seq` any more. */
  forget(seq: number): void {
    this.#feeds.delete(seq)
  }

  /** Closes the socket; idempotent, the first reason counts. */
  end(reason: Error): void {
    if (this.#ended !== undefined) return
    this.#ended = reason
    this.#socket.destroy()
    for (const call of this.#calls.values()) {
      call.timer?.cancel()
      call.reject(reason)
    }
    this.#calls.clear()
    for (const feed of this.#feeds.values()) feed.finish(reason)
    this.#feeds.clear()
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
      this.end(new RpcProtocolError(`the agent's answer is not RPC: ${messageOf(cause)}`, { cause }))
    }
  }

  #take(reply: Reply): void {
    const seq = Number(reply.seq)
    const call = this.#calls.get(seq)
    if (call !== undefined) return this.#answer(seq, call, reply)
    const feed = this.#feeds.get(seq)
    if (feed === undefined || reply.body === undefined) return // an unknown Seq is ignored, as Serf's own client does
    feed.push(reply.body)
    if (isDone(reply.body)) this.forget(seq)
  }

  #answer(seq: number, call: Call, reply: Reply): void {
    this.#calls.delete(seq)
    call.timer?.cancel()
    if (call.feed !== undefined && reply.error === '') this.#feeds.set(seq, call.feed)
    call.resolve({ seq, error: reply.error, body: reply.body ?? new Map() })
  }
}

interface Call {
  readonly hasBody: boolean
  readonly feed: RpcFeed | undefined
  readonly timer: Timer | undefined
  resolve(answer: RpcAnswer): void
  reject(failure: Error): void
}

/** The last record of a query; streams and monitors have no `Type`. */
function isDone(record: Fields): boolean {
  return record.has('Type') && textField(record, 'Type') === 'done'
}

/** Records between the socket and whoever reads them; when full, further ones are counted and dropped, as in the agent. */
export class RpcFeed {
  readonly #records = new BoundedQueue<Fields>(FEED_RECORDS_MAX)
  #wake: (() => void) | undefined
  #isFinished = false
  #failure: Error | undefined

  /** How many records did not fit. */
  get dropped(): number {
    return this.#records.dropped
  }

  push(record: Fields): void {
    if (!this.#isFinished) this.#records.push(record)
    this.#wake?.()
  }

  finish(failure?: Error): void {
    if (this.#isFinished) return
    this.#isFinished = true
    this.#failure = failure
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
export const AUTH_REQUIRED = 'Authentication required'

/** A socket to the agent. @throws RpcUnreachableError or the signal's reason; nothing stays open */
export function openSocket(
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
