import type { Address, Random } from '../base/index.ts'
import {
  type Effect,
  encodeMessage,
  type Host,
  type Member,
  type PartCodec,
  type PushPull,
  Swim,
  type SwimConfig,
} from '../memberlist/index.ts'
import type { SimulatedNetwork } from './network.ts'
import { SimulatedSerf } from './simulated-serf.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** Where a member lives. */
export interface World {
  readonly clock: VirtualClock
  readonly random: Random
  readonly network: SimulatedNetwork
  /** Whoever runs at this address. */
  at(address: Address): SimulatedMember | undefined
}

const quietHost: Host = {
  ackPayload: () => undefined,
  broadcasts: () => [],
  queued: () => 0,
  localState: () => new Uint8Array(0),
}

/** Serf's broadcast_timeout: a leave that could not be told goes on. */
const LEAVE_TIMEOUT_MS = 5000

/** One core, or with Serf two, and what their drivers do on real sockets. */
export class SimulatedMember {
  readonly swim: Swim
  /** Undefined: memberlist alone. */
  readonly serf: SimulatedSerf | undefined
  readonly name: string
  readonly #world: World
  readonly #backlog: (() => void)[] = []
  /** Without Serf: those failed, long after memberlist has reaped them. */
  readonly #failed = new Map<string, Address>()
  #isSuspended = false
  #isStopped = false
  #wake: { atMs: number; cancel(): void } | undefined

  constructor(world: World, config: SwimConfig, codec: PartCodec, withSerf: boolean) {
    this.name = config.name
    this.#world = world
    const { random, clock } = world
    this.serf = withSerf ? this.#withSerf() : undefined
    this.swim = new Swim(config, { random, host: this.serf?.host() ?? quietHost, codec }, clock.nowMs())
    this.#perform(this.swim.tick(clock.nowMs()))
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

  stop(): void {
    this.#isStopped = true
    this.#wake?.cancel()
    this.serf?.stop()
  }

  /** Without Serf, its reconnect: the more have failed, the likelier one of them is tried. */
  rejoin(): void {
    const failed = [...this.#failed.values()]
    const { random } = this.#world
    if (random.float() > failed.length / Math.max(1, this.swim.aliveCount())) return
    const peer = failed[random.below(Math.max(1, failed.length))]
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
      send: (to, body) => this.#sendParts(to, [encodeMessage({ type: 'user', body })]),
    })
  }

  #perform(effects: readonly Effect[]): void {
    for (const effect of effects) this.#performOne(effect)
    this.#arm()
  }

  #performOne(effect: Effect): void {
    switch (effect.kind) {
      case 'send':
        return this.#sendParts(effect.to, effect.parts)
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
    if (this.serf !== undefined) this.serf.memberChanged(change, member)
    else if (state === 'dead') this.#failed.set(name, { ip, port })
    else this.#failed.delete(name)
  }

  #sendParts(to: Address, parts: readonly Uint8Array[]): void {
    const from = this.address
    this.#toPeer('packet', to, peer => peer.#perform(peer.swim.receive(parts, from, peer.#nowMs)))
  }

  /** @param done called when the answer has been taken */
  #pushPull(to: Address, join: boolean, done?: () => void): void {
    const list = this.swim.ownList(join)
    this.#toPeer('stream', to, peer => {
      const answer = peer.swim.ownList(join)
      peer.#toPeer('stream', this.address, asker => {
        asker.#merge(answer)
        if (asker === this) done?.()
      })
      peer.#merge(list)
    })
  }

  #merge(list: PushPull): void {
    const { effects, refused } = this.swim.merge(list, this.#nowMs)
    this.#perform(effects)
    if (refused === undefined) this.serf?.mergeState(list.userState, list.join)
  }

  #streamPing({ to, ping }: Extract<Effect, { kind: 'stream-ping' }>): void {
    this.#toPeer('stream', to, peer => {
      if (peer.swim.streamPing(ping) === undefined) return
      peer.#toPeer('stream', this.address, asker => asker.swim.streamPingDone(ping.seqNo, true))
    })
  }

  #toPeer(how: 'packet' | 'stream', to: Address, arrive: (peer: SimulatedMember) => void): void {
    const peer = this.#world.at(to)
    if (peer === undefined || this.#isStopped) return
    this.#world.network[how](this.name, peer.name, () => peer.#arrived(() => arrive(peer)))
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
    const timer = this.#world.clock.at(dueMs, () => {
      if (!this.#isSuspended) this.#perform(this.swim.tick(this.#nowMs))
    })
    this.#wake = { atMs: dueMs, cancel: () => timer.cancel() }
  }
}
