/** A call that the core has to make at a time of its own. */
export interface Alarm {
  readonly dueMs: number
  readonly order: number
  run: ((nowMs: number) => void) | undefined
}

/** Everything the core has to do later: a binary heap by due time; equal times run in the order they were set. */
export class Alarms {
  #heap: Alarm[] = []
  #order = 0

  /** Calls `run` in the first `runDue` at or after `dueMs`. */
  set(dueMs: number, run: (nowMs: number) => void): Alarm {
    const alarm: Alarm = { dueMs, order: this.#order++, run }
    this.#heap.push(alarm)
    this.#siftUp(this.#heap.length - 1)
    return alarm
  }

  /** Makes sure that it never runs; safe twice, safe after it ran. */
  cancel(alarm: Alarm | undefined): void {
    if (alarm !== undefined) alarm.run = undefined
  }

  /** When the next call is due; undefined when nothing is set. */
  nextMs(): number | undefined {
    while (this.#heap[0] !== undefined && this.#heap[0].run === undefined) this.#pop()
    return this.#heap[0]?.dueMs
  }

  runDue(nowMs: number): void {
    for (let next = this.nextMs(); next !== undefined && next <= nowMs; next = this.nextMs()) {
      const { run } = this.#pop()
      run?.(nowMs)
    }
  }

  #pop(): Alarm {
    const first = this.#heap[0] as Alarm
    const last = this.#heap.pop() as Alarm
    if (this.#heap.length > 0) {
      this.#heap[0] = last
      this.#siftDown()
    }
    return first
  }

  #siftUp(start: number): void {
    let at = start
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(this.#heap[at] as Alarm, this.#heap[parent] as Alarm)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  #siftDown(): void {
    let at = 0
    for (;;) {
      let least = at
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#heap.length && before(this.#heap[child] as Alarm, this.#heap[least] as Alarm)) least = child
      }
      if (least === at) return
      this.#swap(at, least)
      at = least
    }
  }

  #swap(a: number, b: number): void {
    const kept = this.#heap[a] as Alarm
    this.#heap[a] = this.#heap[b] as Alarm
    this.#heap[b] = kept
  }
}

function before(a: Alarm, b: Alarm): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order)
}
