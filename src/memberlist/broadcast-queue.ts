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
  /** Of the items, side by side, so that looking for a place does not visit the items all over the memory. */
  readonly orders: number[]
  readonly items: Queued[]
}

/** What one packet takes from one shelf. */
interface Taken extends Shelf {
  readonly transmits: number
}

/**
 * memberlist's TransmitLimitedQueue: least sent first, among those the largest that still fits, among those the newest.
 * Kept on shelves in that order, one tier for each number of transmits: a packet takes neighbours from a shelf and puts them
 * on the next tier together, however long the queue is. A ring of a thousand that was cut in half queues a thousand news at
 * once.
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
    const queued: Queued = { message, key, done, order: this.#order++, transmits: 0 }
    if (key !== undefined) this.#replace(key, queued)
    this.#size++
    const shelf = this.#shelf(0, message.length)
    shelf.orders.push(queued.order)
    shelf.items.push(queued)
  }

  /**
   * Takes messages for one packet and counts them as sent.
   * @param overhead bytes charged besides each message
   * @param budget bytes there are in all
   * @param limit see `retransmitLimit`; a message sent that often is finished
   */
  fill(overhead: number, budget: number, limit: number): Uint8Array[] {
    if (this.#size === 0) return []
    const taken: Taken[] = []
    let free = budget - overhead
    for (let transmits = 0; transmits < this.#tiers.length && free > 0; transmits++) {
      free = this.#takeFrom(transmits, overhead, free, taken)
    }
    const messages: Uint8Array[] = []
    for (const { items } of taken) {
      for (let at = items.length - 1; at >= 0; at--) {
        const item = items[at] as Queued
        messages.push(item.message)
        item.transmits++
      }
    }
    this.#sent(taken, limit)
    return messages
  }

  /** Drops the most often sent messages until at most `itemsMax` are left. */
  prune(itemsMax: number): void {
    while (this.#size > itemsMax) {
      const worst = this.#tiers.findLast(tier => tier.length > 0)?.[0]?.items[0]
      if (worst === undefined) return
      this.#remove(worst)
    }
  }

  #replace(key: string, by: Queued): void {
    const replaced = this.#byKey.get(key)
    this.#byKey.set(key, by)
    if (replaced !== undefined) this.#remove(replaced)
  }

  /** @returns the bytes that are still free */
  #takeFrom(transmits: number, overhead: number, bytes: number, taken: Taken[]): number {
    const tier = this.#tiers[transmits] as Shelf[]
    let free = bytes
    for (let at = firstLonger(tier, free) - 1; at >= 0 && free > 0; at--) {
      const { length, orders, items } = tier[at] as Shelf
      const count = Math.min(items.length, Math.floor((free - length) / (length + overhead)) + 1)
      if (count < 1) continue
      const start = items.length - count
      taken.push({ transmits, length, orders: orders.splice(start), items: items.splice(start) })
      free -= count * (length + overhead)
      if (start === 0) tier.splice(at, 1)
    }
    return free
  }

  #sent(taken: readonly Taken[], limit: number): void {
    const finished: Queued[] = []
    for (const { transmits, length, orders, items } of taken) {
      if (transmits + 1 < limit) mergeInto(this.#shelf(transmits + 1, length), orders, items)
      else for (let at = items.length - 1; at >= 0; at--) finished.push(items[at] as Queued)
    }
    this.#size -= finished.length
    for (const item of finished) this.#finish(item)
  }

  #finish(item: Queued): void {
    if (item.key !== undefined && this.#byKey.get(item.key) === item) this.#byKey.delete(item.key)
    item.done?.()
  }

  #remove(item: Queued): void {
    const { length } = item.message
    const tier = this.#tiers[item.transmits] ?? []
    const at = firstLonger(tier, length) - 1
    const { orders, items } = tier[at] as Shelf
    const place = firstNewer(orders, item.order) - 1
    orders.splice(place, 1)
    items.splice(place, 1)
    if (items.length === 0) tier.splice(at, 1)
    this.#size--
    this.#finish(item)
  }

  /** For messages of this length in this tier; if it is new, it is to be filled at once. */
  #shelf(transmits: number, length: number): Shelf {
    while (this.#tiers.length <= transmits) this.#tiers.push([])
    const tier = this.#tiers[transmits] as Shelf[]
    const at = firstLonger(tier, length)
    const known = tier[at - 1]
    if (known?.length === length) return known
    const shelf: Shelf = { length, orders: [], items: [] }
    tier.splice(at, 0, shelf)
    return shelf
  }
}

/** Neighbours mostly stay neighbours: they come from the end of one shelf, and go to either end of the next. */
function mergeInto({ orders, items }: Shelf, freshOrders: readonly number[], freshItems: readonly Queued[]): void {
  const place = firstNewer(orders, freshOrders[0] as number)
  const next = orders[place]
  if (next === undefined) {
    for (const order of freshOrders) orders.push(order)
    for (const item of freshItems) items.push(item)
    return
  }
  if (next > (freshOrders.at(-1) as number)) {
    orders.splice(place, 0, ...freshOrders)
    items.splice(place, 0, ...freshItems)
    return
  }
  for (const [at, order] of freshOrders.entries()) {
    const between = firstNewer(orders, order)
    orders.splice(between, 0, order)
    items.splice(between, 0, freshItems[at] as Queued)
  }
}

/** Where the shelves of messages longer than this begin. */
function firstLonger(tier: readonly Shelf[], length: number): number {
  let at = tier.length
  while (at > 0 && (tier[at - 1] as Shelf).length > length) at--
  return at
}

/** Where the broadcasts queued after this one begin. */
function firstNewer(orders: readonly number[], order: number): number {
  let low = 0
  let high = orders.length
  if (high === 0 || (orders[high - 1] as number) <= order) return high
  while (low < high) {
    const middle = (low + high) >> 1
    if ((orders[middle] as number) <= order) low = middle + 1
    else high = middle
  }
  return low
}
