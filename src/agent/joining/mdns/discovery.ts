import { type Clock, formatAddress, type Log, messageOf, type Random, sleep, type Timer } from '../../../base/index.ts'
import type { Joinable } from '../joiner.ts'
import { type Advertised, addressesIn, answerTo, question } from './records.ts'

/** What discovery needs of the network. */
export interface Multicast {
  /** Asks on every link that there is now. @returns on how many, and what went wrong */
  ask(packet: Uint8Array): Promise<{ links: number; failures: readonly string[] }>
}

export interface DiscoveryDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** As Serf. */
const ASK_INTERVAL_MS = 60_000
const QUIET_MS = 100
/** Alone, a node asks sooner: after 1, 2, 4 … seconds. RFC 6762, section 5.2: at least doubled. */
const FIRST_PAUSE_MS = 1_000
const ALONE_PAUSE_MS_MAX = 15_000
/** How soon it is noticed that the company is gone. */
const LOOK_MS = 5_000
/** Addresses tried for one question; whoever answers for more of them wants us to knock at other people's doors. */
const TRIES_MAX = 64
/** At a time: an address that is silent takes ten seconds. */
const TRIES_AT_ONCE = 8
/** Addresses whose failure the log has told. */
const NAMED_MAX = 256

/**
 * Finds agents of the same cluster by mDNS and joins those that are not members now, for ever: at every answer again, where Serf
 * tries each address once. So a node finds its ring again after an outage of everybody, whatever addresses they have then.
 */
export class Discovery {
  readonly #own: Advertised
  readonly #deps: DiscoveryDeps
  readonly #cluster: Joinable
  readonly #onJoined: () => void
  readonly #found = new Set<string>()
  readonly #named = new Set<string>()
  /** Whose addresses need no look at the whole ring: a thousand members answer one question at once. */
  #here: { readonly untilMs: number; readonly addresses: ReadonlySet<string> } | undefined
  #triesLeft = 0
  #quiet: Timer | undefined
  #isJoining = false
  #complaint = ''
  #ended = false

  constructor(own: Advertised, deps: DiscoveryDeps, cluster: Joinable, onJoined: () => void) {
    this.#own = own
    this.#deps = deps
    this.#cluster = cluster
    this.#onJoined = onJoined
  }

  /** A question of anybody. @returns what to answer to whoever asked */
  asked(packet: Uint8Array): Uint8Array | undefined {
    return this.#cluster.canJoin() ? answerTo(packet, this.#own) : undefined
  }

  /** An answer of anybody: what is new in it is joined once nothing new has come for 100 ms. */
  answered(packet: Uint8Array): void {
    if (this.#ended || this.#triesLeft === 0 || !this.#cluster.canJoin()) return
    const { cluster, at } = this.#own
    for (const address of addressesIn(packet, cluster, at.ip.startsWith('127.') || at.ip === '::1')) {
      const key = formatAddress(address)
      if (this.#found.has(key) || this.#triesLeft === 0 || this.#wasMember(key)) continue
      this.#triesLeft--
      this.#found.add(key)
      this.#waitForQuiet()
    }
  }

  /** Asks, the first time at once. @returns when `signal` is aborted; never throws */
  async keepAsking(multicast: Multicast, signal: AbortSignal): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS
    while (!signal.aborted) {
      if (this.#cluster.canJoin()) await this.#ask(multicast)
      const hadCompany = this.#hasCompany()
      await this.#pause(hadCompany ? ASK_INTERVAL_MS : pauseMs, hadCompany, signal)
      pauseMs = hadCompany ? FIRST_PAUSE_MS : Math.min(2 * pauseMs, ALONE_PAUSE_MS_MAX)
    }
    this.#ended = true
    this.#quiet?.cancel()
  }

  async #ask(multicast: Multicast): Promise<void> {
    this.#triesLeft = TRIES_MAX
    const id = this.#deps.random.bytes(2)
    const packet = question(this.#own.cluster, ((id[0] ?? 0) << 8) | (id[1] ?? 0))
    try {
      const { links, failures } = await multicast.ask(packet)
      this.#complain(links, failures)
    } catch (failure) {
      this.#complain(0, [messageOf(failure)])
    }
  }

  /** Until it is time, or the company that there was is gone. */
  async #pause(pauseMs: number, hadCompany: boolean, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps
    const endMs = clock.nowMs() + pauseMs
    while (!signal.aborted && clock.nowMs() < endMs && (!hadCompany || this.#hasCompany()))
      await sleep(clock, Math.min(LOOK_MS, endMs - clock.nowMs()), signal).catch(() => undefined) // aborted: the loop ends
  }

  #waitForQuiet(): void {
    this.#quiet?.cancel()
    this.#quiet = this.#deps.clock.after(QUIET_MS, () => void this.#joinFound())
  }

  /** What comes while these are tried is tried after them. */
  async #joinFound(): Promise<void> {
    if (this.#isJoining) return
    this.#isJoining = true
    while (this.#found.size > 0 && !this.#ended) {
      const all = [...this.#found]
      await Promise.all(Array.from({ length: TRIES_AT_ONCE }, () => this.#joinNext(all)))
    }
    this.#isJoining = false
  }

  async #joinNext(queue: string[]): Promise<void> {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      if (!this.#ended && this.#cluster.canJoin() && !this.#addressesHere().has(next)) await this.#join(next)
      this.#found.delete(next) // an answer that comes while it is tried is no reason to try again
    }
  }

  async #join(address: string): Promise<void> {
    const { log } = this.#deps
    try {
      const { contacted, errors } = await this.#cluster.join([address])
      if (contacted === 0) return this.#failed(address, errors[0]?.error)
      this.#named.delete(address)
      log.info({ address }, 'joined an agent that mDNS has found')
      this.#onJoined()
    } catch (failure) {
      this.#failed(address, failure)
    }
  }

  #failed(address: string, failure: unknown): void {
    if (this.#ended || !this.#cluster.canJoin()) return
    const isFirst = !this.#named.has(address) && this.#named.size < NAMED_MAX
    if (isFirst) this.#named.add(address)
    const tell = { address, reason: messageOf(failure) }
    if (isFirst)
      this.#deps.log.warn(tell, 'an agent that mDNS has found does not answer; trying again when it is found again')
    else this.#deps.log.debug(tell, 'an agent that mDNS has found does not answer')
  }

  /** Once for each new reason, and once when it is over. */
  #complain(links: number, failures: readonly string[]): void {
    const reason = links > 0 ? '' : failures.join('; ') || 'no network interface has an address'
    if (reason === this.#complaint) return
    const { log } = this.#deps
    if (reason === '') log.info({}, 'mDNS works now')
    else log.warn({ reason }, 'nobody can be asked by mDNS; the agent works on without, and tries again')
    this.#complaint = reason
  }

  #hasCompany(): boolean {
    return this.#cluster.view().others.some(member => member.isAlive)
  }

  /** Now, or up to 100 ms ago. */
  #wasMember(address: string): boolean {
    const nowMs = this.#deps.clock.nowMs()
    if (this.#here === undefined || nowMs >= this.#here.untilMs)
      this.#here = { untilMs: nowMs + QUIET_MS, addresses: this.#addressesHere() }
    return this.#here.addresses.has(address)
  }

  /** Of who is alive, and of ourselves. */
  #addressesHere(): Set<string> {
    const { self, others } = this.#cluster.view()
    return new Set([self, ...others.filter(one => one.isAlive)].map(formatAddress))
  }
}
