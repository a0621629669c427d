import type { Random } from '../base/index.ts'
import type { VirtualClock } from './virtual-clock.ts'

export interface NetworkConfig {
  /** Share of packets lost, 0 to 1; default 0. Streams are not lost, as TCP repeats. */
  readonly loss?: number
  /** One way, uniform between the two; default 0.2 to 2, a LAN. Packets overtake one another. */
  readonly delayMs?: readonly [min: number, max: number]
}

/** Those inside do not reach those outside; unless it is one way, nor do those outside reach them. */
interface Cut {
  readonly inside: ReadonlySet<string>
  readonly oneWay: boolean
}

/** Carries what hosts hand it, or does not: loses, delays, reorders, and can be cut into islands. */
export class SimulatedNetwork {
  readonly #clock: VirtualClock
  readonly #random: Random
  readonly #islands = new Map<string, number>()
  readonly #cuts = new Set<Cut>()
  #loss: number
  readonly #delayMs: readonly [number, number]

  constructor(clock: VirtualClock, random: Random, config: NetworkConfig = {}) {
    this.#clock = clock
    this.#random = random
    this.#loss = config.loss ?? 0
    this.#delayMs = config.delayMs ?? [0.2, 2]
  }

  set loss(share: number) {
    this.#loss = share
  }

  /** From now on these hear only one another, and so do those not named in any island. */
  cut(...islands: readonly (readonly string[])[]): void {
    this.#islands.clear()
    for (const [island, hosts] of islands.entries()) for (const host of hosts) this.#islands.set(host, island)
  }

  heal(): void {
    this.#islands.clear()
    this.#cuts.clear()
  }

  /**
   * One more cut, besides those there are.
   * @param oneWay what these send to the others is lost, and what the others send arrives
   * @returns mends this one
   */
  sever(hosts: Iterable<string>, oneWay = false): () => void {
    const cut = { inside: new Set(hosts), oneWay }
    this.#cuts.add(cut)
    return () => void this.#cuts.delete(cut)
  }

  /** Whether what `a` sends reaches `b`. */
  connected(a: string, b: string): boolean {
    if (this.#islands.get(a) !== this.#islands.get(b)) return false
    for (const { inside, oneWay } of this.#cuts) {
      if (inside.has(a) ? !inside.has(b) : !oneWay && inside.has(b)) return false
    }
    return true
  }

  /** One packet: arrives at most once. */
  packet(from: string, to: string, arrive: () => void): void {
    if (!this.connected(from, to) || this.#random.float() < this.#loss) return
    this.#later(() => this.connected(from, to), arrive)
  }

  /** One direction of a stream: arrives unless the two are cut off from each other, in whichever direction. */
  stream(from: string, to: string, arrive: () => void): void {
    const open = () => this.connected(from, to) && this.connected(to, from)
    if (open()) this.#later(open, arrive)
  }

  #later(open: () => boolean, arrive: () => void): void {
    const [min, max] = this.#delayMs
    this.#clock.after(min + this.#random.float() * (max - min), () => {
      if (open()) arrive()
    })
  }
}
