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
  /** Replaced by a newer one; it stays on its shelf until somebody comes by. */
  isGone: boolean
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

/** How many that are gone may lie about besides as many as are left, before the shelves are cleared of them. */
const GONE_MAX = 64

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
  /** On the shelves, and gone. */
  #gone = 0

  get size(): number {
    return this.#size
  }

  add(broadcast: Broadcast): void {
    const { message, key, done } = broadcast
    const queued: Queued = { message, key, done, order: this.#order++, isGone: false }
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
      for (let at = items.length - 1; at >= 0; at--) messages.push((items[at] as Queued).message)
    }
    this.#sent(taken, limit)
    return messages
  }

  /** Drops the most often sent messages until at most `itemsMax` are left. */
  prune(itemsMax: number): void {
    while (this.#size > itemsMax) {
      const tier = this.#tiers.findLast(shelves => shelves.length > 0)
      if (tier === undefined) return
      const { orders, items } = tier[0] as Shelf
      orders.shift()
      const worst = items.shift() as Queued
      if (items.length === 0) tier.shift()
      if (worst.isGone) this.#gone--
      else {
        this.#size--
        this.#finish(worst)
      }
    }
  }

  #replace(key: string, by: Queued): void {
    const replaced = this.#byKey.get(key)
    this.#byKey.set(key, by)
    if (replaced === undefined) return
    replaced.isGone = true
    this.#gone++
    this.#size--
    this.#finish(replaced)
    if (this.#gone > this.#size + GONE_MAX) this.#clear()
  }

  /** Takes whatever is gone off the shelves. */
  #clear(): void {
    for (const [transmits, tier] of this.#tiers.entries()) {
      this.#tiers[transmits] = tier.map(shelf => this.#cleared(shelf)).filter(({ items }) => items.length > 0)
    }
  }

  #cleared({ length, items }: Shelf): Shelf {
    const left = items.filter(({ isGone }) => !isGone)
    this.#gone -= items.length - left.length
    return { length, orders: left.map(({ order }) => order), items: left }
  }

  /** @returns the bytes that are still free */
  #takeFrom(transmits: number, overhead: number, bytes: number, taken: Taken[]): number {
    const tier = this.#tiers[transmits] as Shelf[]
    let free = bytes
    for (let at = firstLonger(tier, free) - 1; at >= 0 && free > 0; at--) {
      const { length, orders, items } = tier[at] as Shelf
      const wanted = Math.floor((free - length) / (length + overhead)) + 1
      if (wanted < 1) continue
      const { start, count } = lastOf(items, wanted)
      const shelf = { length, orders: orders.splice(start), items: items.splice(start) }
      if (start === 0) tier.splice(at, 1)
      const some = shelf.items.length === count ? shelf : this.#cleared(shelf)
      if (count > 0) taken.push({ ...some, transmits })
      free -= count * (length + overhead)
    }
    return free
  }

  #sent(taken: readonly Taken[], limit: number): void {
    const finished: Queued[] = []
    for (const { transmits, length, orders, items } of taken) {
      if (transmits + 1 < limit) this.#shelve(transmits + 1, { length, orders, items })
      else for (let at = items.length - 1; at >= 0; at--) finished.push(items[at] as Queued)
    }
    this.#size -= finished.length
    for (const item of finished) this.#finish(item)
  }

  #finish(item: Queued): void {
    if (item.key !== undefined && this.#byKey.get(item.key) === item) this.#byKey.delete(item.key)
    item.done?.()
  }

  #shelve(transmits: number, fresh: Shelf): void {
    const shelf = this.#shelf(transmits, fresh.length)
    if (shelf.items.length > 0) return mergeInto(shelf, fresh)
    // A new one: what comes from the shelf before, comes as it is.
    for (const order of fresh.orders) shelf.orders.push(order)
    for (const item of fresh.items) shelf.items.push(item)
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
function mergeInto({ orders, items }: Shelf, fresh: Shelf): void {
  const place = firstNewer(orders, fresh.orders[0] as number)
  const next = orders[place]
  if (next === undefined) {
    for (const order of fresh.orders) orders.push(order)
    for (const item of fresh.items) items.push(item)
    return
  }
  if (next > (fresh.orders.at(-1) as number)) {
    orders.splice(place, 0, ...fresh.orders)
    items.splice(place, 0, ...fresh.items)
    return
  }
  for (const [at, order] of fresh.orders.entries()) {
    const between = firstNewer(orders, order)
    orders.splice(between, 0, order)
    items.splice(between, 0, fresh.items[at] as Queued)
  }
}

/** Where the last `wanted` begin that are not gone, and how many there are. */
function lastOf(items: readonly Queued[], wanted: number): { start: number; count: number } {
  let start = items.length
  let count = 0
  while (start > 0 && count < wanted) if (!(items[--start] as Queued).isGone) count++
  return { start, count }
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
