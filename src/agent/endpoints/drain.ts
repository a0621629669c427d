/**
 * Taking a server away, agreed with every balancer: the asker sends a Serf query to all balancers, each answers with how much is
 * left on the endpoint there. A query has one answer per node, so the asker repeats it. First in the phase `drain`, in which
 * clients that are bound to the server still come; then `out`, in which nobody does and only what runs is waited for.
 */
import { type Clock, sleep } from '../../base/index.ts'
import { type BelowMinimum, DRAINS_QUERY } from './drain-messages.ts'
import { isPoolName } from './drain-records.ts'
import { WHY_QUERY } from '../why/messages.ts'

/** The query's name. */
export const DRAIN_QUERY = 'muster-drain'
/** Queries of Muster's own: neither handlers nor people are told of them. */
export function isOwnBusiness(event: { readonly kind: string; readonly name?: string }): boolean {
  return event.kind === 'query' && OWN_QUERIES.has(event.name ?? '')
}

const OWN_QUERIES: ReadonlySet<string> = new Set([DRAIN_QUERY, DRAINS_QUERY, WHY_QUERY])

/** How long a question waits for its answers, and the least between two of them. */
const ASK_AGAIN_MS = 250
/**
 * Between two questions while something is left: every agent of the ring passes each of them on, and some ten a second of all that
 * leave at a time are what gossip carries (docs/decisions/0004).
 */
const ASK_AGAIN_MS_MAX = 1_000
/**
 * So many rounds in a row must find nothing before a process may be stopped: a request that has its server, but not yet its
 * connection, is counted nowhere in HAProxy.
 */
const ROUNDS_OUT = 2
/** A balancer that has not answered for so long is named. */
const SILENT_MS = 1_000

/** One endpoint, as the asker's own tags announce it, or announced it. */
export interface DrainRequest {
  readonly ip: string
  readonly port: number
  /** `out`: the endpoint is withdrawn, and not even clients that are bound to it may come. Default `drain`. */
  readonly phase?: 'drain' | 'out'
}

/** What one balancer says is left on an endpoint. */
export interface DrainLeft {
  /** Requests and tunnels; at least 1 while the endpoint still takes what the phase excludes. */
  readonly left: number
  /** Bound clients came a moment ago; they are counted nowhere. */
  readonly isBound: boolean
  /** A pool that is left with too few. */
  readonly below?: BelowMinimum
}

/** What the asker needs of the cluster. */
export interface DrainCluster {
  /** Names of alive balancers. */
  balancers(): readonly string[]
  /** Asks all balancers once; resolves with the answers that came within `timeoutMs`. */
  ask(payload: Uint8Array, timeoutMs: number): Promise<ReadonlyMap<string, Uint8Array>>
}

/** Who was still busy or silent when waiting ended; empty: every balancer has let go. */
export interface DrainOutcome {
  readonly left: ReadonlyMap<string, number>
  /** Where bound clients came a moment ago. */
  readonly bound: readonly string[]
  readonly silent: readonly string[]
  /** What the balancers said last of pools with too few. */
  readonly below: readonly BelowMinimum[]
}

export interface DrainPatience {
  /** Clock time when what is left is waited for no longer; default: as long as the signal lets. */
  readonly untilMs?: number
  /** After that time: `wait` for those that give no answer until they do or are known to have failed. Default `proceed`. */
  readonly silent?: 'proceed' | 'wait'
  /** Hears of balancers that have not answered for a second, and of nobody when they have. */
  readonly onSilent?: (names: readonly string[]) => void
}

/**
 * Asks until nothing is left anywhere.
 * @returns the last answers, when all balancers have let go, patience has ended, or `signal` is aborted
 */
export async function drainEverywhere(
  cluster: DrainCluster,
  request: DrainRequest,
  clock: Clock,
  signal: AbortSignal,
  patience: DrainPatience = {},
): Promise<DrainOutcome> {
  const payload = encodeDrainRequest(request)
  const silence = new Silence(patience.onSilent)
  const { untilMs = Number.POSITIVE_INFINITY } = patience
  let rounds = 0
  let pauseMs = ASK_AGAIN_MS / 2 // doubled before the first
  for (;;) {
    const startedMs = clock.nowMs()
    const answers = await cluster.ask(payload, ASK_AGAIN_MS)
    const balancers = cluster.balancers()
    const now = new Map([...answers].map(([from, answer]) => [from, decodeDrainLeft(answer)]))
    const silent = silence.after(balancers, now, startedMs, clock.nowMs())
    const isEmpty = balancers.every(name => now.has(name) && !isBusy(now.get(name) as DrainLeft))
    rounds = isEmpty ? rounds + 1 : 0
    const isAgreed = rounds >= (request.phase === 'out' && balancers.length > 0 ? ROUNDS_OUT : 1)
    const isLate = clock.nowMs() >= untilMs
    const mayGo = isLate && (silent.length === 0 || patience.silent !== 'wait')
    if (signal.aborted || isAgreed || mayGo) return outcomeOf(balancers, isAgreed ? now : silence.last, silent)
    const isLost = balancers.some(name => !now.has(name) && !silence.named.includes(name))
    pauseMs = isEmpty || isLost ? ASK_AGAIN_MS : Math.min(ASK_AGAIN_MS_MAX, pauseMs * 2)
    const againMs = Math.min(startedMs + pauseMs, Math.max(untilMs, startedMs + ASK_AGAIN_MS))
    await sleep(clock, Math.max(0, againMs - clock.nowMs()), signal).catch(() => undefined) // aborted: ask once more
  }
}

/** Who has said what when. One lost packet makes nobody silent. */
class Silence {
  /** What each balancer has said last. */
  readonly last = new Map<string, DrainLeft>()
  /** Those that have not answered for a second. */
  named: readonly string[] = []
  readonly #tell: ((names: readonly string[]) => void) | undefined
  /** When the first question was asked that a balancer left open. */
  readonly #askedMs = new Map<string, number>()
  #told = ''

  constructor(tell: ((names: readonly string[]) => void) | undefined) {
    this.#tell = tell
  }

  /** @returns those that have not answered for a second, or not at all */
  after(
    balancers: readonly string[],
    answers: ReadonlyMap<string, DrainLeft>,
    askedMs: number,
    nowMs: number,
  ): string[] {
    for (const [name, answer] of answers) {
      this.#askedMs.delete(name)
      this.last.set(name, answer)
    }
    for (const name of balancers) if (!answers.has(name) && !this.#askedMs.has(name)) this.#askedMs.set(name, askedMs)
    const named = balancers.filter(name => nowMs - (this.#askedMs.get(name) ?? nowMs) >= SILENT_MS)
    this.named = named
    if (named.join() !== this.#told) this.#tell?.(named)
    this.#told = named.join()
    return balancers.filter(name => !this.last.has(name) || named.includes(name))
  }
}

function isBusy({ left, isBound }: DrainLeft): boolean {
  return left > 0 || isBound
}

function outcomeOf(
  balancers: readonly string[],
  answers: ReadonlyMap<string, DrainLeft>,
  silent: readonly string[],
): DrainOutcome {
  const heard = [...answers].filter(([name]) => balancers.includes(name) && !silent.includes(name))
  const busy = heard.filter(([, answer]) => isBusy(answer))
  return {
    left: new Map(busy.map(([name, { left }]) => [name, left])),
    bound: busy.filter(([, { isBound }]) => isBound).map(([name]) => name),
    silent,
    below: heard.flatMap(([, { below }]) => (below === undefined ? [] : [below])),
  }
}

export function encodeDrainRequest({ ip, port, phase }: DrainRequest): Uint8Array {
  return Buffer.from(`${ip} ${port}${phase === 'out' ? ' out' : ''}`)
}

/** Undefined for anything but an address and a port, and perhaps `out`. */
export function decodeDrainRequest(payload: Uint8Array): DrainRequest | undefined {
  const text = Buffer.from(payload.subarray(0, 64)).toString('latin1')
  const found = /^([0-9a-fA-F:.]{2,45}) (\d{1,5})( out)?$/.exec(text)
  if (found === null) return undefined
  return { ip: found[1] as string, port: Number(found[2]), phase: found[3] === undefined ? 'drain' : 'out' }
}

/** `LEFT[ BOUND[ POOL HAS WITHOUT MIN]]`: only a number where there is nothing else to say, as balancers answered at first. */
export function encodeDrainLeft({ left, isBound, below }: DrainLeft): Uint8Array {
  const bound = isBound ? '1' : '0'
  if (below !== undefined)
    return Buffer.from(`${left} ${bound} ${below.pool} ${below.has} ${below.without} ${below.min}`)
  return Buffer.from(isBound ? `${left} ${bound}` : String(left))
}

/** Nonsense counts as busy: nobody is cut off because somebody else is confused. */
export function decodeDrainLeft(payload: Uint8Array): DrainLeft {
  const text = Buffer.from(payload.subarray(0, 128)).toString('latin1')
  const found = /^(\d{1,9})(?: ([01])(?: (\S{1,48}) (\d{1,6}) (\d{1,6}) (\d{1,6}))?)?$/.exec(text)
  if (found === null) return { left: 1, isBound: false }
  const [, left, bound, pool, has, without, min] = found
  const one = { left: Number(left), isBound: bound === '1' }
  if (pool === undefined || !isPoolName(pool)) return one
  return { ...one, below: { pool, has: Number(has), without: Number(without), min: Number(min) } }
}
