import { bytesEqual } from './bytes.ts'
import type { LTime } from './lamport.ts'
import type { EventsAt } from './messages.ts'

/** Serf's eventBuffer and queryBuffer: how many Lamport times are remembered. */
export const SEEN_TIMES = 512
/** No agent sends larger user events (its "sane limit"). */
export const USER_EVENT_BYTES_MAX = 9216
/** Distinct events or queries under one Lamport time; honest clusters have as many as askers at the same instant. */
const PER_TIME_MAX = 256
/** Remembered events travel in every push/pull, which memberlist bounds; beyond this the oldest time is forgotten. */
const REMEMBERED_BYTES_MAX = 4 * 1024 * 1024

interface EventSlot {
  readonly ltime: LTime
  readonly events: { name: string; payload: Uint8Array }[]
}

/** User events of late, so that each is delivered once and newcomers can be told. */
export class SeenEvents {
  readonly #slots: (EventSlot | undefined)[] = Array<EventSlot | undefined>(SEEN_TIMES).fill(undefined)
  #bytes = 0

  /** False when this very event was seen before, or there is no room for another at its time. */
  add(ltime: LTime, name: string, payload: Uint8Array): boolean {
    const at = ltime % SEEN_TIMES
    if (this.#slots[at]?.ltime !== ltime) this.#replace(at, { ltime, events: [] })
    const { events } = this.#slots[at] as EventSlot
    if (events.length >= PER_TIME_MAX) return false
    if (events.some(event => event.name === name && bytesEqual(event.payload, payload))) return false
    events.push({ name, payload: payload.slice() }) // a copy: the original is a view of a whole packet
    this.#bytes += name.length + payload.length
    if (this.#bytes > REMEMBERED_BYTES_MAX) this.#forgetOldest(at)
    return true
  }

  slots(): readonly (EventsAt | undefined)[] {
    return this.#slots
  }

  #forgetOldest(except: number): void {
    let oldest = -1
    for (const [at, slot] of this.#slots.entries()) {
      if (slot === undefined || at === except) continue
      if (oldest < 0 || slot.ltime < (this.#slots[oldest] as EventSlot).ltime) oldest = at
    }
    if (oldest >= 0) this.#replace(oldest, undefined)
  }

  #replace(at: number, slot: EventSlot | undefined): void {
    for (const event of this.#slots[at]?.events ?? []) this.#bytes -= event.name.length + event.payload.length
    this.#slots[at] = slot
  }
}

/** Ids of queries of late, so that each is handled once. */
export class SeenQueries {
  readonly #slots: ({ ltime: LTime; ids: Set<number> } | undefined)[] = []

  /** False when this query was seen before, or there is no room for another at its time. */
  add(ltime: LTime, id: number): boolean {
    const at = ltime % SEEN_TIMES
    let slot = this.#slots[at]
    if (slot?.ltime !== ltime) {
      slot = { ltime, ids: new Set() }
      this.#slots[at] = slot
    }
    if (slot.ids.has(id) || slot.ids.size >= PER_TIME_MAX) return false
    slot.ids.add(id)
    return true
  }
}
