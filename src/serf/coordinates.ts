import type { Random } from '../base/index.ts'
import { type Coordinate, distanceS, ERROR_MAX, isSound, ORIGIN, pushed, rawDistanceS, ZERO_S } from './coordinate.ts'

/** How much one observation counts, for the error and for the place (the paper's c_e and c_c). */
const ERROR_SHARE = 0.25
const MOVE_SHARE = 0.25
const ADJUSTMENT_WINDOW = 20
const LATENCIES_KEPT = 3
/** Pull towards the origin, so that the whole cloud does not drift; grows with the square of the distance. */
const GRAVITY_RHO = 150
const RTT_S_MAX = 10

/**
 * This node's coordinate, and those of the members that it has measured, as Serf 0.10 computes them. Bounded by the member list: the
 * owner forgets here whom it forgets there.
 */
export class Coordinates {
  readonly #random: Random
  readonly #known = new Map<string, { latencies: readonly number[]; coordinate: Coordinate }>()
  readonly #adjustments = new Float64Array(ADJUSTMENT_WINDOW)
  #nextAdjustment = 0
  #own = ORIGIN
  /** How often the own coordinate had become nonsense and was put back to the origin. */
  resets = 0

  constructor(random: Random) {
    this.#random = random
  }

  get own(): Coordinate {
    return this.#own
  }

  /** Of a member that was measured; undefined otherwise. */
  of(name: string): Coordinate | undefined {
    return this.#known.get(name)?.coordinate
  }

  forget(name: string): void {
    this.#known.delete(name)
  }

  /**
   * One direct ping, answered after `rttS` seconds by a member who says it stands at `other`.
   * @returns false when the observation makes no sense; nothing has changed then
   */
  observe(name: string, other: Coordinate, rttS: number): boolean {
    if (!isSound(other) || !(rttS >= 0 && rttS <= RTT_S_MAX)) return false
    const latencies = [...(this.#known.get(name)?.latencies ?? []), rttS].slice(-LATENCIES_KEPT)
    this.#known.set(name, { latencies, coordinate: other })
    const filteredS = median(latencies)
    this.#move(other, filteredS)
    this.#adjust(other, filteredS)
    this.#gravitate()
    if (!isSound(this.#own)) {
      this.resets++
      this.#own = ORIGIN
    }
    return true
  }

  #move(other: Coordinate, rttS: number): void {
    const c = this.#own
    const distance = distanceS(c, other)
    const measured = Math.max(rttS, ZERO_S)
    const wrong = Math.abs(distance - measured) / measured
    const weight = c.error / Math.max(c.error + other.error, ZERO_S)
    const share = ERROR_SHARE * weight
    const error = Math.min(share * wrong + c.error * (1 - share), ERROR_MAX)
    this.#own = pushed({ ...c, error }, MOVE_SHARE * weight * (measured - distance), other, this.#random)
  }

  #adjust(other: Coordinate, rttS: number): void {
    this.#adjustments[this.#nextAdjustment] = rttS - rawDistanceS(this.#own, other)
    this.#nextAdjustment = (this.#nextAdjustment + 1) % ADJUSTMENT_WINDOW
    const sum = this.#adjustments.reduce((total, sample) => total + sample, 0)
    this.#own = { ...this.#own, adjustment: sum / (2 * ADJUSTMENT_WINDOW) }
  }

  #gravitate(): void {
    const pull = -((distanceS(ORIGIN, this.#own) / GRAVITY_RHO) ** 2)
    this.#own = pushed(this.#own, pull, ORIGIN, this.#random)
  }
}

/** Of two the larger, as Serf's filter. */
function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
