import { type Address, type Clock, type Log, messageOf, type Random, sleep } from '../../base/index.ts'
import { type Answered, type RingView, type Standing, standingOf } from './join-list.ts'

/** What the joiner needs of the cluster. */
export interface Joinable {
  /** Contacts each address once; resolves with how many answered, where, and why the others did not. */
  join(addresses: readonly string[]): Promise<{
    contacted: number
    answered?: readonly Address[]
    errors: readonly { readonly address: string; readonly error: unknown }[]
  }>
  /** False while the ring is being left, and once it is left or lost: nothing is tried then. */
  canJoin(): boolean
  view(): RingView
}

export interface JoinerConfig {
  /** `host`, `host:port`, `name/host:port`; any member will do, several are better. */
  readonly addresses: readonly string[]
  /** Longest pause between two tries, milliseconds. */
  readonly retryIntervalMs: number
}

interface JoinerDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** First pause after a failed try; doubles. */
const FIRST_RETRY_MS = 100
/** Whoever restarts is back within minutes, and is found within a second; what is gone for longer is tried at `retryIntervalMs`. */
const SOON_MS = 1_000
const SOON_FOR_MS = 10 * 60_000
/** An address that merely starts a little later than this node is not worth a line. */
const NAME_AFTER_MS = 3_000

/** One address of the list, and what became of it. */
interface Peer {
  readonly address: string
  answered?: Answered
  /** Since when it is not in the ring, ms of the clock. */
  missingSinceMs?: number
  /** Why its last try failed. */
  failure?: readonly string[]
  /** The log has named it as not answering. */
  named: boolean
  pauseMs: number
  dueMs: number
}

/**
 * Joins, and keeps every address of the list joined, for ever: the first node may be missing, every start order works, and an
 * agent never ends because a peer is not there. An address is tried whenever its member is not alive here, also when there
 * is other company: a balancer that left and has come back empty, without a list of its own, is found only by those who
 * have it in theirs. What is wrong is said once, and once more when it is over.
 *
 * @param onJoined called as soon as one address has answered while somebody else is alive, however long the others take; an
 *   answer of this node itself, whose own address is in the list that all nodes share, is none
 * @returns when `signal` is aborted; never throws
 */
export async function keepJoined(
  config: JoinerConfig,
  deps: JoinerDeps,
  cluster: Joinable,
  onJoined: () => void,
  signal: AbortSignal,
): Promise<void> {
  const joiner = new Joiner(config, deps, cluster, onJoined)
  await Promise.all(joiner.peers.map(peer => joiner.keep(peer, signal)))
}

class Joiner {
  readonly peers: readonly Peer[]
  readonly #retryMs: number
  readonly #deps: JoinerDeps
  readonly #cluster: Joinable
  readonly #onJoined: () => void
  #hasJoined = false
  #hasComplained = false

  constructor(config: JoinerConfig, deps: JoinerDeps, cluster: Joinable, onJoined: () => void) {
    this.peers = config.addresses.map(address => ({ address, named: false, pauseMs: FIRST_RETRY_MS, dueMs: 0 }))
    this.#retryMs = config.retryIntervalMs
    this.#deps = deps
    this.#cluster = cluster
    this.#onJoined = onJoined
  }

  async keep(peer: Peer, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps
    while (!signal.aborted) {
      const isMissing = this.#cluster.canJoin() && this.#look(peer) !== 'here'
      if (isMissing && clock.nowMs() >= peer.dueMs) await this.#try(peer, signal)
      const waitMs = isMissing ? Math.max(0, peer.dueMs - clock.nowMs()) : SOON_MS
      await sleep(clock, Math.min(SOON_MS * this.#jitter(), waitMs), signal).catch(() => undefined) // aborted: the loop ends
    }
  }

  /** Where the address stands, and what follows from that. */
  #look(peer: Peer): Standing {
    const view = this.#cluster.view()
    const hasCompany = view.others.some(member => member.isAlive)
    const standing = standingOf(peer.address, peer.answered, view)
    if (!hasCompany) this.#hasJoined = false
    else if (!this.#hasJoined && peer.answered !== undefined) this.#joined(peer)
    if (standing === 'here') this.#isBack(peer)
    else peer.missingSinceMs ??= this.#deps.clock.nowMs()
    return standing
  }

  async #try(peer: Peer, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps
    const result = await orAborted(tryOne(this.#cluster, peer.address), signal)
    if (result === undefined) return
    const soonUntilMs = (peer.missingSinceMs ?? clock.nowMs()) + SOON_FOR_MS
    // An answer that did not bring its member, because it is still spreading or is this node's own, is not hurried either.
    const isSoon = result.contacted === 0 && clock.nowMs() < soonUntilMs
    peer.dueMs = clock.nowMs() + peer.pauseMs * this.#jitter()
    peer.pauseMs = Math.min(peer.pauseMs * 2, isSoon ? Math.min(SOON_MS, this.#retryMs) : this.#retryMs)
    if (result.contacted > 0) this.#hasAnswered(peer, result.answered ?? [])
    else this.#hasFailed(peer, result.errors)
  }

  #hasAnswered(peer: Peer, at: readonly Address[]): void {
    const alive = this.#cluster.view().others.filter(member => member.isAlive)
    peer.answered = { at, alive: alive.map(member => member.name) }
    delete peer.failure
    peer.dueMs = Math.max(peer.dueMs, this.#deps.clock.nowMs() + SOON_MS)
    if (peer.named && this.#hasJoined) this.#deps.log.info({ address: peer.address }, 'an address to join answers now')
    peer.named = false
    this.#look(peer)
  }

  #hasFailed(peer: Peer, errors: readonly { readonly address: string; readonly error: unknown }[]): void {
    if (!this.#cluster.canJoin()) return // it was left, or lost, meanwhile: no fault of the address
    peer.failure = errors.map(({ address, error }) => `${address}: ${messageOf(error)}`)
    if (this.#cluster.view().others.some(member => member.isAlive)) this.#name(peer, peer.failure)
    else this.#complain()
  }

  /** One address is missing; the ring is joined without it. */
  #name(peer: Peer, errors: readonly string[]): void {
    const { clock, log } = this.#deps
    const forMs = clock.nowMs() - (peer.missingSinceMs ?? clock.nowMs())
    if (peer.named || forMs < NAME_AFTER_MS) return
    peer.named = true
    const { address } = peer
    if (peer.answered === undefined) log.warn({ address, errors }, 'an address to join does not answer; trying on')
    else log.info({ address, errors }, 'a member of the join list is gone; trying on until it is back')
  }

  /** Agents that lose the same peer at the same moment do not all come at the same moment. */
  #jitter(): number {
    return 0.75 + this.#deps.random.float() / 2
  }

  #complain(): void {
    const missing = this.peers.filter(peer => peer.missingSinceMs !== undefined && peer.answered === undefined)
    if (this.#hasComplained || missing.some(peer => peer.failure === undefined)) return
    const errors = this.peers.flatMap(peer => peer.failure ?? [])
    this.#deps.log.warn({ errors }, 'nobody to join answers yet; trying on, this node works alone meanwhile')
    this.#hasComplained = true
    for (const peer of this.peers) peer.named ||= peer.failure !== undefined
  }

  #joined(peer: Peer): void {
    this.#hasJoined = true
    this.#hasComplained = false
    this.#deps.log.info({ address: peer.address }, 'joined the cluster')
    this.#onJoined()
  }

  #isBack(peer: Peer): void {
    if (peer.named) this.#deps.log.info({ address: peer.address }, 'an address to join is in the ring now')
    peer.named = false
    peer.pauseMs = FIRST_RETRY_MS
    peer.dueMs = 0
    delete peer.missingSinceMs
    delete peer.failure
  }
}

/** A cluster that takes no joins any more (it leaves, or has lost its name) is an address that does not answer. */
async function tryOne(cluster: Joinable, address: string): ReturnType<Joinable['join']> {
  try {
    return await cluster.join([address])
  } catch (error) {
    return { contacted: 0, errors: [{ address, error }] }
  }
}

/** A peer that is silent for 10 s must not hold up the end. @returns undefined when `signal` is aborted first */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const onAbort = () => resolve(undefined)
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
