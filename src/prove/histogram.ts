/** Each bucket is 4 % wider than the one before, so that a quantile is off by 2 % at most. */
const GROWTH = 1.04
/** From 0.01 ms to about 20 minutes; what is longer falls into the last. */
const BUCKETS = 480
const FIRST_MS = 0.01

/** Latencies in bounded memory, whatever their number (the idea of HdrHistogram, G. Tene). */
export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS)
  #count = 0
  #maxMs = 0

  get count(): number {
    return this.#count
  }

  /** Exact; 0 when nothing was recorded. */
  get maxMs(): number {
    return this.#maxMs
  }

  record(ms: number): void {
    const bucket = ms <= FIRST_MS ? 0 : Math.min(BUCKETS - 1, Math.ceil(Math.log(ms / FIRST_MS) / Math.log(GROWTH)))
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1
    this.#count++
    this.#maxMs = Math.max(this.#maxMs, ms)
  }

  add(other: Histogram): void {
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      this.#counts[bucket] = (this.#counts[bucket] as number) + (other.#counts[bucket] as number)
    }
    this.#count += other.#count
    this.#maxMs = Math.max(this.#maxMs, other.#maxMs)
  }

  /**
   * The latency that a share of `quantile` (0 to 1) did not exceed.
   * @returns milliseconds; 0 when nothing was recorded
   */
  quantileMs(quantile: number): number {
    let left = Math.ceil(this.#count * quantile)
    for (let bucket = 0; bucket < BUCKETS && left > 0; bucket++) {
      left -= this.#counts[bucket] as number
      if (left <= 0) return Math.min(this.#maxMs, FIRST_MS * GROWTH ** bucket)
    }
    return this.#maxMs
  }
}
