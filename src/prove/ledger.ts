import { assert } from '../base/index.ts'
import { Histogram } from './histogram.ts'

export type Method = 'GET' | 'POST'

/** How a request ended, as its sender saw it. */
export type Outcome =
  /** Answered as it should be, by `server`. */
  | { readonly kind: 'good'; readonly server: string | undefined }
  /**
   * Anything else. `mayHaveRun`: it had left and nothing proves that no server executed it (the connection broke, 502,
   * 504, no answer in time).
   */
  | { readonly kind: 'bad'; readonly what: string; readonly mayHaveRun: boolean; readonly server?: string | undefined }

/** One request that was not answered, for a person to look at. */
export interface Failure {
  readonly id: string
  readonly method: Method
  /** When it was sent, in milliseconds of the ledger's clock. */
  readonly sentAtMs: number
  readonly tookMs: number
  readonly what: string
  readonly countedAs: 'lost' | 'unknown'
  readonly server: string | undefined
  /** Whether it went over a connection kept from an earlier request, and whatever else the driver knows. */
  readonly how: string
}

/** The requests *sent* during one act (DESIGN.md section 1 and 7 for the words). */
export interface WindowStats {
  readonly name: string
  readonly sent: number
  readonly posts: number
  readonly good: number
  /** Sent without a good answer, and no kill excuses it. */
  readonly lost: number
  /** POSTs in flight at a kill of which nobody can say whether they ran. Never more than `postsAtKills`. */
  readonly unknown: number
  /** POSTs that ran more than once, as far as `reconcile` has been told. */
  readonly doubled: number
  /** POSTs that were in flight while something was being killed: the most that `unknown` may be. */
  readonly postsAtKills: number
  readonly latencies: Latencies
}

export interface Latencies {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export interface LedgerStats extends WindowStats {
  readonly inFlight: number
  /** Good answers in the last full second. */
  readonly perSecond: number
  /** Good answers by server, as the servers name themselves. */
  readonly byServer: Readonly<Record<string, number>>
  readonly windows: readonly WindowStats[]
  /** The first ones, `FAILURES_MAX` at most. */
  readonly failures: readonly Failure[]
}

/** What the servers' ledgers say, held against ours. */
export interface Reconciliation {
  /** Ids that were executed more than once. */
  readonly doubled: readonly string[]
  /** POSTs that were answered as good and stand in no ledger; counted as lost. */
  readonly unexecuted: readonly string[]
}

/** Enough to see a pattern. */
const FAILURES_MAX = 50
/** Servers that are counted by name; what a server says of itself must not fill our memory. */
const SERVERS_MAX = 1024
/** Acts in one run; further ones are counted in the last. */
const WINDOWS_MAX = 1000
const GOOD_POST = 1

interface InFlight {
  readonly method: Method
  readonly sentAtMs: number
  readonly window: Window
  atKill: boolean
}

interface Window {
  readonly name: string
  readonly firstSequence: number
  readonly histogram: Histogram
  sent: number
  posts: number
  good: number
  lost: number
  unknown: number
  doubled: number
  postsAtKills: number
}

/**
 * The books of one run. Pure: time comes in as an argument and requests are told by their sequence number. Every request ends
 * in exactly one of good, lost and unknown; which act it belongs to is decided by when it was sent.
 */
export class Ledger {
  readonly #run: string
  readonly #windows: Window[] = [newWindow('start', 0)]
  readonly #inFlight = new Map<number, InFlight>()
  readonly #byServer = new Map<string, { good: number; lastAtMs: number }>()
  readonly #failures: Failure[] = []
  /** One byte per request: is it a POST with a good answer? */
  #outcomes = new Uint8Array(4096)
  #next = 0
  #killing = 0
  #second = { index: 0, good: 0, goodBefore: 0 }

  /** @param run prefix of all ids of this run, so that ledgers of several runs can share files */
  constructor(run: string) {
    this.#run = run
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  /** From here on, requests belong to the act `name`. */
  begin(name: string): void {
    if (this.#windows.length < WINDOWS_MAX) this.#windows.push(newWindow(name, this.#next))
  }

  /** Something is about to be killed: POSTs in flight now, and those sent until `killEnds`, may become unknown. */
  killBegins(): void {
    this.#killing++
    for (const request of this.#inFlight.values()) this.#excuse(request)
  }

  /** What was to be killed is gone: what is sent from now on has no excuse. */
  killEnds(): void {
    assert(this.#killing > 0, 'a kill ended that had not begun')
    this.#killing--
  }

  /** @returns the request's sequence number; `idOf` makes it an id */
  sent(method: Method, nowMs: number): number {
    const sequence = this.#next++
    const window = this.#windows.at(-1) as Window
    const request = { method, sentAtMs: nowMs, window, atKill: false }
    window.sent++
    if (method === 'POST') window.posts++
    this.#inFlight.set(sequence, request)
    if (this.#killing > 0) this.#excuse(request)
    return sequence
  }

  idOf(sequence: number): string {
    return `${this.#run}-${sequence}`
  }

  /** Books the end of a request; a second end of the same request is ignored (an error after an abort, say). */
  ended(sequence: number, outcome: Outcome, nowMs: number, how = ''): void {
    const request = this.#inFlight.get(sequence)
    if (request === undefined) return
    this.#inFlight.delete(sequence)
    const tookMs = nowMs - request.sentAtMs
    request.window.histogram.record(tookMs)
    if (outcome.kind === 'good') return this.#bookGood(sequence, request, outcome.server, nowMs)
    const countedAs = request.atKill && outcome.mayHaveRun ? 'unknown' : 'lost'
    request.window[countedAs]++
    if (this.#failures.length >= FAILURES_MAX) return
    const { method, sentAtMs } = request
    const { what, server } = outcome
    this.#failures.push({ id: this.idOf(sequence), method, sentAtMs, tookMs, what, countedAs, server, how })
  }

  /** When `server` last gave a good answer, on the ledger's clock. */
  lastServedMs(server: string): number | undefined {
    return this.#byServer.get(server)?.lastAtMs
  }

  /**
   * Holds the ids that servers have executed against what was sent. Call it once, at the end, with all of them; ids of
   * other runs are passed over.
   */
  reconcile(executed: Iterable<string>): Reconciliation {
    const times = this.#countExecutions(executed)
    const doubled: string[] = []
    const unexecuted: string[] = []
    for (let sequence = 0; sequence < this.#next; sequence++) {
      if ((times[sequence] as number) > 1) {
        doubled.push(this.idOf(sequence))
        this.#windowOf(sequence).doubled++
      } else if (this.#outcomes[sequence] === GOOD_POST && times[sequence] === 0) {
        unexecuted.push(this.idOf(sequence))
        this.#windowOf(sequence).good--
        this.#windowOf(sequence).lost++
      }
    }
    return { doubled, unexecuted }
  }

  stats(nowMs: number): LedgerStats {
    this.#turnSecond(nowMs)
    const total = newWindow('total', 0)
    for (const window of this.#windows) addTo(total, window)
    return {
      ...statsOf(total),
      inFlight: this.#inFlight.size,
      perSecond: this.#second.goodBefore,
      byServer: Object.fromEntries([...this.#byServer].map(([server, { good }]) => [server, good])),
      windows: this.#windows.map(statsOf),
      failures: [...this.#failures],
    }
  }

  #bookGood(sequence: number, request: InFlight, server: string | undefined, nowMs: number): void {
    request.window.good++
    this.#turnSecond(nowMs)
    this.#second.good++
    if (request.method === 'POST') this.#remember(sequence)
    if (server === undefined) return
    const seen = this.#byServer.get(server)
    if (seen !== undefined) {
      seen.good++
      seen.lastAtMs = nowMs
    } else if (this.#byServer.size < SERVERS_MAX) this.#byServer.set(server, { good: 1, lastAtMs: nowMs })
  }

  #excuse(request: InFlight): void {
    if (request.method !== 'POST' || request.atKill) return
    request.atKill = true
    request.window.postsAtKills++
  }

  #remember(sequence: number): void {
    if (sequence >= this.#outcomes.length) {
      const larger = new Uint8Array(Math.max(sequence + 1, this.#outcomes.length * 2))
      larger.set(this.#outcomes)
      this.#outcomes = larger
    }
    this.#outcomes[sequence] = GOOD_POST
  }

  #countExecutions(executed: Iterable<string>): Uint8Array {
    const times = new Uint8Array(this.#next)
    const prefix = `${this.#run}-`
    for (const id of executed) {
      const sequence = id.startsWith(prefix) ? Number(id.slice(prefix.length)) : -1
      if (sequence in times) times[sequence] = Math.min(255, (times[sequence] as number) + 1)
    }
    return times
  }

  #windowOf(sequence: number): Window {
    return this.#windows.findLast(window => window.firstSequence <= sequence) as Window
  }

  #turnSecond(nowMs: number): void {
    const index = Math.floor(nowMs / 1000)
    if (index === this.#second.index) return
    this.#second = { index, good: 0, goodBefore: index === this.#second.index + 1 ? this.#second.good : 0 }
  }
}

function newWindow(name: string, firstSequence: number): Window {
  const counts = { sent: 0, posts: 0, good: 0, lost: 0, unknown: 0, doubled: 0, postsAtKills: 0 }
  return { name, firstSequence, histogram: new Histogram(), ...counts }
}

function addTo(total: Window, window: Window): void {
  for (const key of ['sent', 'posts', 'good', 'lost', 'unknown', 'doubled', 'postsAtKills'] as const) {
    total[key] += window[key]
  }
  total.histogram.add(window.histogram)
}

function statsOf(window: Window): WindowStats {
  const { name, sent, posts, good, lost, unknown, doubled, postsAtKills, histogram } = window
  const latencies = { p50Ms: histogram.quantileMs(0.5), p99Ms: histogram.quantileMs(0.99), maxMs: histogram.maxMs }
  return { name, sent, posts, good, lost, unknown, doubled, postsAtKills, latencies }
}
