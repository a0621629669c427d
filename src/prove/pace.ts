/** A stall of our own process longer than this is not made up for: the burst would be a load nobody asked for. */
const CATCH_UP_MS_MAX = 1000

/** Open-loop pace: how many requests are due, whatever became of the earlier ones. */
export class Pace {
  readonly #perMs: number
  #lastMs: number
  #owed = 0

  /** @param ratePerSecond more than 0 */
  constructor(ratePerSecond: number, nowMs: number) {
    this.#perMs = ratePerSecond / 1000
    this.#lastMs = nowMs
  }

  /** How many requests to send now; the rest of a fraction stays owed. */
  due(nowMs: number): number {
    this.#owed += Math.min(CATCH_UP_MS_MAX, Math.max(0, nowMs - this.#lastMs)) * this.#perMs
    this.#lastMs = nowMs
    const whole = Math.floor(this.#owed + 1e-9) // sums of fractions fall short by an ulp
    this.#owed -= whole
    return whole
  }
}
