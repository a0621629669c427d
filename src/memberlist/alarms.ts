/** A call that the core has to make at a time of its own. */
export interface Alarm {
  run: ((nowMs: number) => void) | undefined
}

/**
 * Everything the core has to do later: a binary heap by due time; equal times run in the order they were set. Times and
 * alarms lie side by side, so that sifting does not visit the alarms all over the memory.
 */
export class Alarms {
  readonly #dueMs: number[] = []
  readonly #orders: number[] = []
  readonly #alarms: Alarm[] = []
  #order = 0

  /** Calls `run` in the first `runDue` at or after `dueMs`. */
  set(dueMs: number, run: (nowMs: number) => void): Alarm {
    const alarm: Alarm = { run }
    const order = this.#order++
    this.#dueMs.push(dueMs)
    this.#orders.push(order)
    this.#alarms.push(alarm)
    this.#siftUp(dueMs, order, alarm)
    return alarm
  }

  /** Makes sure that it never runs; safe twice, safe after it ran. */
  cancel(alarm: Alarm | undefined): void {
    if (alarm !== undefined) alarm.run = undefined
  }

  /** When the next call is due; undefined when nothing is set. */
  nextMs(): number | undefined {
    while (this.#alarms[0] !== undefined && this.#alarms[0].run === undefined) this.#pop()
    return this.#dueMs[0]
  }

  runDue(nowMs: number): void {
    for (let next = this.nextMs(); next !== undefined && next <= nowMs; next = this.nextMs()) {
      const { run } = this.#pop()
      run?.(nowMs)
    }
  }

  #pop(): Alarm {
    const first = this.#alarms[0] as Alarm
    const dueMs = this.#dueMs.pop() as number
    const order = this.#orders.pop() as number
    const last = this.#alarms.pop() as Alarm
    if (this.#alarms.length > 0) this.#siftDown(dueMs, order, last)
    return first
  }

  #siftUp(dueMs: number, order: number, alarm: Alarm): void {
    let at = this.#alarms.length - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#isAfter(parent, dueMs, order)) break
      this.#move(parent, at)
      at = parent
    }
    this.#put(at, dueMs, order, alarm)
  }

  /** Puts an alarm in the place of the first. */
  #siftDown(dueMs: number, order: number, alarm: Alarm): void {
    const size = this.#alarms.length
    let at = 0
    for (let child = 1; child < size; child = 2 * at + 1) {
      const other = child + 1
      if (other < size && this.#isAfter(child, this.#dueMs[other] as number, this.#orders[other] as number)) child++
      if (this.#isAfter(child, dueMs, order)) break
      this.#move(child, at)
      at = child
    }
    this.#put(at, dueMs, order, alarm)
  }

  #isAfter(at: number, dueMs: number, order: number): boolean {
    const here = this.#dueMs[at] as number
    return here > dueMs || (here === dueMs && (this.#orders[at] as number) > order)
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#dueMs[from] as number, this.#orders[from] as number, this.#alarms[from] as Alarm)
  }

  #put(at: number, dueMs: number, order: number, alarm: Alarm): void {
    this.#dueMs[at] = dueMs
    this.#orders[at] = order
    this.#alarms[at] = alarm
  }
}
