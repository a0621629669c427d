import type { Clock } from '../../base/index.ts'
import type { Entry } from '../pool/entry.ts'
import { type Cause, changesBetween, firstCommands, type Picture, type Receipt } from './receipt.ts'

/** Causes of one receipt; a storm has more, of which the first ones tell as much. */
const CAUSES_MAX = 32

/** What was done, for its receipt. */
export interface Done extends Pick<Receipt, 'method' | 'reasons' | 'commands'> {
  readonly startedAtMs?: number
}

/** The books of what is done to HAProxy: what was heard, how the servers stood, and a receipt for each change. */
export class Books {
  readonly #clock: Clock
  readonly #onReceipt: (receipt: Receipt) => void
  /** As of the last receipt. */
  #picture: Picture = new Map()
  #causes: Cause[] = []
  /** Those of them that the last decisions were made after. */
  #decided: readonly Cause[] = []
  /** Taken out since the last receipt; for the reasons in the next one. */
  #left: readonly Entry[] = []
  /** Of changes of which a part has been done, and the rest waits for a reload. */
  #postponed: readonly Cause[] = []
  #receipts = 0

  constructor(clock: Clock, onReceipt: (receipt: Receipt) => void) {
    this.#clock = clock
    this.#onReceipt = onReceipt
  }

  /** Of what the last decisions were made after. */
  get causes(): readonly Cause[] {
    return this.#decided
  }

  /** Something was heard that may change the servers. */
  hear(causes: readonly Cause[]): void {
    this.#causes.push(...causes.slice(0, CAUSES_MAX - this.#causes.length))
  }

  /** It has been decided with all that was heard. */
  decided(): void {
    this.#decided = [...this.#causes]
  }

  /** The servers as they stand before anything is done. */
  begin(picture: Picture): void {
    this.#picture = picture
  }

  /** These are out of HAProxy now. */
  leave(entries: readonly Entry[]): void {
    this.#left = entries
  }

  /** What was heard has its receipt, or came to nothing; what has come since the decision is for the next one. */
  drop(): void {
    this.#causes = this.#causes.filter(cause => !this.#decided.includes(cause))
    this.#decided = []
  }

  /** What they led to is not all done: a reload follows, and is about them, too. */
  postpone(causes: readonly Cause[]): void {
    this.#postponed = [...new Set([...this.#postponed, ...causes])].slice(0, CAUSES_MAX)
  }

  /** No reload has to follow any more. */
  caughtUp(): void {
    this.#postponed = []
  }

  /** @param picture how the servers stand now; @param leaving being taken out, and perhaps still in HAProxy */
  issue(
    { actor, causes }: { readonly actor: string; readonly causes: readonly Cause[] },
    { method, reasons, commands, startedAtMs }: Done,
    picture: Picture,
    leaving: readonly Entry[],
  ): Receipt {
    const nowMs = this.#clock.nowMs()
    const changes = changesBetween(this.#picture, picture, [...this.#left, ...leaving])
    const earlier = method === 'reload' ? this.#postponed : []
    const all = [...earlier, ...causes, ...(changes.length === 0 ? [] : this.#decided)]
    const receipt: Receipt = {
      id: `${Math.floor(this.#clock.wallMs()).toString(36)}-${(this.#receipts++).toString(36)}`,
      ...{ actor, causes: [...new Set(all)] },
      ...{ method, reasons, changes },
      commands: firstCommands(commands),
      tookMs: nowMs - (startedAtMs ?? nowMs),
    }
    this.#picture = picture
    this.#left = []
    if (method === 'reload') this.caughtUp()
    this.drop()
    this.#onReceipt(receipt)
    return receipt
  }
}
