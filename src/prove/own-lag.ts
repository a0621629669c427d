import { Histogram } from './histogram.ts'

/** A tick that comes this much too late is ordinary: garbage collection, a burst of answers. */
const ORDINARY_MS = 5

/** How the load itself did. */
export interface OwnLag {
  /** How much too late its ticks came: the 99th percentile, and the worst. */
  readonly p99Ms: number
  readonly maxMs: number
}

/**
 * The prover's own stalls: while its process does not run, answers wait for it and look slow although they are not. Each
 * tick of the load says when it should have come; the difference is the prover's own.
 */
export class LagMeter {
  readonly #histogram = new Histogram()
  readonly #everyMs: number
  #stalledMs = 0
  #dueAtMs: number

  /** @param everyMs pause between ticks */
  constructor(everyMs: number, nowMs: number) {
    this.#everyMs = everyMs
    this.#dueAtMs = nowMs + everyMs
  }

  tick(nowMs: number): void {
    const lateMs = Math.max(0, nowMs - this.#dueAtMs)
    this.#histogram.record(lateMs)
    this.#stalledMs += beyondOrdinary(lateMs)
    this.#dueAtMs = nowMs + this.#everyMs
  }

  /** All stalls up to now, the present one included; the difference of two moments is what lay between them. */
  stalledMs(nowMs: number): number {
    return this.#stalledMs + beyondOrdinary(nowMs - this.#dueAtMs)
  }

  lag(): OwnLag {
    return { p99Ms: this.#histogram.quantileMs(0.99), maxMs: this.#histogram.maxMs }
  }
}

function beyondOrdinary(lateMs: number): number {
  return lateMs > ORDINARY_MS ? lateMs : 0
}
