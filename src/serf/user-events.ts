import { BroadcastQueue } from '../memberlist/index.ts'
import { type SerfEffect, warned } from './effects.ts'
import { MessageTooLargeError } from './errors.ts'
import { LamportClock, type LTime } from './lamport.ts'
import { encodeSerfMessage, type EventsAt, type UserEventMessage } from './messages.ts'
import { SEEN_TIMES, SeenEvents, USER_EVENT_BYTES_MAX } from './seen.ts'

/** User events: gossiped to all, each delivered once, the recent ones told to newcomers. As Serf 0.10 does it. */
export class UserEvents {
  readonly clock = new LamportClock()
  readonly queue = new BroadcastQueue()
  readonly #bytesMax: number
  readonly #seen = new SeenEvents()
  #min: LTime = 0

  /** @param bytesMax of an own event, name and payload, before and after encoding */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
    this.clock.increment()
  }

  /** From a snapshot: what was seen before it is not delivered again. */
  restore(ltime: LTime): void {
    this.clock.witness(ltime)
    this.#min = ltime + 1
  }

  /** Events before this time count as old from now on. */
  ignoreBefore(ltime: LTime): void {
    this.#min = Math.max(this.#min, ltime)
  }

  /** @throws MessageTooLargeError */
  send(name: string, payload: Uint8Array, coalesce: boolean): SerfEffect[] {
    const limit = this.#bytesMax
    if (Buffer.byteLength(name) + payload.length > limit) {
      throw new MessageTooLargeError(`user event exceeds configured limit of ${limit} bytes before encoding`)
    }
    const message = { type: 'userEvent', ltime: this.clock.time(), name, payload, coalesce } as const
    const bytes = encodeSerfMessage(message)
    if (bytes.length > limit) {
      throw new MessageTooLargeError(`encoded user event exceeds configured limit of ${limit} bytes after encoding`)
    }
    this.clock.increment()
    return this.receive(message, bytes)
  }

  /** An event, somebody's or our own: passed on and delivered, unless it is old or was seen before. */
  receive(message: UserEventMessage, body: Uint8Array): SerfEffect[] {
    const { ltime, name, coalesce } = message
    this.clock.witness(ltime)
    if (ltime < this.#min) return []
    if (ltime < this.clock.time() - SEEN_TIMES) return [warned('a user event is too old', { name, ltime })]
    if (body.length > USER_EVENT_BYTES_MAX) return [warned('a user event is too large', { bytes: body.length })]
    if (!this.#seen.add(ltime, name, message.payload)) return []
    this.queue.add({ message: body.slice() })
    return [{ kind: 'event', event: { kind: 'user', name, payload: message.payload.slice(), ltime, coalesce } }]
  }

  /** The recent events of a peer, from its side of a push/pull. */
  merge(slots: readonly (EventsAt | undefined)[]): SerfEffect[] {
    const effects: SerfEffect[] = []
    for (const slot of slots) {
      for (const event of slot?.events ?? []) {
        const message = { type: 'userEvent', ltime: slot?.ltime ?? 0, ...event, coalesce: false } as const
        effects.push(...this.receive(message, encodeSerfMessage(message)))
      }
    }
    return effects
  }

  /** The recent ones, for our side of a push/pull. */
  recent(): readonly (EventsAt | undefined)[] {
    return this.#seen.slots()
  }
}
