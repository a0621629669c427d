import type { Clock } from '../../base/index.ts'

/**
 * Runs `work` with a signal that is aborted with `signal`, or after `limitMs`. (Not `AbortSignal.any` over
 * `AbortSignal.timeout`: Node 20 may collect that pair as garbage while somebody waits for it.)
 */
export async function withDeadline<T>(
  clock: Clock,
  limitMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const ended = new AbortController()
  const onAbort = () => ended.abort(signal.reason)
  const timer = clock.after(limitMs, () => ended.abort(new Error(`it took longer than ${limitMs / 1000} s`)))
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    return await work(ended.signal)
  } finally {
    timer.cancel()
    signal.removeEventListener('abort', onAbort)
  }
}
