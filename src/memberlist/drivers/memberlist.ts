import {
  type Address,
  assert,
  type Clock,
  deferred,
  formatAddress,
  type Log,
  messageOf,
  type Random,
  within,
} from '../../base/index.ts'
import { isUndecryptable } from '../wire/encryption.ts'
import type { Change, Claim, Counters, Effect, Host } from '../effects.ts'
import { ForeignKeys } from '../foreign-keys.ts'
import type { Keyring } from '../keyring.ts'
import { type Member, META_BYTES_MAX, understandsCrc } from '../member.ts'
import type { Ping, PushPull, StreamMessage, Versions } from '../messages.ts'
import { framingBytes, openPacket, sealPacket } from '../wire/packet.ts'
import { PROFILES, type Profile, type Timing } from '../profiles.ts'
import { Swim } from '../swim.ts'
import { encodeMessage } from '../wire/encode.ts'
import { advertisedAddress, resolveTarget } from './addresses.ts'
import { BroadcastTimeoutError, ExchangeError } from './errors.ts'
import { type Listener, listen, unlisten } from './listener.ts'
import { exchange, type StreamConfig } from './stream.ts'
import { StreamsIn } from './streams-in.ts'

export interface MemberlistConfig {
  /** Unique in the ring. */
  readonly name: string
  /** Default of every Serf agent: 0.0.0.0, port 7946. Port 0: any free one. */
  readonly bind: Address
  /** What others are told; port 0: the bound one. */
  readonly advertise?: Address | undefined
  readonly profile: Profile
  /** At most 512 bytes. */
  readonly meta: Uint8Array
  /** To live with Serf: 1, 5, 2, 2, 5, 5. */
  readonly versions: Versions
  readonly keyring?: Keyring | undefined
  readonly label?: string | undefined
  /** Default true, as with Serf; peers read either. */
  readonly compress?: boolean | undefined
  readonly overrides?: Partial<Timing> | undefined
  /** Bound of our list; default 10 000. Names beyond are refused and counted. */
  readonly membersMax?: number | undefined
}

/** The floor above. Called synchronously, in the order of events; must not throw. */
export interface MemberlistHost extends Host {
  /** @param isStale it could be read with a retired key only */
  userMessage(body: Uint8Array, from: Address | undefined, isStale: boolean): void
  mergeState(state: Uint8Array, join: boolean): void
  changed(change: Change, member: Member): void
  conflict(existing: Member, other: Claim): void
  pingDone(member: Member, rttMs: number, payload: Uint8Array | undefined): void
  unknownPing?(from: Address, node?: string): void
  /** A packet could be read with a retired key only: its sender has missed a rotation. */
  staleKey?(from: Address, key: Uint8Array): void
}

export interface MemberlistDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly host: MemberlistHost
}

export interface JoinResult {
  /** How many addresses answered, and had their list merged. */
  readonly contacted: number
  /** Where they turned out to be: names lead to numbers. A driver that cannot tell leaves it out. */
  readonly answered?: readonly Address[]
  readonly errors: readonly { readonly address: string; readonly error: Error }[]
}

/** Serf's broadcastTimeout. */
const BROADCAST_TIMEOUT_MS = 5000
/** A wake-up that comes later than this lets waiting packets be read before deadlines are looked at. */
const LATE_MS = 250
const READ_FIRST_MS = 50
const READING_FIRST = Number.NEGATIVE_INFINITY
const MEMBERS_MAX = 10_000
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
  readonly #config: MemberlistConfig
  readonly #deps: MemberlistDeps
  readonly #timing: Timing
  readonly #listener: Listener
  readonly #streams: StreamsIn
  readonly #streamConfig: StreamConfig
  readonly #swim: Swim
  readonly #stopping = new AbortController()
  readonly #announcements = new Map<number, () => void>()
  readonly #leftWaiters = new Set<() => void>()
  readonly #foreignKeys = new ForeignKeys()
  #tickets = 0
  #wake: { atMs: number; cancel(): void } | undefined
  #stopped: Promise<void> | undefined

  constructor(config: MemberlistConfig, deps: MemberlistDeps, listener: Listener) {
    this.#config = config
    this.#deps = deps
    this.#listener = listener
    this.boundPort = listener.port
    this.keyring = config.keyring
    const { clock, random } = deps
    const { name, meta, keyring, label, compress = true } = config
    this.#timing = { ...PROFILES[config.profile], ...config.overrides }
    this.#streamConfig = { keyring, label, compress, random, clock }
    const own = advertisedAddress(config.bind, config.advertise, listener.port)
    const core = {
      ...this.#timing,
      ...own,
      name,
      meta,
      vsn: config.versions,
      packetOverheadBytes: framingBytes(config),
      membersMax: config.membersMax ?? MEMBERS_MAX,
    }
    this.#swim = new Swim(core, { random, host: deps.host }, clock.nowMs())
    this.#streams = new StreamsIn(listener.tcp, {
      ...this.#streamConfig,
      timeoutMs: this.#timing.tcpTimeoutMs,
      answer: (message, isStale) => this.#answer(message, isStale),
      refused: (reason, peer, thrown) => this.#streamRefused(reason, peer, thrown),
    })
    listener.udp.on('message', (packet, from) => this.#receive(packet, { ip: from.address, port: from.port }))
    listener.udp.on('error', failure => this.#sendError(failure, undefined))
    this.#perform(this.#swim.tick(clock.nowMs()))
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
    this.#send({ kind: 'send', to, parts: [encodeMessage({ type: 'user', body })], crc, node: undefined })
  }

  /** One user message for a member that has nothing but this key. Best effort. */
  sendUserUnder(key: Uint8Array, to: Address, body: Uint8Array): void {
    const parts = [encodeMessage({ type: 'user', body })]
    this.#send({ kind: 'send', to, parts, crc: false, node: undefined }, key)
  }

  /** One user message to each of these members, repeated after 30, 90 and 200 ms until it is acked. */
  tellUser(names: readonly string[], body: Uint8Array): void {
    this.#perform(this.#swim.tellUser(names, body, this.#deps.clock.nowMs()))
  }

  /** The host has something to spread: gossip, which rests while nobody has, goes on. */
  hostQueued(): void {
    this.#swim.hostQueued(this.#deps.clock.nowMs())
    this.#arm()
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
    this.#wake?.cancel()
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

  #receive(packet: Uint8Array, from: Address): void {
    const { keyring, label } = this.#config
    let parts: Uint8Array[]
    let retired: Uint8Array | undefined
    const onRetired = (key: Uint8Array) => {
      retired = key
    }
    try {
      parts = openPacket(packet, { keyring, label, onRetired })
    } catch (thrown) {
      this.#swim.counters.packetsRefused++
      if (isUndecryptable(thrown)) return this.#foreignKey(from.ip)
      this.#deps.log.debug({ from: formatAddress(from), reason: messageOf(thrown) }, 'dropped a packet')
      return
    }
    this.#foreignKeys.understood(from.ip)
    this.#perform(this.#swim.receive(parts, from, this.#deps.clock.nowMs()), retired !== undefined)
    if (retired !== undefined) this.#deps.host.staleKey?.(from, retired)
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
    this.#arm()
  }

  #performOne(effect: Effect, isStale: boolean): void {
    const { host, log } = this.#deps
    switch (effect.kind) {
      case 'send':
        return this.#send(effect)
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

  #send({ to, parts, crc, node }: Extract<Effect, { kind: 'send' }>, key?: Uint8Array): void {
    if (this.#stopping.signal.aborted) return
    const { keyring, label, compress = true } = this.#config
    try {
      for (const packet of sealPacket(parts, { crc, compress, keyring, key, label, random: this.#deps.random })) {
        this.#listener.udp.send(packet, to.port, to.ip, failure => {
          if (failure !== null) this.#sendError(failure, node)
        })
      }
    } catch (thrown) {
      this.#sendError(thrown, node)
    }
  }

  #sendError(failure: unknown, node: string | undefined): void {
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

  #arm(): void {
    const dueMs = this.#swim.nextTickMs()
    const isArmed = this.#wake?.atMs === dueMs || this.#wake?.atMs === READING_FIRST
    if (dueMs === undefined || this.#stopping.signal.aborted || isArmed) return
    this.#wake?.cancel()
    const { clock } = this.#deps
    const timer = clock.after(Math.ceil(dueMs - clock.nowMs()), () => this.#woken(dueMs))
    this.#wake = { atMs: dueMs, cancel: () => timer.cancel() }
  }

  /** After a suspension the answers we wait for may lie in the socket's buffer: they are read before we tick. */
  #woken(dueMs: number): void {
    const { clock } = this.#deps
    const tick = () => {
      this.#wake = undefined
      this.#perform(this.#swim.tick(clock.nowMs()))
    }
    if (clock.nowMs() - dueMs < LATE_MS) return tick()
    const timer = clock.after(READ_FIRST_MS, tick)
    this.#wake = { atMs: READING_FIRST, cancel: () => timer.cancel() }
  }

  async #told(promise: Promise<void>, timeoutMs: number, sentence: string): Promise<void> {
    const { signal } = this.#stopping
    const late = (why: string) => new BroadcastTimeoutError(why === 'timeout' ? sentence : `${sentence}: stopped`)
    await within(promise, { clock: this.#deps.clock, timeoutMs, signal, late })
  }
}
