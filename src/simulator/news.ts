import type { Spread, SpreadKind } from './report.ts'

/** How news spreads: opened when something happens, told of everybody who learns of it. */
export class News {
  readonly #open = new Map<string, Item>()
  readonly #all: Item[] = []

  /** @param audience who has to learn of it; an older one about the same is closed */
  open(kind: SpreadKind, subject: string, atMs: number, audience: Iterable<string>): void {
    const item: Item = { kind, subject, atMs, waiting: new Set(audience), audience: 0, reachedMs: [] }
    item.audience = item.waiting.size
    this.#open.set(keyOf(kind, subject), item)
    this.#all.push(item)
  }

  learned(kind: SpreadKind, subject: string, observer: string, nowMs: number): void {
    const item = this.#open.get(keyOf(kind, subject))
    if (item?.waiting.delete(observer) === true) item.reachedMs.push(nowMs - item.atMs)
  }

  /** This one runs no more: nobody waits for it. */
  gone(observer: string): void {
    for (const item of this.#open.values()) if (item.waiting.delete(observer)) item.audience--
  }

  /** Somebody has still not learned of it. */
  isOpen(kind: SpreadKind, subject: string): boolean {
    return (this.#open.get(keyOf(kind, subject))?.waiting.size ?? 0) > 0
  }

  /** It has been overtaken by events. */
  close(kind: SpreadKind, subject: string): void {
    this.#open.delete(keyOf(kind, subject))
  }

  spreads(): Spread[] {
    return this.#all.map(({ kind, subject, atMs, audience, reachedMs }) => {
      const reached = reachedMs.length
      const nth = (n: number) => (n > reached || reached === 0 ? undefined : reachedMs[Math.max(0, n - 1)])
      const [firstMs, halfMs, lastMs] = [nth(1), nth(Math.ceil(audience / 2)), nth(audience)]
      return { kind, subject, atMs, audience, reached, firstMs, halfMs, lastMs }
    })
  }
}

interface Item {
  readonly kind: SpreadKind
  readonly subject: string
  readonly atMs: number
  readonly waiting: Set<string>
  audience: number
  /** In the order of time. */
  readonly reachedMs: number[]
}

const keyOf = (kind: SpreadKind, subject: string) => `${kind} ${subject}`
