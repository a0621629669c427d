import { type Address, assert, type Random, seededRandom } from '../base/index.ts'
import {
  type Alive,
  type Announced,
  decodeMessage,
  type Effect,
  encodeMessage,
  type Host,
  type Member,
  type PacketMessage,
  type PartCodec,
  PROFILES,
  sameBytes,
  sameVersions,
  Swim,
  type SwimConfig,
  type Timing,
} from '../memberlist/index.ts'
import { type NetworkConfig, SimulatedNetwork } from './network.ts'
import { VirtualClock } from './virtual-clock.ts'

export interface RingConfig extends NetworkConfig {
  readonly members: number
  /** Replays the whole run. */
  readonly seed: number
  readonly timing?: Partial<Timing>
  /** How often a random failed member is tried again, as Serf does (its reconnect); default 30 000, 0: never. */
  readonly rejoinIntervalMs?: number
}

const PORT = 7946
const quietHost: Host = {
  ackPayload: () => undefined,
  broadcasts: () => [],
  queued: () => 0,
  localState: () => new Uint8Array(0),
}

/** A ring of real cores on a simulated network: `m1` to `mN`, all started, nobody joined. */
export class Ring {
  readonly clock = new VirtualClock()
  readonly network: SimulatedNetwork
  readonly random: Random
  readonly #config: RingConfig
  readonly #hosts = new Map<string, SimulatedMember>()
  readonly #byIp = new Map<string, SimulatedMember>()
  readonly #left = new Set<string>()
  readonly #codec = sharedCodec()
  #doubted = ''

  constructor(config: RingConfig) {
    this.#config = config
    this.random = seededRandom(config.seed)
    this.network = new SimulatedNetwork(this.clock, this.random, config)
    for (let number = 1; number <= config.members; number++) this.start(`m${number}`)
    this.#rejoinForEver()
  }

  /** Those whose process runs, members that have left on purpose included. */
  get running(): readonly SimulatedMember[] {
    return [...this.#hosts.values()]
  }

  member(name: string): SimulatedMember {
    const found = this.#hosts.get(name)
    assert(found !== undefined, `${name} is running`)
    return found
  }

  /** Starts it, or starts it again with nothing remembered, at the same address. */
  start(name: string): SimulatedMember {
    const number = Number(name.slice(1))
    const addr = Uint8Array.of(10, number >> 16, (number >> 8) & 0xff, number & 0xff)
    const config: SwimConfig = {
      ...PROFILES.lan,
      ...this.#config.timing,
      name,
      addr,
      port: PORT,
      meta: Uint8Array.of(0xff, 0x80),
      vsn: [1, 5, 2, 2, 5, 5],
      packetOverheadBytes: 0,
      membersMax: 10_000,
    }
    this.stop(name)
    this.#left.delete(name)
    const member = new SimulatedMember(this, config, this.#codec)
    this.#hosts.set(name, member)
    this.#byIp.set(member.swim.local.ip, member)
    return member
  }

  /** The process is gone without a word. */
  stop(name: string): void {
    const member = this.#hosts.get(name)
    if (member === undefined) return
    member.stop()
    this.#hosts.delete(name)
    this.#byIp.delete(member.swim.local.ip)
  }

  /** Says that it leaves; the process still runs. */
  leave(name: string): void {
    this.#left.add(name)
    this.member(name).leave()
  }

  /** Everybody joins `m1`, at random times within `withinMs`. */
  joinAll(withinMs = 2000): void {
    const first = this.member('m1').address
    for (const member of this.running) {
      if (member.name !== 'm1') this.clock.after(this.random.float() * withinMs, () => member.join(first))
    }
  }

  at(address: Address): SimulatedMember | undefined {
    return address.port === PORT ? this.#byIp.get(address.ip) : undefined
  }

  /** Every running member sees exactly those alive that run and have not left, with their newest meta. */
  converged = (): boolean => this.discord() === undefined

  /** Something that two members disagree about, for people; undefined: converged. */
  discord(): string | undefined {
    const expected = this.running.filter(({ name }) => !this.#left.has(name))
    // Who disagreed last is asked first: while the last few still learn, nobody has to be compared with everybody.
    const doubted = expected.findIndex(({ name }) => name === this.#doubted)
    const observers = doubted < 0 ? expected : [...expected.slice(doubted), ...expected.slice(0, doubted)]
    for (const observer of observers) {
      this.#doubted = observer.name
      const found = discordOf(observer, expected)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** How long it took until `done`, looked at ten times a second; undefined: not within `withinMs`. */
  runUntil(done: () => boolean, withinMs: number): number | undefined {
    const startedAtMs = this.clock.nowMs()
    while (!done()) {
      if (this.clock.nowMs() - startedAtMs >= withinMs) return undefined
      this.clock.advance(100)
    }
    return this.clock.nowMs() - startedAtMs
  }

  #rejoinForEver(): void {
    const intervalMs = this.#config.rejoinIntervalMs ?? 30_000
    if (intervalMs === 0) return
    this.clock.after(intervalMs, () => {
      for (const member of this.running) {
        // Each at its own moment, as processes started at different times would.
        this.clock.after(this.random.float() * intervalMs, () => member.rejoin())
      }
      this.#rejoinForEver()
    })
  }
}

/** One core, and what its driver does on real sockets. */
export class SimulatedMember {
  readonly swim: Swim
  readonly name: string
  readonly #ring: Ring
  readonly #backlog: (() => void)[] = []
  /** Serf keeps the failed for a day, long after memberlist has reaped them. */
  readonly #failed = new Map<string, Address>()
  #isSuspended = false
  #isStopped = false
  #wake: { atMs: number; cancel(): void } | undefined

  constructor(ring: Ring, config: SwimConfig, codec: PartCodec) {
    this.name = config.name
    this.#ring = ring
    this.swim = new Swim(config, { random: ring.random, host: quietHost, codec }, ring.clock.nowMs())
    this.#perform(this.swim.tick(ring.clock.nowMs()))
  }

  get address(): Address {
    return { ip: this.swim.local.ip, port: this.swim.local.port }
  }

  sees(name: string): Member['state'] | undefined {
    return this.swim.member(name)?.state
  }

  join(peer: Address): void {
    this.#pushPull(peer, true)
  }

  leave(): void {
    this.#perform(this.swim.leave(this.#nowMs))
  }

  updateMeta(meta: Uint8Array, tell: readonly string[] = []): void {
    this.#perform(this.swim.updateMeta(meta, tell, 0, this.#nowMs))
  }

  /** As SIGSTOP, and SIGCONT after `forMs`: packets wait in the socket, alarms pass unheard. */
  suspend(forMs: number): void {
    this.#isSuspended = true
    this.#ring.clock.after(forMs, () => {
      this.#isSuspended = false
      for (const arrive of this.#backlog.splice(0)) arrive()
      this.#perform(this.swim.tick(this.#nowMs))
    })
  }

  stop(): void {
    this.#isStopped = true
    this.#wake?.cancel()
  }

  /** Serf's reconnect: the more have failed, the likelier one of them is tried. */
  rejoin(): void {
    const failed = [...this.#failed.values()]
    const { random } = this.#ring
    if (random.float() > failed.length / Math.max(1, this.swim.aliveCount())) return
    const peer = failed[random.below(Math.max(1, failed.length))]
    if (peer !== undefined) this.#pushPull(peer, true)
  }

  get #nowMs(): number {
    return this.#ring.clock.nowMs()
  }

  #perform(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'send') this.#send(effect)
      else if (effect.kind === 'push-pull') this.#pushPull(effect.peer, effect.join)
      else if (effect.kind === 'stream-ping') this.#streamPing(effect)
      else if (effect.kind === 'changed') this.#remember(effect.member)
    }
    this.#arm()
  }

  #remember({ name, ip, port, state }: Member): void {
    if (state === 'dead') this.#failed.set(name, { ip, port })
    else this.#failed.delete(name)
  }

  #send({ to, parts }: Extract<Effect, { kind: 'send' }>): void {
    const from = this.address
    this.#toPeer('packet', to, peer => peer.#perform(peer.swim.receive(parts, from, peer.#nowMs)))
  }

  #pushPull(to: Address, join: boolean): void {
    const list = this.swim.ownList(join)
    this.#toPeer('stream', to, peer => {
      const answer = peer.swim.ownList(join)
      peer.#toPeer('stream', this.address, asker => asker.#perform(asker.swim.merge(answer, asker.#nowMs).effects))
      peer.#perform(peer.swim.merge(list, peer.#nowMs).effects)
    })
  }

  #streamPing({ to, ping }: Extract<Effect, { kind: 'stream-ping' }>): void {
    this.#toPeer('stream', to, peer => {
      if (peer.swim.streamPing(ping) === undefined) return
      peer.#toPeer('stream', this.address, asker => asker.swim.streamPingDone(ping.seqNo, true))
    })
  }

  #toPeer(how: 'packet' | 'stream', to: Address, arrive: (peer: SimulatedMember) => void): void {
    const peer = this.#ring.at(to)
    if (peer === undefined || this.#isStopped) return
    this.#ring.network[how](this.name, peer.name, () => peer.#arrived(() => arrive(peer)))
  }

  #arrived(handle: () => void): void {
    if (this.#isStopped) return
    if (this.#isSuspended) this.#backlog.push(handle)
    else handle()
  }

  #arm(): void {
    const dueMs = this.swim.nextTickMs()
    if (dueMs === undefined || this.#isStopped || this.#wake?.atMs === dueMs) return
    this.#wake?.cancel()
    const timer = this.#ring.clock.at(dueMs, () => {
      if (!this.#isSuspended) this.#perform(this.swim.tick(this.#nowMs))
    })
    this.#wake = { atMs: dueMs, cancel: () => timer.cancel() }
  }
}

/** A part that brings along what it says. */
type SharedPart = Uint8Array & { message?: PacketMessage }

/**
 * Parts are handed over as they are, so a message is encoded once and never decoded; and all views share one record of
 * what a member says about itself, so that a ring of a thousand fits in memory. The wire is proved by its own tests.
 */
function sharedCodec(): PartCodec {
  const news = new WeakMap<PacketMessage, SharedPart>()
  /** Views that learn of a member by lists build an announcement each; these are all one. */
  const announced = new Map<string, Alive>()
  const records = new Map<string, Announced>()
  const encode = (message: PacketMessage): SharedPart => {
    const part: SharedPart = encodeMessage(message)
    part.message = message
    return part
  }
  const encodeNews = (message: PacketMessage): SharedPart => {
    const part = news.get(message) ?? encode(message)
    news.set(message, part)
    return part
  }
  const encodeAlive = (message: Alive): SharedPart => {
    const known = announced.get(message.node)
    if (known !== undefined && sameAlive(known, message)) return encodeNews(known)
    if (known === undefined || known.incarnation < message.incarnation) announced.set(message.node, message)
    return encodeNews(message)
  }
  return {
    encode(message) {
      if (message.type === 'alive') return encodeAlive(message)
      return message.type === 'suspect' || message.type === 'dead' ? encodeNews(message) : encode(message)
    },
    decode: (part: SharedPart) => part.message ?? decodeMessage(part),
    share(record) {
      const known = records.get(record.name)
      if (known !== undefined && sameRecord(known, record)) return known
      records.set(record.name, record)
      return record
    },
  }
}

function sameAlive(a: Alive, b: Alive): boolean {
  if (a === b) return true
  return (
    a.incarnation === b.incarnation && a.addr === b.addr && a.port === b.port && a.meta === b.meta && a.vsn === b.vsn
  )
}

function sameRecord(a: Announced, b: Announced): boolean {
  return a.port === b.port && sameBytes(a.addr, b.addr) && sameBytes(a.meta, b.meta) && sameVersions(a.vsn, b.vsn)
}

function discordOf(
  { name: observer, swim }: SimulatedMember,
  expected: readonly SimulatedMember[],
): string | undefined {
  const aliveCount = swim.aliveCount()
  for (const { name, swim: subject } of expected) {
    const seen = swim.member(name)
    if (seen?.state !== 'alive') return `${observer} sees ${name} as ${seen?.state ?? 'unknown'}`
    if (!sameMeta(seen, subject.local)) return `${observer} sees an old meta of ${name}`
  }
  return aliveCount === expected.length ? undefined : `${observer} sees ${aliveCount} alive of ${expected.length}`
}

function sameMeta(a: Member, b: Member): boolean {
  return a.meta === b.meta || Buffer.compare(a.meta, b.meta) === 0
}
