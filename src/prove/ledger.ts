import { assert } from '../base/index.ts'
import { type Kind, KINDS } from './kinds.ts'
import { addTo, type Counts, type Latencies, newCounts, statsOf, type Window } from './windows.ts'

/** How a request ended, as its sender saw it. */
export type Outcome =
  /** Answered as it should be, by `server`. */
  | { readonly kind: 'good'; readonly server: string | undefined }
  /**
   * Anything else. `mayHaveRun`: it had left and nothing proves that no server executed it (the connection broke, 502,
   * 504, no answer in time).
   */
  | { readonly kind: 'bad'; readonly what: string; readonly mayHaveRun: boolean; readonly server?: string | undefined }

export type Bad = Extract<Outcome, { readonly kind: 'bad' }>

/** One request that was not answered, for a person to look at. */
export interface Failure {
  readonly id: string
  readonly kind: Kind
  /** The act in which it was sent. */
  readonly act: string
  /** When it was sent, in milliseconds of the ledger's clock. */
  readonly sentAtMs: number
  readonly tookMs: number
  readonly what: string
  readonly countedAs: 'lost' | 'unknown'
  readonly server: string | undefined
  /** Whether it went over a connection kept from an earlier request, and whatever else the driver knows. */
  readonly how: string
}

/** The counts of a whole, its kinds added up. */
export interface SumStats {
  readonly sent: number
  readonly posts: number
  readonly good: number
  /** Sent without a good answer, and no kill excuses it. */
  readonly lost: number
  /** In flight at a kill, and nobody can say whether it ran. Never more than `atKills`. */
  readonly unknown: number
  /** POSTs that ran more than once, as far as `reconcile` has been told, and WebSocket messages that came back twice. */
  readonly doubled: number
  /**
   * What was in flight while something was being killed and may have been there: the most that `unknown` may be. Whatever
   * another server has answered is not among them.
   */
  readonly atKills: number
  /** The POSTs among them. */
  readonly postsAtKills: number
  readonly latencies: Latencies
}

/** The requests of one kind. */
export type KindStats = Omit<SumStats, 'posts' | 'postsAtKills'>

/** The requests *sent* during one act (the words are in docs/proving.md). */
export interface WindowStats extends SumStats {
  readonly name: string
  /** The kinds of which something was sent. */
  readonly kinds: Readonly<Partial<Record<Kind, KindStats>>>
}

export interface LedgerStats extends WindowStats {
  readonly inFlight: number
  /** Good answers in the last full second. */
  readonly perSecond: number
  /** Good answers by server, as the servers name themselves. */
  readonly byServer: Readonly<Record<string, number>>
  readonly windows: readonly WindowStats[]
  /** The first lost ones, `LOST_LISTED_MAX` at most, and the first unknown ones, `UNKNOWN_LISTED_MAX`. */
  readonly failures: readonly Failure[]
  /** Answers that took longer than `SLOW_MS`, and how many of those mostly waited for the prover itself. */
  readonly slow: number
  readonly slowOwn: number
  /** Lost ones that were answered as good and stand in no ledger, as far as `reconcile` has been told. */
  readonly unexecuted: number
}

/** How it stands. */
export interface LedgerCounts
  extends Pick<LedgerStats, 'sent' | 'lost' | 'doubled' | 'unknown' | 'inFlight' | 'perSecond'> {
  /** The present one. */
  readonly act: string
}

/** What the servers' ledgers say, held against ours. */
export interface Reconciliation {
  /** Ids that were executed more than once. */
  readonly doubled: readonly string[]
  /** POSTs that were answered as good and stand in no ledger; counted as lost. */
  readonly unexecuted: readonly string[]
}

/** Longer than this, and an answer is slow. */
export const SLOW_MS = 100
/** Enough to see a pattern. */
const LOST_LISTED_MAX = 50
/** Each unknown one has to be accounted for; no kill has more than this in flight. */
const UNKNOWN_LISTED_MAX = 5000
/** Servers that are counted by name; what a server says of itself must not fill our memory. */
const SERVERS_MAX = 1024
/** Acts in one run; further ones are counted in the last. */
const WINDOWS_MAX = 1000
/** Names of acts may come from a script. */
const NAME_LENGTH_MAX = 100
const GOOD_POST = 1

interface InFlight {
  readonly kind: Kind
  readonly sentAtMs: number
  readonly window: Window
  /** Where it is, as far as its connection tells; undefined: anywhere. */
  readonly server: string | undefined
  /** What was killed meanwhile and may have had it; undefined: something without a name. */
  readonly killed: (string | undefined)[]
}

/** What the sender knows beyond the outcome. */
export interface Circumstances {
  readonly how?: string
  /** For how long the prover itself did not run meanwhile. */
  readonly ownMs?: number
}

/**
 * The books of one run. Pure: time comes in as an argument and requests are told by their sequence number. Every request ends
 * in exactly one of good, lost and unknown; which act it belongs to is decided by when it was sent.
 *
 * Excused by a kill are only requests that must not be sent again: POSTs, of which nobody knows where they are, and WebSocket
 * messages whose own server it was, or whose connection was just being opened. A GET has no excuse: it can be sent again.
 */
export class Ledger {
  readonly #run: string
  readonly #windows: Window[]
  readonly #inFlight = new Map<number, InFlight>()
  readonly #byServer = new Map<string, { good: number; lastAtMs: number }>()
  readonly #failures: Record<Failure['countedAs'], Failure[]> = { lost: [], unknown: [] }
  /** One byte per request: is it a POST with a good answer? */
  #outcomes = new Uint8Array(4096)
  #next = 0
  readonly #killing: (string | undefined)[] = []
  #second = { index: 0, good: 0, goodBefore: 0 }
  #slow = 0
  #slowOwn = 0
  #unexecuted = 0

  /**
   * @param run prefix of all ids of this run, so that ledgers of several runs can share files
   * @param act the first one
   */
  constructor(run: string, act = 'start') {
    this.#run = run
    this.#windows = [newWindow(act, 0)]
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  /** From here on, requests belong to the act `name`. */
  begin(name: string): void {
    const shown = name.slice(0, NAME_LENGTH_MAX)
    if (this.#windows.length < WINDOWS_MAX) this.#windows.push(newWindow(shown, this.#next))
  }

  /**
   * Something is about to be killed or frozen: what is in flight there now, and what is sent until `killEnds`, may become
   * unknown.
   * @param server its name, as it answers; without it WebSockets are not excused
   */
  killBegins(server?: string): void {
    this.#killing.push(server)
    for (const request of this.#inFlight.values()) if (isExcused(request, server)) excuse(request, server)
  }

  /** What was to be killed is gone: what is sent from now on has no excuse. Without a name the kill that began first. */
  killEnds(server?: string): void {
    const index = server === undefined ? 0 : this.#killing.indexOf(server)
    assert(this.#killing.length > 0 && index >= 0, 'a kill ended that had not begun')
    this.#killing.splice(index, 1)
  }

  get kills(): number {
    return this.#killing.length
  }

  /**
   * @param server of a WebSocket message: whose connection it goes over
   * @param atKill of a WebSocket message: its connection was open at a kill of its server
   * @returns the request's sequence number; `idOf` makes it an id
   */
  sent(kind: Kind, nowMs: number, server?: string, atKill = false): number {
    const sequence = this.#next++
    const window = this.#windows.at(-1) as Window
    const request = { kind, sentAtMs: nowMs, window, server, killed: [] }
    window.counts[kind].sent++
    this.#inFlight.set(sequence, request)
    if (atKill) excuse(request, server)
    for (const killed of this.#killing) if (isExcused(request, killed)) excuse(request, killed)
    return sequence
  }

  idOf(sequence: number): string {
    return `${this.#run}-${sequence}`
  }

  /** Books the end of a request; a second end of the same request is ignored (an error after an abort, say). */
  ended(sequence: number, outcome: Outcome, nowMs: number, circumstances: Circumstances = {}): void {
    const request = this.#inFlight.get(sequence)
    if (request === undefined) return
    this.#inFlight.delete(sequence)
    const tookMs = nowMs - request.sentAtMs
    const counts = request.window.counts[request.kind]
    counts.histogram.record(tookMs)
    this.#bookSlow(tookMs, circumstances.ownMs ?? 0)
    if (outcome.kind === 'good') return this.#bookGood(sequence, request, outcome.server, nowMs)
    const countedAs = request.killed.length > 0 && outcome.mayHaveRun ? 'unknown' : 'lost'
    counts[countedAs]++
    const listed = this.#failures[countedAs]
    if (listed.length >= (countedAs === 'lost' ? LOST_LISTED_MAX : UNKNOWN_LISTED_MAX)) return
    const { kind, sentAtMs, window } = request
    const { what, server = request.server } = outcome
    const how = circumstances.how ?? ''
    listed.push({ id: this.idOf(sequence), kind, act: window.name, sentAtMs, tookMs, what, countedAs, server, how })
  }

  /** A WebSocket message came back once more. */
  cameTwice(sequence: number): void {
    this.#windowOf(sequence).counts.websocket.doubled++
  }

  /** When `server` last gave a good answer, on the ledger's clock. */
  lastServedMs(server: string): number | undefined {
    return this.#byServer.get(server)?.lastAtMs
  }

  /**
   * Holds the ids that servers have executed against what was sent. Call it once, at the end, with all of them; ids of
   * other runs are passed over.
   * @param isWhole false: a ledger is missing, so that what stands in none may have run all the same
   */
  reconcile(executed: Iterable<string>, isWhole = true): Reconciliation {
    const times = this.#countExecutions(executed)
    const doubled: string[] = []
    const unexecuted: string[] = []
    for (let sequence = 0; sequence < this.#next; sequence++) {
      const counts = () => this.#windowOf(sequence).counts.post
      if ((times[sequence] as number) > 1) {
        doubled.push(this.idOf(sequence))
        counts().doubled++
      } else if (isWhole && this.#outcomes[sequence] === GOOD_POST && times[sequence] === 0) {
        unexecuted.push(this.idOf(sequence))
        counts().good--
        counts().lost++
      }
    }
    this.#unexecuted = unexecuted.length
    return { doubled, unexecuted }
  }

  /** The counts alone, quickly: for whoever looks often. */
  counts(nowMs: number): LedgerCounts {
    this.#turnSecond(nowMs)
    const sum = { sent: 0, lost: 0, doubled: 0, unknown: 0 }
    for (const { counts } of this.#windows)
      for (const kind of KINDS)
        for (const key of ['sent', 'lost', 'doubled', 'unknown'] as const) sum[key] += counts[kind][key]
    const act = (this.#windows.at(-1) as Window).name
    return { ...sum, act, inFlight: this.#inFlight.size, perSecond: this.#second.goodBefore }
  }

  stats(nowMs: number): LedgerStats {
    this.#turnSecond(nowMs)
    const total = newWindow('total', 0)
    for (const window of this.#windows) for (const kind of KINDS) addTo(total.counts[kind], window.counts[kind])
    return {
      ...statsOf(total),
      inFlight: this.#inFlight.size,
      perSecond: this.#second.goodBefore,
      byServer: Object.fromEntries([...this.#byServer].map(([server, { good }]) => [server, good])),
      windows: this.#windows.map(statsOf),
      failures: [...this.#failures.lost, ...this.#failures.unknown],
      slow: this.#slow,
      slowOwn: this.#slowOwn,
      unexecuted: this.#unexecuted,
    }
  }

  #bookGood(sequence: number, request: InFlight, server: string | undefined, nowMs: number): void {
    const counts = request.window.counts[request.kind]
    counts.good++
    if (wasElsewhere(request, server)) counts.atKills--
    this.#turnSecond(nowMs)
    this.#second.good++
    if (request.kind === 'post') this.#remember(sequence)
    if (server === undefined) return
    const seen = this.#byServer.get(server)
    if (seen !== undefined) {
      seen.good++
      seen.lastAtMs = nowMs
    } else if (this.#byServer.size < SERVERS_MAX) this.#byServer.set(server, { good: 1, lastAtMs: nowMs })
  }

  #bookSlow(tookMs: number, ownMs: number): void {
    if (tookMs <= SLOW_MS) return
    this.#slow++
    if (ownMs * 2 >= tookMs) this.#slowOwn++
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

/** A WebSocket knows its server once it is open; while it is being opened it may be anywhere, as a POST. */
function isExcused({ kind, server }: InFlight, killed: string | undefined): boolean {
  if (kind === 'post') return true
  return kind === 'websocket' && (server === undefined || server === killed)
}

function excuse(request: InFlight, killed: string | undefined): void {
  if (request.killed.length === 0) request.window.counts[request.kind].atKills++
  request.killed.push(killed)
}

/** The answer tells that it was not at what was killed. */
function wasElsewhere({ killed }: InFlight, server: string | undefined): boolean {
  return killed.length > 0 && server !== undefined && killed.every(name => name !== undefined && name !== server)
}

function newWindow(name: string, firstSequence: number): Window {
  const counts = Object.fromEntries(KINDS.map(kind => [kind, newCounts()])) as Record<Kind, Counts>
  return { name, firstSequence, counts }
}
