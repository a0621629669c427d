/** First in, first out, with a bound: what does not fit is counted and refused, so that nobody can make us grow. */
export class BoundedQueue<T> {
  readonly itemsMax: number
  #items: T[] = []
  #head = 0
  #dropped = 0

  constructor(itemsMax: number) {
    this.itemsMax = itemsMax
  }

  get size(): number {
    return this.#items.length - this.#head
  }

  /** How many items were refused since the start. */
  get dropped(): number {
    return this.#dropped
  }

  /** False, and nothing changed but the counter, when the queue is full. */
  push(item: T): boolean {
    if (this.size >= this.itemsMax) {
      this.#dropped++
      return false
    }
    this.#items.push(item)
    return true
  }

  shift(): T | undefined {
    if (this.size === 0) return undefined
    const item = this.#items[this.#head] as T
    this.#items[this.#head++] = undefined as T // let go of it
    if (this.#head > 64 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }
}
