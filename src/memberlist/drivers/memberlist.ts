import { type Address, assert, deferred, formatAddress, messageOf, WakeUp, within } from '../../base/index.ts'
import type { Counters, Effect } from '../effects.ts'
import { ForeignKeys } from '../foreign-keys.ts'
import type { Keyring } from '../keyring.ts'
import { type Member, META_BYTES_MAX, understandsCrc } from '../member.ts'
import type { Ping, PushPull, StreamMessage } from '../messages.ts'
import type { Timing } from '../profiles.ts'
import { Swim } from '../swim.ts'
import { encodeMessage } from '../wire/encode.ts'
import { isUndecryptable } from '../wire/encryption.ts'
import { resolveTarget } from './addresses.ts'
import { BroadcastTimeoutError, ExchangeError } from './errors.ts'
import { type Listener, listen, unlisten } from './listener.ts'
import {
  coreConfig,
  type JoinResult,
  type MemberlistConfig,
  type MemberlistDeps,
  timingOf,
} from './memberlist-config.ts'
import { Packets } from './packets.ts'
import { exchange, type StreamConfig } from './stream.ts'
import { StreamsIn } from './streams-in.ts'

/** Serf's broadcastTimeout. */
const BROADCAST_TIMEOUT_MS = 5000
/** After a suspension the answers we wait for may lie in the socket's buffer: they are read before deadlines are looked at. */
const LATENESS = { lateMs: 250, restMs: 50 }
const ANSWER_MS_MAX = 2_000
const FOREIGN_KEY =
  'a packet is encrypted with a key that this node does not have: it, or the sender, was away while keys were changed. ' +
  'Compare on both: muster keys -list. To heal: put the key of the ring first into the keyring file of the other, and start it again'

/**
 * Joins nobody yet: listens, announces itself to itself, and answers.
 * @throws AddressInUseError, ListenError, NoAdvertiseAddressError; everything is released then
 */
export async function startMemberlist(
  config: MemberlistConfig,
  deps: MemberlistDeps,
  signal?: AbortSignal,
): Promise<Memberlist> {
  assert(config.meta.length <= META_BYTES_MAX, 'meta has at most 512 bytes')
  signal?.throwIfAborted()
  const listener = await listen(config.bind)
  try {
    signal?.throwIfAborted()
    return new Memberlist(config, deps, listener)
  } catch (failure) {
    await unlisten(listener)
    throw failure
  }
}

/** A running member: the core on real sockets. */
export class Memberlist implements AsyncDisposable {
  readonly boundPort: number
  readonly keyring: Keyring | undefined
  readonly #deps: MemberlistDeps
  readonly #timing: Timing
  readonly #listener: Listener
  readonly #streams: StreamsIn
  readonly #packets: Packets
  readonly #streamConfig: StreamConfig
  readonly #swim: Swim
  readonly #stopping = new AbortController()
  readonly #announcements = new Map<number, () => void>()
  readonly #leftWaiters = new Set<() => void>()
  readonly #foreignKeys = new ForeignKeys()
  readonly #wake: WakeUp
  #tickets = 0
  #stopped: Promise<void> | undefined

  constructor(config: MemberlistConfig, deps: MemberlistDeps, listener: Listener) {
    this.#deps = deps
    this.#listener = listener
    this.boundPort = listener.port
    this.keyring = config.keyring
    const { clock, random } = deps
    const { keyring, label, compress = true } = config
    this.#timing = timingOf(config)
    this.#streamConfig = { keyring, label, compress, random, clock }
    this.#swim = new Swim(coreConfig(config, listener.port), { random, host: deps.host }, clock.nowMs())
    this.#streams = new StreamsIn(listener.tcp, {
      ...this.#streamConfig,
      timeoutMs: this.#timing.tcpTimeoutMs,
      answer: (message, isStale) => this.#answer(message, isStale),
      refused: (reason, peer, thrown) => this.#streamRefused(reason, peer, thrown),
    })
    this.#packets = new Packets(listener.udp, {
      ...{ keyring, label, compress, random },
      received: (parts, from, retired) => this.#received(parts, from, retired),
      refused: (thrown, from) => this.#packetRefused(thrown, from),
      notSent: (failure, node) => this.#notSent(failure, node),
    })
    this.#wake = new WakeUp(clock, () => this.#tick(), LATENESS)
    this.#tick()
  }

  get local(): Member {
    return this.#swim.local
  }

  get counters(): Readonly<Counters> {
    return this.#swim.counters
  }

  /** Everybody in the list, in any state, ourselves included. */
  members(): Member[] {
    return [...this.#swim.members()]
  }

  /** How many are alive or suspect, ourselves included. */
  aliveCount(): number {
    return this.#swim.aliveCount()
  }

  /** 0: healthy, to 7: we see so little of others that we doubt ourselves. */
  healthScore(): number {
    return this.#swim.healthScore
  }

  /** Who has spoken with a key that we do not have in the last ten minutes: addresses, with the member's name where it is known. */
  foreignKeys(): { readonly ip: string; readonly member: string | undefined }[] {
    return this.#foreignKeys.senders(this.#deps.clock.nowMs()).map(ip => ({ ip, member: this.#nameAt(ip) }))
  }

  /** How often each broadcast of a ring of `members` is sent; default: of this ring. */
  retransmitLimit(members = this.#swim.size): number {
    return Math.max(1, this.#timing.retransmitMult * Math.ceil(Math.log10(members + 1)))
  }

  /** Tries all addresses, `[name/]host[:port]`, one after the other; never throws for those that fail. */
  async join(addresses: readonly string[], options: { signal?: AbortSignal } = {}): Promise<JoinResult> {
    const errors: { address: string; error: Error }[] = []
    const answered: Address[] = []
    for (const address of addresses) {
      options.signal?.throwIfAborted()
      try {
        answered.push(...(await this.#joinOne(address, errors)))
      } catch (thrown) {
        errors.push({ address, error: thrown instanceof Error ? thrown : new ExchangeError(messageOf(thrown)) })
      }
    }
    return { contacted: answered.length, answered, errors }
  }

  /**
   * Announces a new meta, of at most 512 bytes. It holds here at once.
   * @param options.tell members that get it directly, within a round trip
   * @param options.timeoutMs default 5000, as Serf
   * @throws BroadcastTimeoutError when it was not sent often enough in time; it still spreads
   */
  async updateMeta(meta: Uint8Array, options: { tell?: readonly string[]; timeoutMs?: number } = {}): Promise<void> {
    assert(meta.length <= META_BYTES_MAX, 'meta has at most 512 bytes')
    const ticket = ++this.#tickets
    const { promise, resolve } = deferred()
    this.#announcements.set(ticket, resolve)
    this.#perform(this.#swim.updateMeta(meta, options.tell ?? [], ticket, this.#deps.clock.nowMs()))
    try {
      await this.#told(promise, options.timeoutMs ?? BROADCAST_TIMEOUT_MS, 'timeout waiting for update broadcast')
    } finally {
      this.#announcements.delete(ticket)
    }
  }

  /** One user message, best effort. `node`: the member it is for, whose versions decide the framing. */
  sendUser(to: Address, body: Uint8Array, node?: string): void {
    const member = node === undefined ? undefined : this.#swim.member(node)
    const crc = member !== undefined && understandsCrc(member)
    this.#packets.send({ to, parts: [encodeMessage({ type: 'user', body })], crc, node: undefined })
  }

  /** One user message for a member that has nothing but this key. Best effort. */
  sendUserUnder(key: Uint8Array, to: Address, body: Uint8Array): void {
    const parts = [encodeMessage({ type: 'user', body })]
    this.#packets.send({ to, parts, crc: false, node: undefined }, key)
  }

  /** One user message to each of these members, repeated after 30, 90 and 200 ms until it is acked. */
  tellUser(names: readonly string[], body: Uint8Array): void {
    this.#perform(this.#swim.tellUser(names, body, this.#deps.clock.nowMs()))
  }

  /** The host has something to spread: gossip, which rests while nobody has, goes on. */
  hostQueued(): void {
    this.#swim.hostQueued(this.#deps.clock.nowMs())
    this.#wake.set(this.#swim.nextTickMs())
  }

  /** Pings a member out of turn: if it came back empty, it asks us for our list at once. */
  visit(node: string): void {
    this.#perform(this.#swim.visit(node, this.#deps.clock.nowMs()))
  }

  /** Pings a member that is held for dead, or has been forgotten; when it answers, lists are exchanged. */
  greet(node: string, to: Address): void {
    this.#perform(this.#swim.greet(node, to, this.#deps.clock.nowMs()))
  }

  /**
   * Tells the ring that we leave on purpose; we still answer until `stop`.
   * @throws BroadcastTimeoutError when that was not sent often enough in time
   */
  async leave(timeoutMs: number): Promise<void> {
    const { promise, resolve } = deferred()
    this.#leftWaiters.add(resolve)
    this.#perform(this.#swim.leave(this.#deps.clock.nowMs()))
    try {
      await this.#told(promise, timeoutMs, 'timeout waiting for leave broadcast')
    } finally {
      this.#leftWaiters.delete(resolve)
    }
  }

  /** Whether a member of this name answers a ping over TCP at that address, within 2 s. Never rejects. */
  async answers(node: string, at: Address): Promise<boolean> {
    const ping: Ping = { type: 'ping', seqNo: 1, node }
    try {
      const answer = await exchange(at, ping, ANSWER_MS_MAX, this.#streamConfig, this.#stopping.signal)
      return answer.type === 'ack'
    } catch (thrown) {
      this.#deps.log.debug({ at: formatAddress(at), reason: messageOf(thrown) }, 'nobody answers there')
      return false
    }
  }

  /** Closes everything without a word to the ring. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #stop(): Promise<void> {
    this.#stopping.abort()
    this.#packets.close()
    this.#wake.end()
    this.#streams.close()
    await unlisten(this.#listener)
  }

  async #joinOne(address: string, errors: { address: string; error: Error }[]): Promise<Address[]> {
    const { node, at } = await resolveTarget(address, this.boundPort)
    const answered: Address[] = []
    for (const peer of at) {
      try {
        await this.#pushPull(peer, true, node)
        answered.push(peer)
      } catch (error) {
        if (error instanceof Error) errors.push({ address, error })
      }
    }
    return answered
  }

  async #pushPull(peer: Address, join: boolean, node?: string): Promise<void> {
    const own = this.#swim.ownList(join)
    const { signal } = this.#stopping
    const answer = await exchange(peer, own, this.#timing.tcpTimeoutMs, this.#streamConfig, signal).catch(thrown => {
      if (isUndecryptable(thrown)) this.#foreignKey(peer.ip)
      throw thrown
    })
    if (answer.type === 'err') throw new ExchangeError(`${formatAddress(peer)}: remote error: ${answer.error}`)
    if (answer.type !== 'pushPull') {
      throw new ExchangeError(`${formatAddress(peer)}: received ${answer.type}, expected pushPull`)
    }
    const refused = this.#merge(answer, join)
    if (refused !== undefined) throw new ExchangeError(`${formatAddress(peer)} (${node ?? 'unnamed'}): ${refused}`)
  }

  #merge(list: PushPull, join: boolean): string | undefined {
    if (this.#stopping.signal.aborted) return 'stopped'
    const { effects, refused } = this.#swim.merge(list, this.#deps.clock.nowMs())
    this.#perform(effects)
    if (refused === undefined && list.userState.length > 0) this.#deps.host.mergeState(list.userState, join)
    return refused
  }

  #answer(message: StreamMessage, isStale: boolean): { answer?: StreamMessage; after?: () => void } | undefined {
    if (message.type === 'user') {
      this.#deps.host.userMessage(message.body, undefined, isStale)
      return undefined
    }
    if (message.type === 'ping') {
      const answer = this.#swim.streamPing(message)
      return answer === undefined ? undefined : { answer }
    }
    if (message.type !== 'pushPull') {
      this.#streamRefused(`unexpected ${message.type}`, undefined)
      return undefined
    }
    const after = () => {
      const refused = this.#merge(message, message.join)
      if (refused !== undefined) this.#deps.log.warn({ reason: refused }, 'refused to merge the list of a peer')
    }
    return { answer: this.#swim.ownList(message.join), after }
  }

  #tick(): void {
    this.#perform(this.#swim.tick(this.#deps.clock.nowMs()))
  }

  #received(parts: Uint8Array[], from: Address, retired: Uint8Array | undefined): void {
    this.#foreignKeys.understood(from.ip)
    this.#perform(this.#swim.receive(parts, from, this.#deps.clock.nowMs()), retired !== undefined)
    if (retired !== undefined) this.#deps.host.staleKey?.(from, retired)
  }

  #packetRefused(thrown: unknown, from: Address): void {
    this.#swim.counters.packetsRefused++
    if (isUndecryptable(thrown)) return this.#foreignKey(from.ip)
    this.#deps.log.debug({ from: formatAddress(from), reason: messageOf(thrown) }, 'dropped a packet')
  }

  #foreignKey(ip: string): void {
    const { clock, log } = this.#deps
    if (this.#foreignKeys.heard(ip, clock.nowMs())) log.warn({ from: ip, member: this.#nameAt(ip) }, FOREIGN_KEY)
  }

  #nameAt(ip: string): string | undefined {
    for (const member of this.#swim.members()) if (member.ip === ip && member !== this.local) return member.name
    return undefined
  }

  /** @param isStale they come of a packet that could be read with a retired key only */
  #perform(effects: readonly Effect[], isStale = false): void {
    for (const effect of effects) this.#performOne(effect, isStale)
    this.#wake.set(this.#swim.nextTickMs())
  }

  #performOne(effect: Effect, isStale: boolean): void {
    const { host, log } = this.#deps
    switch (effect.kind) {
      case 'send':
        return this.#packets.send(effect)
      case 'stream-ping':
        return void this.#streamPing(effect.to, effect.ping, effect.timeoutMs)
      case 'push-pull':
        return void this.#backgroundPushPull(effect.peer, effect.join, effect.node)
      case 'changed':
        return host.changed(effect.change, effect.member)
      case 'user':
        return host.userMessage(effect.body, effect.from, isStale)
      case 'conflict':
        return host.conflict(effect.existing, effect.other)
      case 'ping-done':
        return host.pingDone(effect.member, effect.rttMs, effect.payload)
      case 'unknown-ping':
        return host.unknownPing?.(effect.from, effect.node)
      case 'announced':
        return this.#announcements.get(effect.ticket)?.()
      case 'left':
        for (const resolve of this.#leftWaiters) resolve()
        return
      case 'log':
        return log[effect.level](effect.fields, effect.sentence)
    }
  }

  #notSent(failure: unknown, node: string | undefined): void {
    this.#swim.counters.sendErrors++
    if (this.#stopping.signal.aborted) return
    this.#deps.log.debug({ member: node, reason: messageOf(failure) }, 'could not send a packet')
    if (node !== undefined) this.#perform(this.#swim.sendFailed(node, this.#deps.clock.nowMs()))
  }

  #streamRefused(reason: string, peer: string | undefined, thrown?: unknown): void {
    this.#swim.counters.streamsRefused++
    if (isUndecryptable(thrown) && peer !== undefined) return this.#foreignKey(peer)
    this.#deps.log.debug({ from: peer, reason }, 'closed a stream')
  }

  async #streamPing(to: Address, ping: Ping, timeoutMs: number): Promise<void> {
    try {
      const answer = await exchange(to, ping, timeoutMs, this.#streamConfig, this.#stopping.signal)
      this.#swim.streamPingDone(ping.seqNo, answer.type === 'ack' && answer.seqNo === ping.seqNo)
    } catch (thrown) {
      this.#deps.log.debug({ member: ping.node, reason: messageOf(thrown) }, 'no answer to a ping over TCP')
    }
  }

  async #backgroundPushPull(peer: Address, join: boolean, node: string | undefined): Promise<void> {
    try {
      await this.#pushPull(peer, join, node)
    } catch (thrown) {
      const fields = { member: node, reason: messageOf(thrown) }
      if (!this.#stopping.signal.aborted) this.#deps.log.info(fields, 'could not exchange lists; others will do')
    }
  }

  async #told(promise: Promise<void>, timeoutMs: number, sentence: string): Promise<void> {
    const { signal } = this.#stopping
    const late = (why: string) => new BroadcastTimeoutError(why === 'timeout' ? sentence : `${sentence}: stopped`)
    await within(promise, { clock: this.#deps.clock, timeoutMs, signal, late })
  }
}
