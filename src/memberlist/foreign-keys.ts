/** Addresses that are remembered; a stranger with many has only the first ones told of. */
const SENDERS_MAX = 64
/** How long after its last packet a sender counts, and how often it is told of. */
const WINDOW_MS = 10 * 60_000

/** Who speaks with a key that we do not have: it, or we, were away while the ring's keys were changed. */
export class ForeignKeys {
  readonly #senders = new Map<string, { lastAtMs: number; toldAtMs: number }>()

  /** @returns whether it is time to say so */
  heard(ip: string, nowMs: number): boolean {
    const known = this.#senders.get(ip)
    if (known === undefined) {
      this.#expire(nowMs)
      if (this.#senders.size >= SENDERS_MAX) return false
      this.#senders.set(ip, { lastAtMs: nowMs, toldAtMs: nowMs })
      return true
    }
    known.lastAtMs = nowMs
    if (nowMs - known.toldAtMs < WINDOW_MS) return false
    known.toldAtMs = nowMs
    return true
  }

  /** Its packets can be read again. */
  understood(ip: string): void {
    if (this.#senders.size > 0) this.#senders.delete(ip)
  }

  /** Addresses heard within the last ten minutes. */
  senders(nowMs: number): string[] {
    this.#expire(nowMs)
    return [...this.#senders.keys()]
  }

  #expire(nowMs: number): void {
    for (const [ip, { lastAtMs }] of this.#senders) if (nowMs - lastAtMs > WINDOW_MS) this.#senders.delete(ip)
  }
}
