import type { Address, Random, Timer } from '../base/index.ts'
import {
  type Change,
  type Effect,
  encodeMessage,
  type Host,
  type Member,
  type PushPull,
  Swim,
  type SwimConfig,
} from '../memberlist/index.ts'
import type { SimulatedNetwork } from './network.ts'
import type { SharedCodec } from './shared-codec.ts'
import { SimulatedSerf } from './simulated-serf.ts'
import { listBytes, noTraffic, packetBytes, type Traffic } from './traffic.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** Where a member lives. */
export interface World {
  readonly clock: VirtualClock
  readonly random: Random
  readonly network: SimulatedNetwork
  /** Whoever runs at this address. */
  at(address: Address): SimulatedMember | undefined
  /** The view of `observer` has changed. */
  changed(observer: SimulatedMember, change: Change, member: Member): void
  /** A user event has come to `observer`. */
  delivered(observer: SimulatedMember, event: string): void
}

const quietHost: Host = {
  ackPayload: () => undefined,
  broadcasts: () => [],
  queued: () => 0,
  localState: () => new Uint8Array(0),
}

/** A ping or an ack over a stream. */
const STREAM_PING_BYTES = 60

/** Serf's broadcast_timeout: a leave that could not be told goes on. */
const LEAVE_TIMEOUT_MS = 5000

/** One core, or with Serf two, and what their drivers do on real sockets. */
export class SimulatedMember {
  readonly swim: Swim
  /** Undefined: memberlist alone. */
  readonly serf: SimulatedSerf | undefined
  readonly name: string
  /** What it has sent. */
  readonly traffic: Traffic = noTraffic()
  readonly #world: World
  /** What has arrived while it was suspended or slow. */
  readonly #backlog: (() => void)[] = []
  /** What it would have sent while it was slow. */
  readonly #outbox: (() => void)[] = []
  /** Without Serf: those failed, long after memberlist has reaped them. */
  readonly #failed = new Map<string, Address>()
  #isSuspended = false
  #isSlow = false
  #isStopped = false
  #wake: { readonly atMs: number; readonly timer: Timer } | undefined

  constructor(world: World, config: SwimConfig, codec: SharedCodec, withSerf: boolean) {
    this.name = config.name
    this.#world = world
    const { random, clock } = world
    this.serf = withSerf ? this.#withSerf() : undefined
    const host = this.serf?.host() ?? quietHost
    this.swim = new Swim(config, { random, host, codec, table: codec.table(random) }, clock.nowMs())
    this.#perform(this.swim.tick(clock.nowMs()))
  }

  /** In a formed ring, at the start: these are known, as if all had long joined. */
  know(others: readonly Member[]): void {
    this.swim.know(others, this.#nowMs)
    if (this.serf === undefined) return
    for (const member of others) if (member.name !== this.name) this.serf.memberChanged('join', member)
  }

  get address(): Address {
    return { ip: this.swim.local.ip, port: this.swim.local.port }
  }

  sees(name: string): Member['state'] | undefined {
    return this.swim.member(name)?.state
  }

  join(peer: Address): void {
    this.#pushPull(peer, true, () => this.serf?.joined())
  }

  leave(): void {
    if (this.serf === undefined) return this.#perform(this.swim.leave(this.#nowMs))
    const told = () => void (this.#isStopped || this.#perform(this.swim.leave(this.#nowMs)))
    this.serf.leave(told)
    this.#world.clock.after(LEAVE_TIMEOUT_MS, told)
  }

  updateMeta(meta: Uint8Array, tell: readonly string[] = []): void {
    this.#perform(this.swim.updateMeta(meta, tell, 0, this.#nowMs))
  }

  /** As SIGSTOP, and SIGCONT after `forMs`: packets wait in the socket, alarms pass unheard. */
  suspend(forMs: number): void {
    this.#isSuspended = true
    this.#world.clock.after(forMs, () => {
      this.#isSuspended = false
      for (const arrive of this.#backlog.splice(0)) arrive()
      this.#perform(this.swim.tick(this.#nowMs))
      this.serf?.tick()
    })
  }

  /**
   * Slow at processing messages, as in the experiments of Lifeguard: for `forMs` whatever arrives waits, and so does whatever
   * it would send, while its timers run. (Nothing of ours notices, unlike a suspension.)
   */
  slow(forMs: number): void {
    this.#isSlow = true
    this.#world.clock.after(forMs, () => {
      this.#isSlow = false
      for (const send of this.#outbox.splice(0)) send()
      for (const arrive of this.#backlog.splice(0)) this.#arrived(arrive)
    })
  }

  get isSlow(): boolean {
    return this.#isSlow
  }

  stop(): void {
    this.#isStopped = true
    this.#wake?.timer.cancel()
    this.serf?.stop()
  }

  /** Without Serf, its reconnect: the more have failed, the likelier one of them is tried. */
  rejoin(): void {
    if (this.#failed.size === 0) return
    const failed = [...this.#failed.values()]
    const { random } = this.#world
    if (random.float() > failed.length / Math.max(1, this.swim.aliveCount())) return
    const peer = failed[random.below(failed.length)]
    if (peer !== undefined) this.#pushPull(peer, true)
  }

  get #nowMs(): number {
    return this.#world.clock.nowMs()
  }

  #withSerf(): SimulatedSerf {
    return new SimulatedSerf(this.name, this.#world.clock, this.#world.random, {
      isAwake: () => !this.#isSuspended,
      greet: (node, to) => this.#perform(this.swim.greet(node, to, this.#nowMs)),
      reconnect: peer => this.#pushPull(peer, true),
      tell: (nodes, body) => this.#perform(this.swim.tellUser(nodes, body, this.#nowMs)),
      queued: () => {
        this.swim.hostQueued(this.#nowMs)
        this.#arm()
      },
      send: (to, body) => this.#sendParts(to, [encodeMessage({ type: 'user', body })], true),
      delivered: event => this.#world.delivered(this, event),
    })
  }

  #perform(effects: readonly Effect[]): void {
    for (const effect of effects) this.#performOne(effect)
    this.#arm()
  }

  #performOne(effect: Effect): void {
    switch (effect.kind) {
      case 'send':
        return this.#sendParts(effect.to, effect.parts, effect.crc)
      case 'push-pull':
        return this.#pushPull(effect.peer, effect.join)
      case 'stream-ping':
        return this.#streamPing(effect)
      case 'changed':
        return this.#changed(effect)
      case 'user':
        return this.serf?.receive(effect.body)
      case 'conflict':
        return this.serf?.conflict(effect.existing.name, effect.other)
    }
  }

  #changed({ change, member }: Extract<Effect, { kind: 'changed' }>): void {
    const { name, ip, port, state } = member
    this.#world.changed(this, change, member)
    if (this.serf !== undefined) this.serf.memberChanged(change, member)
    else if (state === 'dead') this.#failed.set(name, { ip, port })
    else this.#failed.delete(name)
  }

  #sendParts(to: Address, parts: readonly Uint8Array[], crc: boolean): void {
    const from = this.address
    this.traffic.packets++
    this.traffic.packetBytes += packetBytes(parts, crc)
    this.#toPeer('packet', to, peer => peer.#perform(peer.swim.receive(parts, from, peer.#nowMs)))
  }

  /** @param done called when the answer has been taken */
  #pushPull(to: Address, join: boolean, done?: () => void): void {
    const list = this.#ownList(join)
    this.#toPeer('stream', to, peer => {
      const answer = peer.#ownList(join)
      peer.#toPeer('stream', this.address, asker => {
        asker.#merge(answer)
        if (asker === this) done?.()
      })
      peer.#merge(list)
    })
  }

  #ownList(join: boolean): PushPull {
    const list = this.swim.ownList(join)
    this.traffic.streams++
    this.traffic.streamBytes += listBytes(list.nodes, list.userState.length)
    return list
  }

  #merge(list: PushPull): void {
    const { effects, refused } = this.swim.merge(list, this.#nowMs)
    this.#perform(effects)
    if (refused === undefined) this.serf?.mergeState(list.userState, list.join)
  }

  #streamPing({ to, ping }: Extract<Effect, { kind: 'stream-ping' }>): void {
    this.traffic.streams++
    this.traffic.streamBytes += STREAM_PING_BYTES
    this.#toPeer('stream', to, peer => {
      if (peer.swim.streamPing(ping) === undefined) return
      peer.traffic.streams++
      peer.traffic.streamBytes += STREAM_PING_BYTES
      peer.#toPeer('stream', this.address, asker => asker.swim.streamPingDone(ping.seqNo, true))
    })
  }

  #toPeer(how: 'packet' | 'stream', to: Address, arrive: (peer: SimulatedMember) => void): void {
    if (this.#isSlow) return void this.#outbox.push(() => this.#toPeer(how, to, arrive))
    const peer = this.#world.at(to)
    if (peer === undefined || this.#isStopped) return
    this.#world.network[how](this.name, peer.name, () => peer.#arrived(() => arrive(peer)))
  }

  #arrived(handle: () => void): void {
    if (this.#isStopped) return
    if (this.#isSuspended || this.#isSlow) this.#backlog.push(handle)
    else handle()
  }

  #arm(): void {
    const dueMs = this.swim.nextTickMs()
    if (dueMs === undefined || this.#isStopped || this.#wake?.atMs === dueMs) return
    this.#wake?.timer.cancel()
    const timer = this.#world.clock.at(dueMs, () => {
      if (!this.#isSuspended) this.#perform(this.swim.tick(this.#nowMs))
    })
    this.#wake = { atMs: dueMs, timer }
  }
}
