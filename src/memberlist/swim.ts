import type { Address, Random } from '../base/index.ts'
import { type Alarm, Alarms } from './alarms.ts'
import { Awareness } from './awareness.ts'
import { BroadcastQueue, retransmitLimit } from './broadcast-queue.ts'
import { type Counters, type Effect, type Host, noCounts, type SwimConfig } from './effects.ts'
import { addressOf, type Announced, ipTextOf, isUp, type Member } from './member.ts'
import { type MemberTable, PlainTable } from './member-table.ts'
import { Membership, type Shared } from './membership.ts'
import type { Ack, IndirectPing, PacketMessage, Ping, PushNode, PushPull, Source } from './messages.ts'
import { Prober } from './prober.ts'
import { Sender } from './sender.ts'
import { incompatibility } from './version-check.ts'
import { decodeMessage } from './wire/decode.ts'
import { encodeMessage } from './wire/encode.ts'

/** How messages become parts and back; a simulator puts a cache here, so that a thousand views share one decoded message. */
export interface PartCodec {
  encode(message: PacketMessage): Uint8Array
  /** @throws on anything that is not a sound message; the part is counted and dropped */
  decode(part: Uint8Array): PacketMessage
  /** The same record, as one object for all who ask; default: each its own. */
  share?(announced: Announced): Announced
}

export interface SwimDeps {
  readonly random: Random
  readonly host: Host
  readonly codec?: PartCodec
  /** Empty; default: a `PlainTable`. */
  readonly table?: MemberTable
}

/** After how long a lack of calls counts as a suspension of the process, and not as a slow turn. */
const SUSPENDED_MS_MIN = 1000
/** When news are repeated to those told directly, until they ack: within the 95th percentile of a LAN, then patience. */
const TELL_AGAIN_MS = [30, 90, 200] as const
/** A stranger's ping makes us ask it for its list, at most this often. */
const STRANGER_INTERVAL_MS = 1000

const STATE_NUMBERS = { alive: 0, suspect: 1, dead: 2, left: 3 } as const

/**
 * memberlist's core: SWIM with Lifeguard's extensions, as a state machine. Same inputs and seed, same effects.
 *
 * Its own time stands still while the process does: when a call comes over a second later than the next due alarm, all but
 * one beat of gossip since the last call is taken out of the core's time, so that after a SIGSTOP or a suspended host every deadline has what it had
 * left. Answers that wait in the socket's buffer are then read before anybody is suspected, and suspicions that were
 * running go on; what the others think of us meanwhile, we refute as usual.
 */
export class Swim {
  readonly #config: SwimConfig
  readonly #host: Host
  readonly #random: Random
  readonly #codec: PartCodec
  readonly #alarms = new Alarms()
  readonly #awareness: Awareness
  readonly #table: MemberTable
  readonly #queue = new BroadcastQueue()
  readonly #membership: Membership
  readonly #sender: Sender
  readonly #prober: Prober
  readonly #shared: Shared
  readonly counters: Counters = noCounts()
  #effects: Effect[] = []
  /** The beat of gossip: kept also while there is nothing to say. */
  #gossipAtMs: number
  #gossipAlarm: Alarm | undefined
  #atMs: number
  #suspendedMs = 0
  #strangerAtMs = Number.NEGATIVE_INFINITY

  constructor(config: SwimConfig, deps: SwimDeps, nowMs: number) {
    this.#config = config
    this.#host = deps.host
    this.#random = deps.random
    this.#codec = deps.codec ?? { encode: encodeMessage, decode: decodeMessage }
    this.#awareness = new Awareness(config.awarenessMaxMultiplier)
    this.#table = deps.table ?? new PlainTable(deps.random)
    this.#shared = {
      config,
      table: this.#table,
      queue: this.#queue,
      awareness: this.#awareness,
      alarms: this.#alarms,
      counters: this.counters,
      contested: new Set(),
      encode: message => this.#codec.encode(message),
      share: announced => this.#codec.share?.(announced) ?? announced,
      emit: effect => void this.#effects.push(effect),
    }
    this.#membership = new Membership(this.#shared, nowMs)
    this.#sender = new Sender(this.#shared, deps.host)
    this.#prober = new Prober(this.#shared, this.#membership, this.#sender)
    this.#atMs = nowMs
    this.#gossipAtMs = this.#staggered(config.gossipIntervalMs)
    this.#startTickers()
    this.#beat()
  }

  get local(): Member {
    return this.#membership.local
  }

  get healthScore(): number {
    return this.#awareness.score
  }

  /** Entries in our list, ourselves, dead and left ones included: memberlist's estimate of the ring's size. */
  get size(): number {
    return this.#table.size
  }

  get queued(): number {
    return this.#queue.size
  }

  get retransmitLimit(): number {
    return retransmitLimit(this.#config.retransmitMult, this.#table.size)
  }

  member(name: string): Member | undefined {
    return this.#table.get(name)
  }

  /** Everybody in the list, in whatever state. */
  members(): IterableIterator<Member> {
    return this.#table.all()
  }

  /** How many are alive or suspect, ourselves included. */
  aliveCount(): number {
    let count = 0
    for (const member of this.#table.all()) if (isUp(member)) count++
    return count
  }

  /** For simulations that start in the middle: these are alive, and nobody has to be told, neither host nor ring. */
  know(others: Iterable<Member>, nowMs: number): void {
    this.#membership.know(others, this.#advance(nowMs))
  }

  /** The parts of one packet. Whatever is malformed is counted and dropped. */
  receive(parts: readonly Uint8Array[], from: Address, nowMs: number): Effect[] {
    const atMs = this.#advance(nowMs)
    for (const part of parts) this.#receivePart(part, from, atMs)
    return this.#take()
  }

  /** Everything due by `nowMs`. Calling early, late or twice is safe. */
  tick(nowMs: number): Effect[] {
    const atMs = this.#advance(nowMs)
    // With a suspension behind us, what is due at `nowMs` can be a rounding error ahead of our own time.
    const isDue = nowMs >= (this.nextTickMs() ?? Number.POSITIVE_INFINITY)
    this.#alarms.runDue(isDue ? Math.max(atMs, this.#alarms.nextMs() ?? atMs) : atMs)
    return this.#take()
  }

  /** The host has something to spread; it goes out with the next beat of gossip. */
  hostQueued(nowMs: number): void {
    this.#advance(nowMs)
    this.#beat()
  }

  /** When `tick` next has work. */
  nextTickMs(): number | undefined {
    const dueMs = this.#alarms.nextMs()
    return dueMs === undefined ? undefined : dueMs + this.#suspendedMs
  }

  /** The answer to a ping that came over a stream; undefined: it is not for us, close without one. */
  streamPing(ping: Ping): Ack | undefined {
    if (ping.node !== '' && ping.node !== this.local.name) return void this.counters.pingsForOthers++
    return { type: 'ack', seqNo: ping.seqNo, payload: undefined }
  }

  streamPingDone(seqNo: number, answered: boolean): void {
    this.#prober.streamPingDone(seqNo, answered)
  }

  /** The system refused to send a packet to this member. */
  sendFailed(node: string, nowMs: number): Effect[] {
    this.#prober.sendFailed(node, this.#advance(nowMs))
    return this.#take()
  }

  /** Our side of a push/pull. */
  ownList(join: boolean): PushPull {
    const nodes = Array.from(this.#table.all(), entryOf)
    return { type: 'pushPull', join, nodes, userState: this.#host.localState(join) }
  }

  /**
   * Their side of a push/pull.
   * @returns `refused`: why their list cannot be merged, in memberlist's words; then nothing was taken from it
   */
  merge(list: PushPull, nowMs: number): { effects: Effect[]; refused?: string } {
    const atMs = this.#advance(nowMs)
    const refused = incompatibility(list.nodes, () => this.#table.all())
    if (refused !== undefined) {
      this.counters.mergesRefused++
      return { effects: this.#take(), refused }
    }
    for (const entry of list.nodes) this.#membership.merge(entry, atMs)
    return { effects: this.#take() }
  }

  /**
   * Announces a new meta with the next incarnation.
   * @param meta at most 512 bytes
   * @param tell members that are to have it at once (readiness does not wait for gossip)
   * @param ticket comes back in the effect `announced`; at once when nobody else is alive
   */
  updateMeta(meta: Uint8Array, tell: readonly string[], ticket: number, nowMs: number): Effect[] {
    const atMs = this.#advance(nowMs)
    this.#membership.setMeta(meta)
    const alone = !this.#others(isUp)
    const done = () => void this.#effects.push({ kind: 'announced', ticket })
    this.#membership.announce(atMs, alone ? undefined : done)
    if (alone) done()
    this.#tell(tell, () => this.#membership.ownAlive(), atMs)
    return this.#take()
  }

  /** A user message straight to these members, again until acked. */
  tellUser(names: readonly string[], body: Uint8Array, nowMs: number): Effect[] {
    this.#tell(names, () => ({ type: 'user', body }), this.#advance(nowMs))
    return this.#take()
  }

  /** Pings somebody who may be dead; an ack is answered with a push/pull, which brings him back, and us to him. */
  greet(node: string, to: Address, nowMs: number): Effect[] {
    const atMs = this.#advance(nowMs)
    const pull = () => void this.#effects.push({ kind: 'push-pull', peer: to, join: true, node })
    if (!this.#membership.leaving) this.#prober.greet(node, to, pull, atMs)
    return this.#take()
  }

  /** Pings a member out of turn; nothing follows from its answer. If it came back empty, the ping tells it of us. */
  visit(node: string, nowMs: number): Effect[] {
    const atMs = this.#advance(nowMs)
    const member = this.#table.get(node)
    const isThere = member !== undefined && !this.#membership.isLocal(member) && isUp(member)
    if (isThere && !this.#membership.leaving) this.#prober.greet(node, addressOf(member), () => undefined, atMs)
    return this.#take()
  }

  /** Says that we leave; the effect `left` follows when that has spread. We still answer, and no longer refute. */
  leave(nowMs: number): Effect[] {
    const atMs = this.#advance(nowMs)
    const alone = !this.#others(isUp)
    this.#membership.leave(atMs)
    if (alone) this.#effects.push({ kind: 'left' })
    return this.#take()
  }

  #tell(names: readonly string[], news: () => PacketMessage, atMs: number): void {
    for (const name of names) {
      const member = this.#table.get(name)
      if (member?.state === 'alive' && !this.#membership.isLocal(member))
        this.#prober.tell(member, news, TELL_AGAIN_MS, atMs)
    }
  }

  #others(wanted: (member: Member) => boolean): boolean {
    for (const member of this.#table.all()) if (!this.#membership.isLocal(member) && wanted(member)) return true
    return false
  }

  #take(): Effect[] {
    this.#beat()
    const effects = this.#effects
    this.#effects = []
    return effects
  }

  #advance(nowMs: number): number {
    const dueMs = this.nextTickMs()
    if (dueMs !== undefined && nowMs - dueMs > SUSPENDED_MS_MIN) {
      this.counters.suspensions++
      const heldAtMs = Math.min(dueMs, this.#atMs + this.#suspendedMs + this.#config.gossipIntervalMs)
      this.#suspendedMs += nowMs - heldAtMs
      const fields = { lateMs: Math.round(nowMs - dueMs) }
      this.#effects.push({ kind: 'log', level: 'warn', fields, sentence: 'was suspended; deadlines go on from here' })
    }
    this.#atMs = nowMs - this.#suspendedMs
    return this.#atMs
  }

  #receivePart(part: Uint8Array, from: Address, nowMs: number): void {
    let message: PacketMessage
    try {
      message = this.#codec.decode(part)
    } catch {
      this.counters.partsRefused++ // whatever it was, it came from outside
      return
    }
    this.#dispatch(message, from, nowMs)
  }

  #dispatch(message: PacketMessage, from: Address, nowMs: number): void {
    switch (message.type) {
      case 'ping':
        return this.#pinged(message, from, nowMs)
      case 'indirectPing':
        return this.#askedToPing(message, from, nowMs)
      case 'ack':
        return this.#prober.ack(message, nowMs)
      case 'nack':
        return this.#prober.nack(message)
      case 'alive':
        return this.#membership.alive(message, nowMs)
      case 'suspect':
        return this.#membership.suspect(message, nowMs)
      case 'dead':
        return this.#membership.dead(message, nowMs)
      case 'user':
        return void this.#effects.push({ kind: 'user', body: message.body, from })
    }
  }

  #pinged(ping: Ping, from: Address, nowMs: number): void {
    if (ping.node !== '' && ping.node !== this.local.name) return void this.counters.pingsForOthers++
    const prober = ping.sourceNode === undefined ? undefined : this.#table.get(ping.sourceNode)
    const to = answerTo(ping, from)
    const payload = this.#host.ackPayload()
    this.#sender.withGossip(to, prober, { type: 'ack', seqNo: ping.seqNo, payload })
    if (prober === undefined && ping.sourceNode !== undefined) this.#strangerPinged(ping.sourceNode, to, nowMs)
  }

  /** Somebody has us in its list and we do not know it: we came back empty, or are new. Its list is our quickest way in. */
  #strangerPinged(node: string, peer: Address, nowMs: number): void {
    if (node === '' || this.#membership.leaving || nowMs - this.#strangerAtMs < STRANGER_INTERVAL_MS) return
    this.#strangerAtMs = nowMs
    this.#effects.push({ kind: 'unknown-ping', from: peer, node }, { kind: 'push-pull', peer, join: true, node })
  }

  #askedToPing(request: IndirectPing, from: Address, nowMs: number): void {
    const ip = ipTextOf(request.target)
    if (ip === undefined) return void this.counters.relaysRefused++
    const target = { ip, port: request.port === 0 ? this.#config.port : request.port }
    this.#prober.relay(request, answerTo(request, from), target, nowMs)
  }

  #startTickers(): void {
    const { probeIntervalMs, pushPullIntervalMs } = this.#config
    this.#every(
      this.#staggered(probeIntervalMs),
      () => probeIntervalMs,
      atMs => this.#prober.tick(atMs),
    )
    const pushPullMs = () => pushPullIntervalMs * pushPullScale(this.#table.size)
    this.#every(this.#staggered(pushPullIntervalMs), pushPullMs, () => this.#pushPull())
  }

  #staggered(intervalMs: number): number {
    return this.#atMs + intervalMs * (1 + this.#random.float())
  }

  #every(dueMs: number, intervalMs: () => number, run: (nowMs: number) => void): void {
    this.#alarms.set(dueMs, nowMs => {
      this.#every(Math.max(dueMs + intervalMs(), nowMs), intervalMs, run)
      run(nowMs)
    })
  }

  /** Arms the next beat of gossip if there is anything to say: five wakes a second for nothing are most of an idle agent. */
  #beat(): void {
    if (this.#gossipAlarm !== undefined || (this.#queue.size === 0 && this.#host.queued() === 0)) return
    const { gossipIntervalMs } = this.#config
    const missed = Math.max(0, Math.ceil((this.#atMs - this.#gossipAtMs) / gossipIntervalMs))
    this.#gossipAtMs += missed * gossipIntervalMs
    this.#gossipAlarm = this.#alarms.set(this.#gossipAtMs, atMs => {
      this.#gossipAlarm = undefined
      this.#gossipAtMs += gossipIntervalMs
      this.#gossip(atMs)
    })
  }

  /**
   * The wrongly buried are told too, for a while, so that they can refute; who left on purpose is not. The living come first:
   * news goes out a number of times, in a small ring twice, and must not have been told to none but the dead.
   */
  #gossip(nowMs: number): void {
    const { gossipNodes, gossipToTheDeadMs } = this.#config
    const wanted = (member: Member) =>
      !this.#membership.isLocal(member) &&
      (isUp(member) || (member.state === 'dead' && nowMs - member.stateChangedAtMs <= gossipToTheDeadMs))
    const chosen = this.#table.randomMembers(gossipNodes, wanted)
    const living = chosen.filter(member => member.state === 'alive')
    for (const member of [...living, ...chosen.filter(other => other.state !== 'alive')]) {
      if (!this.#sender.gossipTo(member)) return
    }
  }

  #pushPull(): void {
    if (this.#membership.leaving) return
    const [peer] = this.#table.randomMembers(1, member => !this.#membership.isLocal(member) && member.state === 'alive')
    if (peer === undefined) return
    const address = { ip: peer.ip, port: peer.port }
    this.#effects.push({ kind: 'push-pull', peer: address, join: false, node: peer.name })
  }
}

/** Where the answer goes: the source in the message when it names one (we may be behind a translation), else the socket's. */
function answerTo(source: Source, from: Address): Address {
  const { sourceAddr, sourcePort } = source
  const ip = sourceAddr === undefined ? undefined : ipTextOf(sourceAddr)
  return ip === undefined || sourcePort === undefined || sourcePort === 0 ? from : { ip, port: sourcePort }
}

/** Large rings exchange lists more seldom: 1 up to 32 members, 2 up to 64, 3 up to 128. */
export function pushPullScale(members: number): number {
  return members <= 32 ? 1 : Math.ceil(Math.log2(members) - 5) + 1
}

function entryOf(member: Member): PushNode {
  const { name, addr, port, meta, incarnation, vsn, state } = member
  return { name, addr, port, meta, incarnation, state: STATE_NUMBERS[state], vsn, vsnBytes: 6 }
}
