import type { Clock, Random } from '../../base/index.ts'
import type { Books, ClientConfig } from './books.ts'
import { SocketClient, type SocketDeps } from './socket-client.ts'

export interface SocketsConfig extends ClientConfig {
  /** `ws://` or `wss://`. */
  readonly url: string
  /** How long a connection lives at most; each draws its own time from the upper half. */
  readonly lifeMs: number
  /** How many are open at a time. */
  readonly connections: number
}

/** After a failed opening; else a site that is down would be asked at every tick. */
const AGAIN_MS = 200

/** The clients of `websocket`: so many connections at a time, the messages spread over them in turn. */
export class SocketClients {
  readonly #config: SocketsConfig
  readonly #clock: Clock
  readonly #random: Random
  readonly #deps: SocketDeps
  readonly #books: Books
  readonly #clients = new Set<SocketClient>()
  readonly #dying: string[] = []
  #turn = 0
  #openAgainAtMs = Number.NEGATIVE_INFINITY
  #stopped: (() => void) | undefined

  constructor(
    config: SocketsConfig,
    deps: { clock: Clock; random: Random; books: Books; served: (server: string) => void },
  ) {
    this.#config = config
    this.#clock = deps.clock
    this.#random = deps.random
    this.#books = deps.books
    this.#deps = {
      books: deps.books,
      served: deps.served,
      nowMs: () => deps.clock.nowMs(),
      isDying: server => this.#dying.includes(server),
      ended: client => this.#ended(client),
    }
  }

  /** One message over the next connection; without any it is lost. */
  send(): void {
    const open = [...this.#clients].filter(client => client.isOpen)
    const usable = open.length > 0 ? open : [...this.#clients].filter(client => client.takes)
    const next = usable[this.#turn++ % usable.length]
    if (next !== undefined) return next.send()
    const sequence = this.#books.sent('websocket')
    this.#books.ended(sequence, { kind: 'bad', what: 'not sent: no WebSocket is open', mayHaveRun: false })
  }

  /** Ends what is due, and opens what is missing. */
  tick(): void {
    const nowMs = this.#clock.nowMs()
    for (const client of this.#clients) client.tick(nowMs)
    const living = [...this.#clients].filter(client => client.takes).length
    if (nowMs < this.#openAgainAtMs) return
    for (let missing = this.#config.connections - living; missing > 0; missing--) this.#open()
  }

  killBegins(server: string): void {
    this.#dying.push(server)
    for (const client of this.#clients) client.killBegins(server)
  }

  killEnds(server: string): void {
    const index = this.#dying.indexOf(server)
    if (index >= 0) this.#dying.splice(index, 1)
    for (const client of this.#clients) client.killEnds(server)
  }

  /** Closes every connection when its last echo has come; resolves when all are closed. */
  async stop(): Promise<void> {
    while (this.#clients.size > 0) {
      const nowMs = this.#clock.nowMs()
      for (const client of this.#clients) {
        client.end()
        client.tick(nowMs)
      }
      await new Promise<void>(resolve => {
        this.#stopped = resolve
        this.#clock.after(STOP_TICK_MS, resolve)
      })
    }
  }

  abort(): void {
    for (const client of this.#clients) client.abort()
  }

  #open(): void {
    const lifeMs = this.#config.lifeMs * (0.5 + 0.5 * this.#random.float())
    this.#clients.add(new SocketClient(this.#config.url, lifeMs, this.#config, this.#deps))
  }

  #ended(client: SocketClient): void {
    this.#clients.delete(client)
    if (!client.wasOpened) this.#openAgainAtMs = this.#clock.nowMs() + AGAIN_MS
    if (this.#clients.size === 0) this.#stopped?.()
  }
}

const STOP_TICK_MS = 20
