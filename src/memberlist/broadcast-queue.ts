/** One message to be spread by gossip. */
export interface Broadcast {
  readonly message: Uint8Array
  /** What it speaks about: a newer broadcast with the same key removes this one. Undefined: independent of all others. */
  readonly key?: string | undefined
  /** Called once, when it has been sent often enough, or was replaced or pruned. */
  readonly done?: (() => void) | undefined
}

interface Queued extends Broadcast {
  readonly order: number
  transmits: number
}

/** `mult * ceil(log10(members + 1))`, at least 1: how often each message is sent. */
export function retransmitLimit(mult: number, members: number): number {
  return Math.max(1, mult * Math.ceil(Math.log10(members + 1)))
}

/**
 * memberlist's TransmitLimitedQueue: least sent first, among those the largest that still fits, among those the newest.
 * Kept sorted in that order, so one pass over it is exactly "repeatedly take the largest that fits".
 */
export class BroadcastQueue {
  #items: Queued[] = []
  readonly #byKey = new Map<string, Queued>()
  #order = 0

  get size(): number {
    return this.#items.length
  }

  add(broadcast: Broadcast): void {
    if (broadcast.key !== undefined) this.#remove(this.#byKey.get(broadcast.key))
    const queued: Queued = { ...broadcast, order: this.#order++, transmits: 0 }
    if (queued.key !== undefined) this.#byKey.set(queued.key, queued)
    this.#insert(queued)
  }

  /**
   * Takes messages for one packet and counts them as sent.
   * @param overhead bytes charged besides each message
   * @param budget bytes there are in all
   * @param limit see `retransmitLimit`; a message sent that often is finished
   */
  fill(overhead: number, budget: number, limit: number): Uint8Array[] {
    const taken: Queued[] = []
    let free = budget - overhead
    for (const item of this.#items) {
      if (free <= 0) break
      if (item.message.length > free) continue
      taken.push(item)
      free -= item.message.length + overhead
    }
    if (taken.length > 0) this.#sent(taken, limit)
    return taken.map(item => item.message)
  }

  /** Drops the most often sent messages until at most `itemsMax` are left. */
  prune(itemsMax: number): void {
    while (this.#items.length > itemsMax) this.#remove(this.#items.at(-1))
  }

  #sent(taken: Queued[], limit: number): void {
    const gone = new Set(taken)
    this.#items = this.#items.filter(item => !gone.has(item))
    const finished: Queued[] = []
    for (const item of taken) {
      item.transmits++
      if (item.transmits < limit) this.#insert(item)
      else finished.push(item)
    }
    for (const item of finished) this.#finish(item)
  }

  #finish(item: Queued): void {
    if (item.key !== undefined && this.#byKey.get(item.key) === item) this.#byKey.delete(item.key)
    item.done?.()
  }

  #remove(item: Queued | undefined): void {
    if (item === undefined) return
    this.#items.splice(this.#items.indexOf(item), 1)
    this.#finish(item)
  }

  #insert(item: Queued): void {
    let low = 0
    let high = this.#items.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (before(this.#items[middle] as Queued, item)) low = middle + 1
      else high = middle
    }
    this.#items.splice(low, 0, item)
  }
}

function before(a: Queued, b: Queued): boolean {
  if (a.transmits !== b.transmits) return a.transmits < b.transmits
  if (a.message.length !== b.message.length) return a.message.length > b.message.length
  return a.order > b.order
}
