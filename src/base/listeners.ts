import { messageOf } from './errors.ts'
import type { Log } from './log.ts'

/** Whoever wants to hear of something. One that throws is logged, and keeps nobody else from hearing. */
export class Listeners<T = void> {
  readonly #all = new Set<(news: T) => void>()
  readonly #log: Log
  readonly #what: string

  /** @param what they are told of, for the log: `events` */
  constructor(what: string, log: Log) {
    this.#what = what
    this.#log = log
  }

  /** @returns how to stop listening */
  add(listener: (news: T) => void): () => void {
    this.#all.add(listener)
    return () => void this.#all.delete(listener)
  }

  tell(news: T): void {
    for (const listener of this.#all) {
      try {
        listener(news)
      } catch (failure) {
        this.#log.error({ of: this.#what, reason: messageOf(failure) }, 'a listener failed')
      }
    }
  }
}
