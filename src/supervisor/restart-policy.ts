import type { Random } from '../base/index.ts'
import type { RestartSpec } from './spec.ts'

/** What to do about a service that ended by itself. */
export type RestartDecision =
  | { readonly kind: 'restart'; readonly delayMs: number }
  | { readonly kind: 'quarantine'; readonly failures: number }

/** Exponential backoff that forgets after a stable run, and gives up on a crash loop. No I/O, no clock. */
export class RestartPolicy {
  readonly #spec: Required<RestartSpec>
  readonly #random: Random
  #failures = 0

  constructor(spec: Required<RestartSpec>, random: Random) {
    this.#spec = spec
    this.#random = random
  }

  /** Unstable runs in a row so far. */
  get failures(): number {
    return this.#failures
  }

  /** @param ranMs how long it ran; 0 when it could not be started */
  ended(ranMs: number): RestartDecision {
    this.#failures = ranMs >= this.#spec.stableMs ? 1 : this.#failures + 1
    const { quarantineAfter } = this.#spec
    if (quarantineAfter > 0 && this.#failures >= quarantineAfter)
      return { kind: 'quarantine', failures: this.#failures }
    const delayMs = Math.min(this.#spec.maxMs, this.#spec.minMs * 2 ** (this.#failures - 1))
    // A quarter of jitter, downwards, so that a hundred hosts do not come back in step and maxMs stays the longest wait.
    return { kind: 'restart', delayMs: Math.round(delayMs * (1 - this.#random.float() / 4)) }
  }

  /** A person asked for a start: the past no longer counts. */
  forget(): void {
    this.#failures = 0
  }
}
