import { type ClientRequest, type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http'
import { request as tlsRequest, Agent as TlsAgent } from 'node:https'
import type { Clock } from '../../base/index.ts'
import type { Kind } from '../kinds.ts'
import type { Outcome } from '../ledger.ts'
import { type Books, type ClientConfig, nameIn, refusal } from './books.ts'

export interface HttpConfig extends ClientConfig {
  readonly url: string
  /** Whether a good answer contains the request's id. */
  readonly echo: boolean
  /** Beyond it a request counts as lost without being sent. */
  readonly inFlightMax: number
}

/** Kept connections are ours to close, before any balancer's idle time-out meets a request on its way. */
const IDLE_MS_MAX = 3000
const ANSWER_BYTES_MAX = 1024 * 1024

/** Clients of `close`, `keep-alive` and `post`. Failures are booked, never thrown. */
export class HttpClients {
  readonly #config: HttpConfig
  readonly #url: URL
  readonly #clock: Clock
  readonly #books: Books
  readonly #kept: PlainAgent
  readonly #open = new Set<ClientRequest>()
  #posts = 0
  #idle: (() => void) | undefined

  constructor(config: HttpConfig, deps: { clock: Clock; books: Books }) {
    this.#config = config
    this.#url = new URL(config.url)
    this.#clock = deps.clock
    this.#books = deps.books
    const keeping = { keepAlive: true, scheduling: 'lifo', timeout: IDLE_MS_MAX } as const
    this.#kept = this.#url.protocol === 'https:' ? new TlsAgent(keeping) : new PlainAgent(keeping)
  }

  /** @param served told of the server of a good answer */
  send(kind: Exclude<Kind, 'websocket'>, served: (server: string) => void): void {
    const keeps = kind === 'keep-alive' || (kind === 'post' && this.#posts++ % 2 === 0)
    const sequence = this.#books.sent(kind)
    const end = (outcome: Outcome, how = '') => {
      this.#books.ended(sequence, outcome, how)
      if (outcome.kind === 'good' && outcome.server !== undefined) served(outcome.server)
    }
    if (this.#open.size >= this.#config.inFlightMax) {
      return end({ kind: 'bad', what: 'not sent: too many in flight', mayHaveRun: false })
    }
    this.#perform(kind === 'post' ? 'POST' : 'GET', this.#books.idOf(sequence), keeps, end)
  }

  /** Resolves when nothing is in flight any more. */
  async stop(): Promise<void> {
    await new Promise<void>(resolve => {
      this.#idle = resolve
      if (this.#open.size === 0) resolve()
    })
    this.#kept.destroy()
  }

  abort(): void {
    for (const open of this.#open) open.destroy(new Error('stopped'))
    this.#kept.destroy()
  }

  #perform(method: 'GET' | 'POST', id: string, keeps: boolean, end: (outcome: Outcome, how: string) => void): void {
    const sent = this.#request(method, id, keeps)
    const how = () => (keeps ? (sent.reusedSocket ? 'kept connection' : 'new connection, kept') : 'own connection')
    const deadline = this.#clock.after(this.#config.timeoutMs, () => sent.destroy(new Error('no answer in time')))
    const finish = (outcome: Outcome) => {
      deadline.cancel()
      end(outcome, how())
    }
    const broke = (failure: Error & { code?: string }) => finish(broken(failure, sent))
    this.#open.add(sent)
    sent.on('response', answer => this.#read(answer, id, finish, broke))
    sent.on('error', broke)
    sent.on('close', () => {
      finish({ kind: 'bad', what: 'closed without an answer', mayHaveRun: true })
      this.#open.delete(sent)
      if (this.#open.size === 0) this.#idle?.()
    })
    sent.end()
  }

  #request(method: 'GET' | 'POST', id: string, keeps: boolean): ClientRequest {
    const { hostname, port, pathname, search, protocol } = this.#url
    const request = protocol === 'https:' ? tlsRequest : plainRequest
    return request({
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      ...(port === '' ? {} : { port }),
      method,
      path: `${pathname}${search}${search === '' ? '?' : '&'}id=${id}`,
      agent: keeps ? this.#kept : false,
      headers: { 'x-request-id': id, ...(method === 'POST' ? { 'content-length': 0 } : {}) },
      ...(protocol === 'https:' && this.#config.insecure ? { rejectUnauthorized: false } : {}),
    })
  }

  #read(answer: IncomingMessage, id: string, finish: (o: Outcome) => void, broke: (failure: Error) => void): void {
    const server = nameIn(answer.headers[this.#config.serverHeader])
    let body = ''
    answer.setEncoding('utf8')
    answer.on('data', (text: string) => {
      body += text
      if (body.length > ANSWER_BYTES_MAX) answer.destroy(new Error('answer is too long'))
    })
    answer.on('error', broke)
    answer.on('end', () => finish(outcomeOf(answer.statusCode ?? 0, body, server, this.#config.echo ? id : undefined)))
  }
}

function outcomeOf(status: number, body: string, server: string | undefined, id: string | undefined): Outcome {
  if (status < 200 || status > 399) return refusal(status, server)
  if (id !== undefined && !body.includes(id)) {
    return { kind: 'bad', what: 'answer to another request', mayHaveRun: false, server }
  }
  return { kind: 'good', server }
}

/** A connection that was never made has carried nothing. */
function broken(failure: Error & { code?: string; syscall?: string }, sent: ClientRequest): Outcome {
  const connected = failure.syscall !== 'connect' && sent.socket !== null
  return { kind: 'bad', what: failure.code ?? failure.message, mayHaveRun: connected }
}
