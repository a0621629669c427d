/** A guard that acts. */
export interface GuardReport {
  readonly guard: 'flapping' | 'slow server' | 'mass disappearance'
  readonly pool: string
  /** The member's name; absent when it is about the pool. */
  readonly server?: string
  /** What it does and why, in a sentence. */
  readonly what: string
}

/** One that began to act, or let go. */
export interface GuardNews extends GuardReport {
  readonly isActing: boolean
}

/** What has changed from one pass to the next. */
export function guardNews(before: readonly GuardReport[], now: readonly GuardReport[]): GuardNews[] {
  const [old, fresh] = [new Map(before.map(one => [keyOf(one), one])), new Map(now.map(one => [keyOf(one), one]))]
  const acting = now.filter(one => !old.has(keyOf(one))).map(one => ({ ...one, isActing: true }))
  const letGo = before.filter(one => !fresh.has(keyOf(one))).map(one => ({ ...one, isActing: false }))
  return [...acting, ...letGo]
}

function keyOf({ guard, pool, server = '' }: GuardReport): string {
  return `${guard}\0${pool}\0${server}`
}
