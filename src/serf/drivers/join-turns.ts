import { deferred } from '../../base/index.ts'

/**
 * Joins run side by side, so that an address that is silent (10 s) holds up no other. Those that treat old events differently
 * wait for each other, in the order in which they came: addresses that are tried again and again keep nobody out.
 */
export class JoinTurns {
  /** Those that run now, all of the same kind. */
  readonly #running = new Set<Promise<void>>()
  /** The last of those that wait for their turn. */
  #turn: Promise<void> = Promise.resolve()
  #ignoresOld = false
  readonly #idle: () => void

  /** @param idle called whenever the last of those that ran is over */
  constructor(idle: () => void) {
    this.#idle = idle
  }

  async take<T>(ignoreOld: boolean, join: () => Promise<T>): Promise<T> {
    const { promise: over, resolve } = deferred()
    this.#turn = this.#turn.then(() => this.#begin(ignoreOld, over))
    await this.#turn
    try {
      return await join()
    } finally {
      this.#running.delete(over)
      resolve()
      if (this.#running.size === 0) this.#idle()
    }
  }

  async #begin(ignoreOld: boolean, join: Promise<void>): Promise<void> {
    if (this.#ignoresOld !== ignoreOld) await Promise.all(this.#running)
    this.#ignoresOld = ignoreOld
    this.#running.add(join)
  }
}
