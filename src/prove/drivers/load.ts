import { type Clock, type Random, sleep } from '../../base/index.ts'
import { type Kind, KINDS, mixedRates, type Rates } from '../kinds.ts'
import { Ledger, type LedgerCounts, type LedgerStats, type Reconciliation } from '../ledger.ts'
import { LagMeter, type OwnLag } from '../own-lag.ts'
import { Pace } from '../pace.ts'
import type { Books } from './books.ts'
import { HttpClients } from './http-clients.ts'
import { SocketClients } from './socket-clients.ts'

export interface LoadConfig {
  /** `http://` or `https://`; the id is added as `?id=`, and stands in the header `x-request-id`. */
  readonly url: string
  /** Requests per second of each kind. Without any, and without POSTs, nothing is proved about doubled. */
  readonly rates?: Rates
  /** Instead of `rates`: so many in all, in the usual mix without WebSockets. */
  readonly ratePerSecond?: number
  /** An answer that takes longer is none; default 15,000 ms. */
  readonly timeoutMs?: number
  /** Answer header in which a server names itself, in lower case; default `x-backend-ip`. */
  readonly serverHeader?: string
  /** A good answer contains the request's id, so that nobody gets the answer of another; default false. */
  readonly echo?: boolean
  /** Beyond it a request counts as lost without being sent; default 5,000. Bounds our memory and descriptors. */
  readonly inFlightMax?: number
  /** Where the WebSockets are; default `/ws`. */
  readonly socketPath?: string
  /** How long a WebSocket lives at most; each draws its time from the upper half. Default 10,000 ms. */
  readonly socketLifeMs?: number
  /** Name of the first act; default `start`. */
  readonly act?: string
  /** Whether any certificate will do; default false. */
  readonly insecure?: boolean
}

/**
 * An open-loop load: each kind at its rate, whatever became of the earlier requests.
 *
 * How much it can send before it distorts what it measures: docs/proving.md has the figures. It watches itself: `ownLag`, and
 * `slowOwn` in the statistics, tell when the load was behind its own schedule.
 */
export interface Load extends AsyncDisposable {
  stats(): LedgerStats
  /** A few of the same, quickly. */
  counts(): LedgerCounts
  ownLag(): OwnLag
  /** From here on, requests belong to the act `name`. */
  begin(name: string): void
  /**
   * Around a kill or freeze: POSTs in flight between the two may end as unknown, and so may the messages of WebSockets that
   * are open to `server`.
   */
  killBegins(server?: string): void
  /** @throws AssertionError when no such kill has begun */
  killEnds(server?: string): void
  /** How many have begun and not ended. */
  readonly kills: number
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
  reconcile(executed: Iterable<string>, isWhole?: boolean): Reconciliation
  /** Sends no more, waits for what is in flight (each up to `timeoutMs`), closes all connections. Idempotent. */
  stop(): Promise<LedgerStats>
}

/** How often the pace is looked at: at 500 requests a second, two or three at a time. */
const TICK_MS = 5
/** So many messages a second go over one WebSocket. */
const MESSAGES_PER_SOCKET = 10
const SOCKETS_MAX = 500

/** Starts sending at once. Failures of requests are booked, never thrown. */
export function startLoad(config: LoadConfig, deps: { clock: Clock; random: Random }, signal?: AbortSignal): Load {
  return new OpenLoad(config, deps, signal)
}

class OpenLoad implements Load {
  readonly #clock: Clock
  readonly #ledger: Ledger
  readonly #lag: LagMeter
  readonly #paces: readonly (readonly [Kind, Pace])[]
  readonly #http: HttpClients
  readonly #sockets: SocketClients | undefined
  readonly #stalledAtSend = new Map<number, number>()
  readonly #watchers = new Set<{ server: string; served: () => void }>()
  readonly #stopping = new AbortController()
  #stopped: Promise<void> | undefined

  constructor(config: LoadConfig, deps: { clock: Clock; random: Random }, signal?: AbortSignal) {
    const { clock } = deps
    const nowMs = clock.nowMs()
    const whole = { ...DEFAULTS, ...config }
    const rates = config.rates ?? mixedRates(config.ratePerSecond ?? 0)
    this.#clock = clock
    this.#ledger = new Ledger(Buffer.from(deps.random.bytes(4)).toString('hex'), config.act)
    this.#lag = new LagMeter(TICK_MS, nowMs)
    this.#paces = KINDS.filter(kind => (rates[kind] ?? 0) > 0).map(
      kind => [kind, new Pace(rates[kind] as number, nowMs)] as const,
    )
    const books = this.#books()
    this.#http = new HttpClients(whole, { clock, books })
    const { websocket = 0 } = rates
    if (websocket > 0) {
      const connections = Math.min(SOCKETS_MAX, Math.ceil(websocket / MESSAGES_PER_SOCKET))
      const sockets = { ...whole, url: socketUrl(whole.url, whole.socketPath), lifeMs: whole.socketLifeMs, connections }
      this.#sockets = new SocketClients(sockets, { ...deps, books, served: server => this.#tellWatchers(server) })
    }
    signal?.addEventListener('abort', () => this.#abort(), { once: true, signal: this.#stopping.signal })
    if (signal?.aborted) this.#abort()
    else this.#tick()
  }

  get kills(): number {
    return this.#ledger.kills
  }

  stats(): LedgerStats {
    return this.#ledger.stats(this.#clock.nowMs())
  }

  counts(): LedgerCounts {
    return this.#ledger.counts(this.#clock.nowMs())
  }

  ownLag(): OwnLag {
    return this.#lag.lag()
  }

  begin(name: string): void {
    this.#ledger.begin(name)
  }

  killBegins(server?: string): void {
    this.#ledger.killBegins(server)
    if (server !== undefined) this.#sockets?.killBegins(server)
  }

  killEnds(server?: string): void {
    this.#ledger.killEnds(server)
    if (server !== undefined) this.#sockets?.killEnds(server)
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

  reconcile(executed: Iterable<string>, isWhole?: boolean): Reconciliation {
    return this.#ledger.reconcile(executed, isWhole)
  }

  async stop(): Promise<LedgerStats> {
    this.#stopping.abort()
    this.#stopped ??= Promise.all([this.#http.stop(), this.#sockets?.stop()]).then(() => {})
    await this.#stopped
    return this.stats()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort()
    await this.stop()
  }

  #abort(): void {
    this.#stopping.abort()
    this.#http.abort()
    this.#sockets?.abort()
  }

  #tick(): void {
    if (this.#stopping.signal.aborted) return
    const nowMs = this.#clock.nowMs()
    this.#lag.tick(nowMs)
    this.#sockets?.tick()
    for (const [kind, pace] of this.#paces) for (let due = pace.due(nowMs); due > 0; due--) this.#send(kind)
    this.#clock.after(TICK_MS, () => this.#tick())
  }

  #send(kind: Kind): void {
    if (kind === 'websocket') this.#sockets?.send()
    else this.#http.send(kind, server => this.#tellWatchers(server))
  }

  /** The ledger with the clock behind it, and how much of each wait was the prover's own. */
  #books(): Books {
    const now = () => this.#clock.nowMs()
    return {
      sent: (kind, server, atKill) => {
        const sequence = this.#ledger.sent(kind, now(), server, atKill)
        this.#stalledAtSend.set(sequence, this.#lag.stalledMs(now()))
        return sequence
      },
      idOf: sequence => this.#ledger.idOf(sequence),
      ended: (sequence, outcome, how = '') => {
        const ownMs = this.#lag.stalledMs(now()) - (this.#stalledAtSend.get(sequence) ?? 0)
        this.#stalledAtSend.delete(sequence)
        this.#ledger.ended(sequence, outcome, now(), { how, ownMs })
      },
      cameTwice: sequence => this.#ledger.cameTwice(sequence),
    }
  }

  #tellWatchers(server: string): void {
    for (const watcher of this.#watchers) if (watcher.server === server) watcher.served()
  }
}

const DEFAULTS = {
  timeoutMs: 15_000,
  serverHeader: 'x-backend-ip',
  echo: false,
  inFlightMax: 5000,
  socketPath: '/ws',
  socketLifeMs: 10_000,
  insecure: false,
}

function socketUrl(url: string, path: string): string {
  const there = new URL(path, url)
  there.protocol = there.protocol === 'https:' ? 'wss:' : 'ws:'
  return there.href
}
