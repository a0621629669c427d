import type { IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import type { Bad } from '../ledger.ts'
import { type Books, type ClientConfig, nameIn, refusal } from './books.ts'

const ECHO_BYTES_MAX = 64 * 1024
/** Normal closure, RFC 6455 section 7.4.1. */
const NORMAL = 1000
/** How long the other end may take to close as well; all echoes have come by then. */
const CLOSING_MS_MAX = 2000

export interface SocketDeps {
  readonly books: Books
  readonly nowMs: () => number
  /** Whether `server` is being killed at this moment. */
  readonly isDying: (server: string) => boolean
  /** Told of the server of a good echo. */
  readonly served: (server: string) => void
  /** The connection is over. */
  readonly ended: (client: SocketClient) => void
}

interface Outstanding {
  readonly sequence: number
  readonly sentAtMs: number
}

/**
 * One WebSocket with an echo at its other end. The opening is a request of its own; so is each message. A connection that is
 * cut before its time costs every message that has no echo, at least one.
 */
export class SocketClient {
  readonly #socket: WebSocket
  readonly #config: ClientConfig
  readonly #deps: SocketDeps
  readonly #opening: number
  readonly #openedAtMs: number
  readonly #endsAtMs: number
  #outstanding: Outstanding[] = []
  readonly #answered = new Set<string>()
  #state: 'opening' | 'open' | 'ending' | 'closed' = 'opening'
  /** Undefined while it is being opened; empty when it did not say. */
  #server: string | undefined
  /** Open at a kill of its server, since when nothing has shown that it survived. */
  #atKill = false
  #killEndedAtMs = Number.POSITIVE_INFINITY
  #closingAtMs = Number.POSITIVE_INFINITY
  /** Whether the opening had succeeded. */
  wasOpened = false

  /** @param lifeMs how long it sends; then it waits for its last echoes and closes */
  constructor(url: string, lifeMs: number, config: ClientConfig, deps: SocketDeps) {
    this.#config = config
    this.#deps = deps
    this.#opening = deps.books.sent('websocket')
    this.#openedAtMs = deps.nowMs()
    this.#endsAtMs = this.#openedAtMs + lifeMs
    this.#socket = new WebSocket(`${url}${url.includes('?') ? '&' : '?'}id=${deps.books.idOf(this.#opening)}`, {
      perMessageDeflate: false,
      maxPayload: ECHO_BYTES_MAX,
      handshakeTimeout: config.timeoutMs,
      ...(config.insecure ? { rejectUnauthorized: false } : {}),
    })
    this.#listen()
  }

  /** Whether messages can be given to it; those of one that is being opened wait. */
  get takes(): boolean {
    return this.#state === 'opening' || this.#state === 'open'
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  send(): void {
    const sequence = this.#deps.books.sent('websocket', this.#server, this.#atKill)
    this.#outstanding.push({ sequence, sentAtMs: this.#deps.nowMs() })
    if (this.isOpen) this.#socket.send(this.#deps.books.idOf(sequence))
  }

  /** Its server is about to be killed. */
  killBegins(server: string): void {
    if (this.#server !== server || this.#state === 'closed') return
    this.#atKill = true
    this.#killEndedAtMs = Number.POSITIVE_INFINITY
  }

  killEnds(server: string): void {
    if (this.#server === server) this.#killEndedAtMs = this.#deps.nowMs()
  }

  /** Looks what is due: the end of its life, echoes that did not come in time. */
  tick(nowMs: number): void {
    const oldestMs = nowMs - this.#config.timeoutMs
    while (this.#outstanding[0] !== undefined && this.#outstanding[0].sentAtMs < oldestMs)
      this.#fail(this.#outstanding.shift() as Outstanding, 'no echo in time')
    if (this.#state === 'open' && nowMs >= this.#endsAtMs) this.end()
    if (nowMs - this.#closingAtMs > CLOSING_MS_MAX) this.abort()
  }

  /** Sends no more, and closes when the last echo has come. */
  end(): void {
    if (this.#state === 'open') this.#state = 'ending'
    this.#closeIfDone()
  }

  abort(): void {
    this.#socket.terminate()
  }

  #listen(): void {
    let what = 'connection closed'
    let status: number | undefined
    const socket = this.#socket
    socket.on('upgrade', (answer: IncomingMessage) =>
      this.#named(nameIn(answer.headers[this.#config.serverHeader]) ?? ''),
    )
    socket.on('open', () => this.#opened())
    socket.on('message', data => this.#heard(String(data as Buffer)))
    socket.on('unexpected-response', (request, answer) => {
      status = answer.statusCode ?? 0
      this.#server = nameIn(answer.headers[this.#config.serverHeader]) ?? ''
      request.destroy(new Error(`status ${status}`))
    })
    let mayHaveLeft = true
    socket.on('error', (failure: Error & { code?: string; syscall?: string }) => {
      what = failure.code ?? failure.message
      mayHaveLeft = failure.syscall !== 'connect'
    })
    socket.on('close', code => {
      const refused = status === undefined ? undefined : refusal(status, this.#server)
      this.#closed(refused ?? { kind: 'bad', what: `${what} (${code})`, mayHaveRun: mayHaveLeft })
    })
  }

  #named(server: string): void {
    this.#server = server
    this.#atKill = this.#deps.isDying(server)
  }

  #opened(): void {
    this.#state = 'open'
    this.wasOpened = true
    this.#deps.books.ended(this.#opening, { kind: 'good', server: this.#server })
    for (const { sequence } of this.#outstanding) this.#socket.send(this.#deps.books.idOf(sequence))
  }

  /** Echoes come in order: one that is passed over is missing. */
  #heard(id: string): void {
    const index = this.#outstanding.findIndex(({ sequence }) => this.#deps.books.idOf(sequence) === id)
    if (index < 0) return this.#strange(id)
    for (const missed of this.#outstanding.splice(0, index)) this.#fail(missed, 'a later echo came first')
    const { sequence, sentAtMs } = this.#outstanding.shift() as Outstanding
    if (sentAtMs > this.#killEndedAtMs) this.#atKill = false // it lives
    this.#answered.add(id)
    this.#deps.books.ended(sequence, { kind: 'good', server: this.#server })
    this.#deps.served(this.#server ?? '')
    this.#closeIfDone()
  }

  #strange(id: string): void {
    const sequence = Number(id.slice(id.lastIndexOf('-') + 1))
    if (this.#answered.has(id)) this.#deps.books.cameTwice(sequence)
    // What is late has been booked; anything else is not ours, and the connection cannot be trusted.
    else if (!Number.isSafeInteger(sequence) || this.#deps.books.idOf(sequence) !== id) this.abort()
  }

  #closeIfDone(): void {
    if (this.#state !== 'ending' || this.#outstanding.length > 0 || this.#closingAtMs !== Number.POSITIVE_INFINITY)
      return
    this.#closingAtMs = this.#deps.nowMs()
    this.#socket.close(NORMAL)
  }

  #closed(outcome: Bad): void {
    const isInTime = this.#state === 'ending' && this.#outstanding.length === 0
    this.#state = 'closed'
    this.#deps.books.ended(this.#opening, outcome)
    if (this.wasOpened && !isInTime) this.#cut(outcome)
    else for (const one of this.#outstanding.splice(0)) this.#deps.books.ended(one.sequence, outcome, 'opening')
    this.#deps.ended(this)
  }

  #cut({ what }: Bad): void {
    const seconds = ((this.#deps.nowMs() - this.#openedAtMs) / 1000).toFixed(1)
    if (this.#outstanding.length === 0) {
      const sequence = this.#deps.books.sent('websocket', this.#server, this.#atKill)
      this.#outstanding.push({ sequence, sentAtMs: this.#deps.nowMs() })
    }
    for (const one of this.#outstanding.splice(0)) this.#fail(one, `cut after ${seconds} s: ${what}`)
  }

  #fail({ sequence }: Outstanding, what: string): void {
    this.#deps.books.ended(sequence, { kind: 'bad', what, mayHaveRun: true, server: this.#server }, 'WebSocket')
  }
}
