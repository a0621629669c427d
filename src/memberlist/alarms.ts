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
    if (this.#heap.length > 0) this.#siftDown(last)
    return first
  }

  #siftUp(start: number): void {
    const heap = this.#heap
    const rising = heap[start] as Alarm
    let at = start
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(rising, heap[parent] as Alarm)) break
      heap[at] = heap[parent] as Alarm
      at = parent
    }
    heap[at] = rising
  }

  /** Puts an alarm in the place of the first. */
  #siftDown(sinking: Alarm): void {
    const heap = this.#heap
    const size = heap.length
    let at = 0
    for (let child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && before(heap[child + 1] as Alarm, heap[child] as Alarm)) child++
      if (!before(heap[child] as Alarm, sinking)) break
      heap[at] = heap[child] as Alarm
      at = child
    }
    heap[at] = sinking
  }
}

function before(a: Alarm, b: Alarm): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order)
}
