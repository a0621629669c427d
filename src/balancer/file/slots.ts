/** One numbered `server` line. */
export interface Slot {
  readonly number: number
  /** `slot1`. */
  readonly name: string
  /** `ip:port` of the occupant, or undefined while free. */
  occupant: string | undefined
  /** Who was here last, so that a server that returns finds its cookie and its place in the hash ring again. */
  last: string | undefined
  /** Order of release: the slot that is free the longest is taken first, so that nothing of the old is in flight. */
  freedAt: number
}

/** Growth is due when fewer than this share of a pool's slots is free. */
const FREE_SHARE_MIN = 0.25
/** Slots come in blocks, so that pools of similar size have the same file. */
const BLOCK = 20

/** Which server has which slot of one pool. Sticky: a server keeps its slot while it is there, and gets it back if it can. */
export class SlotMap {
  readonly #slots: Slot[] = []
  readonly #byOccupant = new Map<string, Slot>()
  readonly #byName = new Map<string, Slot>()
  #releases = 0

  /** @param sizeMin slots to begin with, 20 by default; a running HAProxy's own number on adoption */
  constructor(sizeMin: number = BLOCK) {
    this.#extend(sizeMin)
  }

  /** The same servers in the same slots; what happens to one of the two is not seen in the other. */
  clone(): SlotMap {
    const copy = new SlotMap(0)
    for (const slot of this.#slots) copy.#add({ ...slot })
    copy.#releases = this.#releases
    return copy
  }

  get size(): number {
    return this.#slots.length
  }

  get free(): number {
    return this.#slots.length - this.#byOccupant.size
  }

  /** In ascending number, without gaps from 1. */
  slots(): readonly Readonly<Slot>[] {
    return this.#slots
  }

  slotOf(endpoint: string): Readonly<Slot> | undefined {
    return this.#byOccupant.get(endpoint)
  }

  /** @param name `slot1` */
  named(name: string): Readonly<Slot> | undefined {
    return this.#byName.get(name)
  }

  /**
   * Gives `endpoint` a slot, growing the map when none is free: at least twice, at most three times what is occupied.
   * @returns the slot's number, counted from 1
   */
  occupy(endpoint: string): number {
    const held = this.slotOf(endpoint)
    if (held !== undefined) return held.number
    if (this.free === 0) this.#extend(grownSize(this.size + 1))
    const slot = this.#pick(endpoint)
    this.#seat(slot, endpoint)
    return slot.number
  }

  /** At least `size` slots: as many as a running HAProxy has. */
  reserve(size: number): void {
    this.#extend(size)
  }

  /**
   * Puts what a running HAProxy says into the map; a slot beyond the size extends it, and of two with the same
   * address the first stays.
   */
  adopt(number: number, endpoint: string): void {
    this.#extend(number)
    if (this.#byOccupant.has(endpoint)) return
    this.#seat(this.#slots[number - 1] as Slot, endpoint)
  }

  release(endpoint: string): void {
    const slot = this.#byOccupant.get(endpoint)
    if (slot === undefined) return
    this.#byOccupant.delete(endpoint)
    slot.occupant = undefined
    slot.freedAt = ++this.#releases
  }

  /** Makes room before it is needed: one reload now instead of one per join later. */
  growIfTight(): boolean {
    const occupied = this.size - this.free
    if (this.free >= this.size * FREE_SHARE_MIN) return false
    this.#extend(grownSize(occupied))
    return true
  }

  #seat(slot: Slot, endpoint: string): void {
    if (slot.occupant !== undefined) this.#byOccupant.delete(slot.occupant)
    slot.occupant = endpoint
    slot.last = endpoint
    this.#byOccupant.set(endpoint, slot)
  }

  #pick(endpoint: string): Slot {
    const free = this.#slots.filter(slot => slot.occupant === undefined)
    const own = free.find(slot => slot.last === endpoint)
    return own ?? free.reduce((a, b) => (b.freedAt < a.freedAt ? b : a))
  }

  #extend(size: number): void {
    while (this.#slots.length < size) {
      const number = this.#slots.length + 1
      this.#add({ number, name: `slot${number}`, occupant: undefined, last: undefined, freedAt: 0 })
    }
  }

  #add(slot: Slot): void {
    this.#slots.push(slot)
    this.#byName.set(slot.name, slot)
    if (slot.occupant !== undefined) this.#byOccupant.set(slot.occupant, slot)
  }
}

/** From here on each line more costs every pass, and half of them free is plenty. */
const LARGE = 300

/** Three times what is there: a hundred servers that join a map of 20 cost two reloads. Twice in large pools. */
function grownSize(occupied: number): number {
  return Math.ceil((occupied * (occupied < LARGE ? 3 : 2)) / BLOCK) * BLOCK
}
