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

/** Broadcasts sent equally often and equally long, oldest first. */
interface Shelf {
  readonly length: number
  readonly items: Queued[]
}

/**
 * memberlist's TransmitLimitedQueue: least sent first, among those the largest that still fits, among those the newest.
 * Kept on shelves in that order, one tier for each number of transmits: filling a packet looks only at what it takes, and at
 * each tier once, however long the queue is. A ring of a thousand that was cut in half queues a thousand news at once.
 */
export class BroadcastQueue {
  /** By transmits; shelves in ascending length, none of them empty. */
  readonly #tiers: Shelf[][] = []
  readonly #byKey = new Map<string, Queued>()
  #order = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  add(broadcast: Broadcast): void {
    const { message, key, done } = broadcast
    const replaced = key === undefined ? undefined : this.#byKey.get(key)
    if (replaced !== undefined) this.#remove(replaced)
    const queued: Queued = { message, key, done, order: this.#order++, transmits: 0 }
    if (key !== undefined) this.#byKey.set(key, queued)
    this.#insert(queued)
  }

  /**
   * Takes messages for one packet and counts them as sent.
   * @param overhead bytes charged besides each message
   * @param budget bytes there are in all
   * @param limit see `retransmitLimit`; a message sent that often is finished
   */
  fill(overhead: number, budget: number, limit: number): Uint8Array[] {
    if (this.#size === 0) return []
    const taken: Queued[] = []
    let free = budget - overhead
    for (const tier of this.#tiers) {
      if (free <= 0) break
      free = this.#takeFrom(tier, overhead, free, taken)
    }
    if (taken.length > 0) this.#sent(taken, limit)
    return taken.map(item => item.message)
  }

  /** Drops the most often sent messages until at most `itemsMax` are left. */
  prune(itemsMax: number): void {
    while (this.#size > itemsMax) {
      const worst = this.#tiers.findLast(tier => tier.length > 0)?.[0]?.items[0]
      if (worst === undefined) return
      this.#remove(worst)
    }
  }

  /** @returns the bytes that are still free */
  #takeFrom(tier: Shelf[], overhead: number, bytes: number, taken: Queued[]): number {
    let free = bytes
    for (let at = firstLonger(tier, free) - 1; at >= 0 && free > 0; at--) {
      const { length, items } = tier[at] as Shelf
      for (; length <= free && items.length > 0; free -= length + overhead) {
        taken.push(items.pop() as Queued)
        this.#size--
      }
      if (items.length === 0) tier.splice(at, 1)
    }
    return free
  }

  #sent(taken: readonly Queued[], limit: number): void {
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

  #remove(item: Queued): void {
    const tier = this.#tiers[item.transmits] ?? []
    const at = firstLonger(tier, item.message.length) - 1
    const { items } = tier[at] as Shelf
    items.splice(firstNewer(items, item.order) - 1, 1)
    if (items.length === 0) tier.splice(at, 1)
    this.#size--
    this.#finish(item)
  }

  #insert(item: Queued): void {
    while (this.#tiers.length <= item.transmits) this.#tiers.push([])
    const tier = this.#tiers[item.transmits] as Shelf[]
    const { length } = item.message
    const at = firstLonger(tier, length)
    const shelf = tier[at - 1]
    this.#size++
    if (shelf?.length !== length) tier.splice(at, 0, { length, items: [item] })
    else if ((shelf.items.at(-1)?.order ?? 0) < item.order) shelf.items.push(item)
    else shelf.items.splice(firstNewer(shelf.items, item.order), 0, item)
  }
}

/** Where the shelves of messages longer than this begin. */
function firstLonger(tier: readonly Shelf[], length: number): number {
  let at = tier.length
  while (at > 0 && (tier[at - 1] as Shelf).length > length) at--
  return at
}

/** Where the broadcasts queued after this one begin. */
function firstNewer(items: readonly Queued[], order: number): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((items[middle] as Queued).order <= order) low = middle + 1
    else high = middle
  }
  return low
}
