/**
 * A Lamport time (Lamport 1978). On the wire it has 64 bits; here it is a plain integer, and values above 2^53 − 1, which
 * no cluster reaches by counting, are refused as malformed where they arrive.
 */
export type LTime = number

export const LTIME_MAX: LTime = Number.MAX_SAFE_INTEGER

/** One of Serf's three counters: members, events, queries. */
export class LamportClock {
  #time: LTime = 0

  time(): LTime {
    return this.#time
  }

  /** Adds one; stays at the maximum, which only a hostile peer can make us reach. */
  increment(): LTime {
    this.#time = Math.min(this.#time + 1, LTIME_MAX)
    return this.#time
  }

  /** Something with time `seen` happened elsewhere: whatever comes from here is later than that. */
  witness(seen: LTime): void {
    if (seen >= this.#time) this.#time = Math.min(seen + 1, LTIME_MAX)
  }
}
