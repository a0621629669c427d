/** What was seen of one run; the same for the same scenario and seed. */
export interface Report {
  readonly seed: number
  readonly samples: readonly Sample[]
  readonly spreads: readonly Spread[]
  /** How often a member that was well, and could be reached, was declared dead by anybody. */
  readonly falsePositives: number
  /** Those of them by members that were never slow. */
  readonly falsePositivesHealthy: number
  /** When all agreed for the first time, in milliseconds; undefined: never. */
  readonly agreedAtMs?: number | undefined
  /** Per member and second, over the whole run. */
  readonly cost: Cost
}

/** Per member and second. */
export interface Cost {
  readonly packets: number
  readonly packetBytes: number
  readonly streams: number
  readonly streamBytes: number
}

/** One moment of a run. */
export interface Sample extends Cost {
  readonly atMs: number
  /** The share of all views of all members that is as it is in truth, 0 to 1. */
  readonly agreement: number
  /** Until now. */
  readonly falsePositives: number
}

export type SpreadKind = 'join' | 'leave' | 'crash' | 'slow' | 'event'

/** How one piece of news came to everybody. Milliseconds since it happened. */
export interface Spread {
  readonly kind: SpreadKind
  readonly subject: string
  readonly atMs: number
  /** How many had to learn of it, and how many have. */
  readonly audience: number
  readonly reached: number
  readonly firstMs?: number | undefined
  readonly halfMs?: number | undefined
  /** Undefined: somebody has not heard of it by the end. */
  readonly lastMs?: number | undefined
}
