import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { type Clock, type Random, sleep } from '../../base/index.ts'
import { Ledger, type LedgerStats, type Method, type Outcome, type Reconciliation } from '../ledger.ts'
import { Pace } from '../pace.ts'

export interface LoadConfig {
  /** Plain `http://`; the id is added as `?id=`. */
  readonly url: string
  readonly ratePerSecond: number
  /** Share of POSTs, 0 to 1; default 0.2. Without any, nothing is proved about doubled. */
  readonly postShare?: number
  /** Share of requests over kept connections, 0 to 1; default 0.5. The others say `connection: close`. */
  readonly keepAliveShare?: number
  /** An answer that takes longer is none; default 15,000 ms. */
  readonly timeoutMs?: number
  /** Answer header in which a server names itself; default `x-backend-ip`. */
  readonly serverHeader?: string
  /** A good answer contains the request's id, so that nobody gets the answer of another; default false. */
  readonly echo?: boolean
  /** Beyond it a request counts as lost without being sent; default 5,000. Bounds our memory and descriptors. */
  readonly inFlightMax?: number
}

export interface Load extends AsyncDisposable {
  stats(): LedgerStats
  /** From here on, requests belong to the act `name`. */
  begin(name: string): void
  /** Around a kill: POSTs in flight between the two may end as unknown. */
  killBegins(): void
  killEnds(): void
  /**
   * Waits for the next good answer by `server`.
   * @returns milliseconds from the call
   * @throws the signal's reason
   */
  untilServed(server: string, signal?: AbortSignal): Promise<number>
  /**
   * Waits until `server` has given no answer for `quietMs` (default 1,000).
   * @returns milliseconds from the call to its last answer; 0 when there was none
   * @throws the signal's reason
   */
  untilNotServed(server: string, options?: { quietMs?: number }, signal?: AbortSignal): Promise<number>
  /** Holds the servers' ledgers against ours; once, after `stop`. */
  reconcile(executed: Iterable<string>): Reconciliation
  /** Sends no more, waits for what is in flight (each up to `timeoutMs`), closes all connections. Idempotent. */
  stop(): Promise<LedgerStats>
}

/** Kept connections are ours to close, before any balancer's idle time-out meets a request on its way. */
const IDLE_MS_MAX = 3000
/** How often the pace is looked at: at 500 requests a second, two or three at a time. */
const TICK_MS = 5
const ANSWER_BYTES_MAX = 1024 * 1024

/** Starts sending at once. Failures of requests are booked, never thrown. */
export function startLoad(config: LoadConfig, deps: { clock: Clock; random: Random }, signal?: AbortSignal): Load {
  return new HttpLoad(config, deps, signal)
}

class HttpLoad implements Load {
  readonly #config: Required<LoadConfig>
  readonly #url: URL
  readonly #clock: Clock
  readonly #random: Random
  readonly #ledger: Ledger
  readonly #pace: Pace
  readonly #kept = new Agent({ keepAlive: true, scheduling: 'lifo', timeout: IDLE_MS_MAX })
  readonly #open = new Set<ClientRequest>()
  readonly #watchers = new Set<{ server: string; served: () => void }>()
  readonly #stopping = new AbortController()
  #drained: Promise<void> | undefined
  #idle: (() => void) | undefined

  constructor(config: LoadConfig, deps: { clock: Clock; random: Random }, signal?: AbortSignal) {
    this.#config = { ...DEFAULTS, ...config }
    this.#url = new URL(config.url)
    this.#clock = deps.clock
    this.#random = deps.random
    this.#ledger = new Ledger(Buffer.from(deps.random.bytes(4)).toString('hex'))
    this.#pace = new Pace(config.ratePerSecond, deps.clock.nowMs())
    signal?.addEventListener('abort', () => this.#abort(), { once: true, signal: this.#stopping.signal })
    if (signal?.aborted) this.#abort()
    else this.#tick()
  }

  stats(): LedgerStats {
    return this.#ledger.stats(this.#clock.nowMs())
  }

  begin(name: string): void {
    this.#ledger.begin(name)
  }

  killBegins(): void {
    this.#ledger.killBegins()
  }

  killEnds(): void {
    this.#ledger.killEnds()
  }

  untilServed(server: string, signal?: AbortSignal): Promise<number> {
    const startedAtMs = this.#clock.nowMs()
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#watchers.delete(watcher)
        reject(signal?.reason instanceof Error ? signal.reason : new Error(`${server} was not served in time`))
      }
      const watcher = {
        server,
        served: () => {
          this.#watchers.delete(watcher)
          signal?.removeEventListener('abort', onAbort)
          resolve(this.#clock.nowMs() - startedAtMs)
        },
      }
      if (signal?.aborted) return onAbort()
      this.#watchers.add(watcher)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  async untilNotServed(server: string, options: { quietMs?: number } = {}, signal?: AbortSignal): Promise<number> {
    const quietMs = options.quietMs ?? 1000
    const startedAtMs = this.#clock.nowMs()
    for (;;) {
      const lastMs = Math.max(startedAtMs, this.#ledger.lastServedMs(server) ?? startedAtMs)
      const leftMs = lastMs + quietMs - this.#clock.nowMs()
      if (leftMs <= 0) return lastMs - startedAtMs
      await sleep(this.#clock, leftMs, signal)
    }
  }

  reconcile(executed: Iterable<string>): Reconciliation {
    return this.#ledger.reconcile(executed)
  }

  async stop(): Promise<LedgerStats> {
    this.#stopping.abort()
    this.#drained ??= new Promise(resolve => {
      this.#idle = resolve
      if (this.#open.size === 0) resolve()
    })
    await this.#drained
    this.#kept.destroy()
    return this.stats()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort()
    await this.stop()
  }

  #abort(): void {
    this.#stopping.abort()
    for (const open of this.#open) open.destroy(new Error('stopped'))
    this.#kept.destroy()
  }

  #tick(): void {
    if (this.#stopping.signal.aborted) return
    for (let due = this.#pace.due(this.#clock.nowMs()); due > 0; due--) this.#send()
    this.#clock.after(TICK_MS, () => this.#tick())
  }

  #send(): void {
    const method = this.#random.float() < this.#config.postShare ? 'POST' : 'GET'
    const keepAlive = this.#random.float() < this.#config.keepAliveShare
    const sequence = this.#ledger.sent(method, this.#clock.nowMs())
    const end = (outcome: Outcome, how = '') => this.#ledger.ended(sequence, outcome, this.#clock.nowMs(), how)
    if (this.#open.size >= this.#config.inFlightMax) {
      return end({ kind: 'bad', what: 'not sent: too many in flight', mayHaveRun: false })
    }
    this.#perform(method, this.#ledger.idOf(sequence), keepAlive, end)
  }

  #perform(method: Method, id: string, keepAlive: boolean, end: (outcome: Outcome, how: string) => void): void {
    const { hostname, port, pathname } = this.#url
    const sent = request({
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port,
      method,
      path: `${pathname}?id=${id}`,
      agent: keepAlive ? this.#kept : false,
      headers: method === 'POST' ? { 'content-length': 0 } : {},
    })
    const how = () => (keepAlive ? (sent.reusedSocket ? 'kept connection' : 'new connection, kept') : 'own connection')
    const deadline = this.#clock.after(this.#config.timeoutMs, () => sent.destroy(new Error('no answer in time')))
    const finish = (outcome: Outcome) => {
      deadline.cancel()
      end(outcome, how())
      if (outcome.kind === 'good') this.#tellWatchers(outcome.server)
    }
    const broke = (failure: Error & { code?: string }) => finish(broken(failure, sent))
    this.#open.add(sent)
    sent.on('response', answer => this.#read(answer, id, finish, broke))
    sent.on('error', broke)
    sent.on('close', () => {
      deadline.cancel()
      this.#open.delete(sent)
      end({ kind: 'bad', what: 'closed without an answer', mayHaveRun: true }, how())
      if (this.#open.size === 0) this.#idle?.()
    })
    sent.end()
  }

  #read(answer: IncomingMessage, id: string, finish: (o: Outcome) => void, broke: (failure: Error) => void): void {
    const named = answer.headers[this.#config.serverHeader]
    const server = typeof named === 'string' ? named : undefined
    let body = ''
    answer.setEncoding('utf8')
    answer.on('data', (text: string) => {
      body += text
      if (body.length > ANSWER_BYTES_MAX) answer.destroy(new Error('answer is too long'))
    })
    answer.on('error', broke)
    answer.on('end', () => finish(outcomeOf(answer.statusCode ?? 0, body, server, this.#config.echo ? id : undefined)))
  }

  #tellWatchers(server: string | undefined): void {
    for (const watcher of this.#watchers) if (watcher.server === server) watcher.served()
  }
}

const DEFAULTS = {
  postShare: 0.2,
  keepAliveShare: 0.5,
  timeoutMs: 15_000,
  serverHeader: 'x-backend-ip',
  echo: false,
  inFlightMax: 5000,
}

function outcomeOf(status: number, body: string, server: string | undefined, id: string | undefined): Outcome {
  if (status < 200 || status > 399) {
    // A gateway says 502 and 504 of a request that it had passed on; 503 of one that it had not.
    return { kind: 'bad', what: `status ${status}`, mayHaveRun: status === 502 || status === 504, server }
  }
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
