/** Penalty that one failure adds is 1; half of what is there is gone after this. */
const HALF_LIFE_MS = 60_000
/** From this penalty on a return is held back: the fourth failure within a minute or so. */
const HELD_FROM = 3
const HOLD_MS_MIN = 5_000
const HOLD_MS_MAX = 120_000
/** Below it a member is as good as one that never failed. */
const FORGOTTEN_BELOW = 0.1

/**
 * How much members flap, as routers damp routes that come and go (RFC 2439): each failure adds to a penalty that fades, and the
 * higher it is, the longer a return is held back. (serf#269: a member that fails and joins all the time has every handler of
 * the ring run all the time.)
 */
export class FlapDamper {
  readonly #penalties = new Map<string, { value: number; atMs: number }>()

  failed(name: string, nowMs: number): void {
    this.#penalties.set(name, { value: this.penalty(name, nowMs) + 1, atMs: nowMs })
  }

  /** 0 for a calm member. */
  penalty(name: string, nowMs: number): number {
    const found = this.#penalties.get(name)
    if (found === undefined) return 0
    const value = found.value * 2 ** ((found.atMs - nowMs) / HALF_LIFE_MS)
    if (value >= FORGOTTEN_BELOW) return value
    this.#penalties.delete(name)
    return 0
  }

  /** How long its return is to be held back, ms; 0: not at all. */
  holdMs(name: string, nowMs: number): number {
    const penalty = this.penalty(name, nowMs)
    if (penalty < HELD_FROM) return 0
    return Math.min(HOLD_MS_MIN * 2 ** Math.floor(penalty - HELD_FROM), HOLD_MS_MAX)
  }

  forget(name: string): void {
    this.#penalties.delete(name)
  }
}
