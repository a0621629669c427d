import type { Clock } from './clock.ts'

/** A promise and who settles it. */
export interface Deferred<T = void> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (failure: Error) => void
}

export function deferred<T = void>(): Deferred<T> {
  let resolve: (value: T) => void = () => undefined
  let reject: (failure: Error) => void = () => undefined
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

export interface Limit {
  readonly clock: Clock
  readonly timeoutMs: number
  /** Ends the wait early. */
  readonly signal: AbortSignal
  /** What is thrown when it took too long, or was ended by the signal. */
  readonly late: (why: 'timeout' | 'aborted') => Error
}

/** Waits for `work`, no longer than the limit; what it comes to later is nobody's business any more. @throws `late`'s error */
export async function within<T>(work: Promise<T>, limit: Limit): Promise<T> {
  const { clock, timeoutMs, signal, late } = limit
  const over = deferred<never>()
  const onAbort = () => over.reject(late('aborted'))
  const timer = clock.after(timeoutMs, () => over.reject(late('timeout')))
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    return await Promise.race([work, over.promise])
  } finally {
    timer.cancel()
    signal.removeEventListener('abort', onAbort)
  }
}
