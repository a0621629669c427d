import type { Clock, ProbeTarget, Timer } from '../../base/index.ts'

export type ProbeFunction = (
  target: ProbeTarget,
  options: { readonly timeoutMs: number; readonly clock: Clock; readonly signal?: AbortSignal },
) => Promise<string | undefined>

const TIMEOUT_MS = 1_000
const RETRY_MS_MIN = 50
const RETRY_MS_MAX = 1_000

/** Asks servers that are about to enter, at once and again with backoff until they answer or are no longer wanted. */
export class Prober {
  readonly #clock: Clock
  readonly #probe: ProbeFunction
  readonly #onGood: (key: string) => void
  readonly #running = new Map<
    string,
    { abort: AbortController; timer: Timer | undefined; reason: string | undefined }
  >()

  constructor(clock: Clock, probe: ProbeFunction, onGood: (key: string) => void) {
    this.#clock = clock
    this.#probe = probe
    this.#onGood = onGood
  }

  /** Probes exactly `targets` from now on; those that run already go on undisturbed. */
  want(targets: ReadonlyMap<string, ProbeTarget>): void {
    for (const key of this.#running.keys()) if (!targets.has(key)) this.#end(key)
    for (const [key, target] of targets) if (!this.#running.has(key)) this.#begin(key, target)
  }

  /** Why the last probe of `key` failed; undefined when none has. */
  reasonOf(key: string): string | undefined {
    return this.#running.get(key)?.reason
  }

  stop(): void {
    this.want(new Map())
  }

  #begin(key: string, target: ProbeTarget): void {
    this.#running.set(key, { abort: new AbortController(), timer: undefined, reason: undefined })
    void this.#ask(key, target, RETRY_MS_MIN)
  }

  async #ask(key: string, target: ProbeTarget, retryMs: number): Promise<void> {
    const own = this.#running.get(key)
    if (own === undefined) return
    const reason = await this.#probe(target, { timeoutMs: TIMEOUT_MS, clock: this.#clock, signal: own.abort.signal })
    if (this.#running.get(key) !== own) return
    if (reason === undefined) {
      this.#end(key)
      return this.#onGood(key)
    }
    own.reason = reason
    own.timer = this.#clock.after(retryMs, () => void this.#ask(key, target, Math.min(retryMs * 2, RETRY_MS_MAX)))
  }

  #end(key: string): void {
    const own = this.#running.get(key)
    own?.abort.abort()
    own?.timer?.cancel()
    this.#running.delete(key)
  }
}
