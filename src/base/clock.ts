/** A timer that has an owner. */
export interface Timer {
  /** Cancels the call if it has not happened; safe to call twice. */
  cancel(): void
}

/**
 * Time, injected everywhere so that tests and the simulator advance it by hand. Two clocks, because the wall clock jumps:
 * everything that measures a duration uses `nowMs`, and only what people or files read uses `wallMs`.
 */
export interface Clock {
  /** Milliseconds from an arbitrary origin; never goes back, whatever happens to the wall clock. */
  nowMs(): number
  /** Milliseconds since 1970; may jump either way. */
  wallMs(): number
  /** Calls `fn` once, no sooner than `delayMs` from now. */
  after(delayMs: number, fn: () => void): Timer
}

/** The real clock: the only place that touches `setTimeout`, `Date.now` and `performance.now`. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, fn) {
    const handle = setTimeout(fn, Math.max(0, Math.min(delayMs, TIMEOUT_MS_MAX)))
    return { cancel: () => clearTimeout(handle) }
  },
}

/** Node treats longer delays as 1 ms; callers that are woken early look at the clock and wait again. */
const TIMEOUT_MS_MAX = 0x7fff_ffff

/**
 * Waits `delayMs` on `clock`.
 * @throws the signal's reason when it is aborted first; the timer is released.
 */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(reasonOf(signal))
    const onAbort = () => {
      timer.cancel()
      reject(reasonOf(signal as AbortSignal))
    }
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('aborted', { cause: signal.reason })
}
