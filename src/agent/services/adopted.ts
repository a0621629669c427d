import { type Clock, sleep } from '../../base/index.ts'
import type { Supervisor } from '../../supervisor/index.ts'
import { adoptedAreReady } from '../endpoints/local-endpoints.ts'

/**
 * Waits for what an earlier agent left running, as `adoptedAreReady` does, and leaves no timer behind.
 * @throws the signal's reason, at once
 */
export async function untilAdoptedAreReady(supervisor: Supervisor, clock: Clock, signal?: AbortSignal): Promise<void> {
  const over = new AbortController()
  const either = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal])
  try {
    await adoptedAreReady(supervisor, ms => sleep(clock, ms, either).catch(() => undefined))
  } finally {
    over.abort()
  }
  signal?.throwIfAborted()
}
