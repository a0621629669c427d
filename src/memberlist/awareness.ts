/**
 * How much we doubt ourselves (Lifeguard, "local health multiplier"): 0 is healthy, `max - 1` the worst. It stretches our probe
 * interval by (score + 1), so that a member starved of CPU or network accuses others more slowly. Nothing else is stretched.
 */
export class Awareness {
  readonly #max: number
  #score = 0

  constructor(multiplierMax: number) {
    this.#max = multiplierMax
  }

  get score(): number {
    return this.#score
  }

  apply(delta: number): void {
    this.#score = Math.max(0, Math.min(this.#max - 1, this.#score + delta))
  }

  scaleMs(intervalMs: number): number {
    return intervalMs * (this.#score + 1)
  }
}
