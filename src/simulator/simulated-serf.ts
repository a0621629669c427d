import type { Address, Random, Timer } from '../base/index.ts'
import { type Change, type Host, type Member, PROFILES } from '../memberlist/index.ts'
import { SerfCore, type SerfEffect } from '../serf/index.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** What the member below does for its Serf. */
export interface SerfFloor {
  isAwake(): boolean
  greet(node: string, to: Address): void
  /** Exchanges lists with a failed member. */
  reconnect(peer: Address): void
  /** One user message to each, again until acked. */
  tell(nodes: readonly string[], body: Uint8Array): void
  /** There is something to gossip. */
  queued(): void
  /** One user message. */
  send(to: Address, body: Uint8Array): void
  /** A user event has come, for the first time or again. */
  delivered(event: string): void
}

const DAY_MS = 86_400_000

/** Serf's core on a simulated member, and what its driver does in a real agent. */
export class SimulatedSerf {
  readonly core: SerfCore
  /** How often each user event was delivered, by its name. */
  readonly delivered = new Map<string, number>()
  /** Whom it has seen leave. */
  readonly sawLeave = new Set<string>()
  readonly #name: string
  readonly #clock: VirtualClock
  readonly #floor: SerfFloor
  #wake: { atMs: number; timer: Timer } | undefined
  #isStopped = false

  constructor(name: string, clock: VirtualClock, random: Random, floor: SerfFloor) {
    this.#name = name
    this.#clock = clock
    this.#floor = floor
    this.core = new SerfCore(configOf(name), random, clock.nowMs())
  }

  /** What memberlist asks for. */
  host(): Host {
    return {
      ackPayload: () => undefined,
      broadcasts: (overhead, budget) => this.core.broadcasts(overhead, budget),
      queued: () => this.core.queued,
      localState: () => this.core.localState(),
    }
  }

  memberChanged(change: Change, member: Member): void {
    this.#perform(this.core.memberChanged(change, member, this.#nowMs))
  }

  receive(body: Uint8Array): void {
    this.#perform(this.core.receive(body, this.#nowMs))
  }

  mergeState(state: Uint8Array, join: boolean): void {
    if (state.length > 0) this.#perform(this.core.mergeState(state, join, this.#nowMs))
  }

  conflict(name: string, rival: Address): void {
    this.#perform(this.core.conflict(name, rival, this.#nowMs))
  }

  joined(): void {
    if (this.core.state === 'alive') this.#perform(this.core.broadcastJoin(this.#nowMs))
  }

  /** @param transmitted called when the word has been sent often enough */
  leave(transmitted: () => void): void {
    const options = { prune: false, tell: [], transmitted }
    this.#perform(this.core.broadcastLeave(this.#name, this.#nowMs, options))
  }

  userEvent(name: string): void {
    this.#perform(this.core.sendUserEvent(name, new Uint8Array(0), false))
  }

  tick(): void {
    this.#perform(this.core.tick(this.#nowMs))
  }

  stop(): void {
    this.#isStopped = true
    this.#wake?.timer.cancel()
  }

  get #nowMs(): number {
    return this.#clock.nowMs()
  }

  #perform(effects: readonly SerfEffect[]): void {
    for (const effect of effects) this.#performOne(effect)
    if (this.core.queued > 0) this.#floor.queued()
    this.#arm()
  }

  #performOne(effect: SerfEffect): void {
    if (effect.kind === 'send') this.#floor.send(effect.to, effect.body)
    else if (effect.kind === 'tell') this.#floor.tell(effect.nodes, effect.body)
    else if (effect.kind === 'greet') this.#floor.greet(effect.node, effect.to)
    else if (effect.kind === 'reconnect') this.#reconnect(effect.address)
    else if (effect.kind === 'event') this.#happened(effect.event)
  }

  #happened(event: Extract<SerfEffect, { kind: 'event' }>['event']): void {
    if (event.kind === 'user') {
      this.delivered.set(event.name, (this.delivered.get(event.name) ?? 0) + 1)
      this.#floor.delivered(event.name)
    }
    if (event.kind === 'member-leave') for (const { name } of event.members) this.sawLeave.add(name)
  }

  /** @param address `name/ip:port` */
  #reconnect(address: string): void {
    const [, ip = '', port = ''] = /\/([^/:]+):(\d+)$/.exec(address) ?? []
    this.#floor.reconnect({ ip, port: Number(port) })
  }

  #arm(): void {
    const atMs = this.core.nextTickMs()
    if (this.#isStopped || this.#wake?.atMs === atMs) return
    this.#wake?.timer.cancel()
    const timer = this.#clock.at(atMs, () => {
      this.#wake = undefined
      if (this.#floor.isAwake()) this.tick()
    })
    this.#wake = { atMs, timer }
  }
}

/** Serf's defaults. */
function configOf(name: string) {
  return {
    name,
    retransmitMult: PROFILES.lan.retransmitMult,
    gossipIntervalMs: PROFILES.lan.gossipIntervalMs,
    reconnectIntervalMs: 30_000,
    reconnectTimeoutMs: DAY_MS,
    tombstoneTimeoutMs: DAY_MS,
    pruneDelayMs: 6000,
    userEventBytesMax: 512,
    queryBytesMax: 1024,
    queryResponseBytesMax: 1024,
  }
}
