/** So many falls within `WINDOW_MS`, and a server is held out when it is back. */
const FALLS_MAX = 3
const WINDOW_MS = 60_000
const PAUSE_MS_MIN = 10_000
const PAUSE_MS_MAX = 5 * 60_000
/** Without a fall for so long everything is forgiven. */
const FORGIVEN_MS = 10 * 60_000
/** Servers that are remembered; the one that fell the longest ago is forgotten first. */
const REMEMBERED_MAX = 4_096

interface Falls {
  /** The newest last, at most `FALLS_MAX`. */
  times: number[]
  pauses: number
  heldUntilMs: number
}

/**
 * Servers that come and go: each return costs the requests that the next fall meets, so that a pause, doubled each time, is put between
 * (BGP route flap damping, RFC 2439, is the same idea). Pure: time is an argument.
 */
export class Flapping {
  readonly #falls = new Map<string, Falls>()

  /** It was in traffic and is not any more, without having said so before. */
  fell(key: string, nowMs: number): void {
    const falls = this.#falls.get(key) ?? { times: [], pauses: 0, heldUntilMs: 0 }
    const isForgiven = nowMs - (falls.times.at(-1) ?? nowMs) > FORGIVEN_MS
    if (isForgiven) Object.assign(falls, { times: [], pauses: 0 })
    falls.times = [...falls.times, nowMs].slice(-FALLS_MAX)
    const [first = nowMs] = falls.times
    const flaps = falls.times.length === FALLS_MAX && nowMs - first <= WINDOW_MS
    if (flaps || falls.pauses > 0)
      falls.heldUntilMs = nowMs + Math.min(PAUSE_MS_MIN * 2 ** falls.pauses++, PAUSE_MS_MAX)
    this.#falls.delete(key) // to the end of the map's order
    this.#falls.set(key, falls)
    if (this.#falls.size > REMEMBERED_MAX) this.#falls.delete(this.#falls.keys().next().value as string)
  }

  /** Until when it is to be held out, ms; undefined: it may come in. */
  heldUntilMs(key: string, nowMs: number): number | undefined {
    const until = this.#falls.get(key)?.heldUntilMs ?? 0
    return until > nowMs ? until : undefined
  }
}
