/**
 * Who takes whom for there, beside who is: kept from change to change, as looking at every view of everybody would cost more
 * than the ring itself. Members are numbers, from 0.
 */
export class Views {
  /** What each observer believes of each subject: 1 is there. Undefined: this one is not asked. */
  readonly #rows: (Uint8Array | undefined)[] = []
  readonly #present: boolean[] = []
  #observers = 0
  #wrong = 0

  /** A formed ring of so many: all know all. */
  form(members: number): void {
    for (let member = 0; member < members; member++) {
      this.#rows[member] = new Uint8Array(members).fill(1)
      this.#present[member] = true
    }
    this.#observers = members
  }

  /** Runs from now on, and knows itself alone. */
  started(member: number): void {
    this.gone(member)
    this.#observers++
    this.#rows[member] = new Uint8Array(Math.max(member + 1, this.#present.length))
    this.#wrong += this.#wrongOf(member)
    this.#truth(member, true)
    this.saw(member, member, true)
  }

  /** Is no longer there, in truth, and is not asked any more. */
  gone(member: number): void {
    if (this.#rows[member] === undefined) return
    this.#wrong -= this.#wrongOf(member)
    this.#rows[member] = undefined
    this.#observers--
    this.#truth(member, false)
  }

  /** @returns false when this is nothing new to it, or nobody asks it */
  saw(observer: number, subject: number, isThere: boolean): boolean {
    const row = this.#rowFor(observer, subject)
    if (row === undefined || (row[subject] === 1) === isThere) return false
    row[subject] = isThere ? 1 : 0
    this.#wrong += isThere === this.#isPresent(subject) ? -1 : 1
    return true
  }

  believes(observer: number, subject: number): boolean {
    return this.#rows[observer]?.[subject] === 1
  }

  /** Those who run. */
  observers(): number[] {
    return [...this.#rows.keys()].filter(member => this.#rows[member] !== undefined)
  }

  /** The share of all (observer, subject) that is as it is in truth; subjects are all that ever were there. 1: agreed. */
  get agreement(): number {
    const pairs = this.#observers * this.#present.length
    return pairs === 0 ? 1 : 1 - this.#wrong / pairs
  }

  #isPresent(subject: number): boolean {
    return this.#present[subject] === true
  }

  #rowFor(observer: number, subject: number): Uint8Array | undefined {
    const row = this.#rows[observer]
    if (row === undefined || subject < row.length) return row
    const longer = new Uint8Array(2 * subject + 1)
    longer.set(row)
    this.#rows[observer] = longer
    return longer
  }

  #wrongOf(observer: number): number {
    const row = this.#rows[observer] ?? new Uint8Array(0)
    let wrong = 0
    for (let subject = Math.max(row.length, this.#present.length) - 1; subject >= 0; subject--) {
      if ((row[subject] === 1) !== this.#isPresent(subject)) wrong++
    }
    return wrong
  }

  #truth(subject: number, isPresent: boolean): void {
    if (this.#isPresent(subject) === isPresent) return
    while (this.#present.length < subject) this.#present.push(false)
    this.#present[subject] = isPresent
    for (const row of this.#rows) {
      if (row !== undefined) this.#wrong += (row[subject] === 1) === isPresent ? -1 : 1
    }
  }
}
