/** Something with an end. */
export type Ending = AsyncDisposable | Disposable | (() => void | Promise<void>)

/**
 * Owns what has been started and ends it last first. `await using scope = new Scope()` releases everything when the block
 * throws; `move()` hands the lot to a longer life.
 */
export class Scope implements AsyncDisposable {
  #endings: (() => void | Promise<void>)[] = []
  #closed = false

  /** Takes ownership of `part` and returns it. */
  use<T extends AsyncDisposable | Disposable>(part: T): T {
    this.defer(
      Symbol.asyncDispose in part ? () => part[Symbol.asyncDispose]().then(() => {}) : () => part[Symbol.dispose](),
    )
    return part
  }

  /** Runs `ending` when the scope ends. */
  defer(ending: () => void | Promise<void>): void {
    if (this.#closed) throw new Error('scope has already ended')
    this.#endings.push(ending)
  }

  /** A new scope that owns everything owned here; this one is left empty. */
  move(): Scope {
    const heir = new Scope()
    heir.#endings = this.#endings
    this.#endings = []
    return heir
  }

  /** Ends everything, last first; goes on past failures and throws the first of them at the end. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    const failures: unknown[] = []
    for (let ending = this.#endings.pop(); ending !== undefined; ending = this.#endings.pop()) {
      try {
        await ending()
      } catch (failure) {
        failures.push(failure)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}
