import type { Alarm } from './alarms.ts'

/** What is fixed when a suspicion starts. */
export interface SuspicionTimes {
  readonly minMs: number
  readonly maxMs: number
  /** Independent confirmations after which the shortest time holds; 0: too small a cluster to ask anybody. */
  readonly confirmationsWanted: number
}

/** @param members entries in the table, ourselves, dead and left ones included */
export function suspicionTimes(
  members: number,
  config: { suspicionMult: number; suspicionMaxTimeoutMult: number; probeIntervalMs: number },
): SuspicionTimes {
  const scale = Math.max(1, Math.log10(Math.max(1, members)))
  const minMs = ((config.suspicionMult * Math.trunc(scale * 1000)) / 1000) * config.probeIntervalMs
  const wanted = config.suspicionMaxTimeoutMult > 1 ? config.suspicionMult - 2 : 0 // nothing to shorten: SWIM's own
  const confirmationsWanted = members - 2 < wanted ? 0 : Math.max(0, wanted)
  return { minMs, maxMs: config.suspicionMaxTimeoutMult * minMs, confirmationsWanted }
}

/** One running suspicion (SWIM §4.2), shortened by whoever independently agrees (Lifeguard, LHA-Suspicion). */
export class Suspicion {
  readonly startedAtMs: number
  /** Whoever started it ends it with this. */
  alarm: Alarm | undefined
  readonly #times: SuspicionTimes
  readonly #accuser: string
  /** Never more than are wanted: two in a LAN. */
  #confirmations = 0
  #confirmedBy: string[] | undefined

  constructor(accuser: string, times: SuspicionTimes, nowMs: number) {
    this.startedAtMs = nowMs
    this.#accuser = accuser
    this.#times = times
  }

  /** True when this accuser is news, and so worth telling others. */
  confirm(from: string): boolean {
    if (this.#confirmations >= this.#times.confirmationsWanted) return false
    const confirmedBy = this.#confirmedBy ?? []
    if (from === this.#accuser || confirmedBy.includes(from)) return false
    this.#confirmations = confirmedBy.push(from)
    this.#confirmedBy = confirmedBy
    return true
  }

  /** `max - (max - min) * ln(c + 1) / ln(k + 1)` from the start, floored to a millisecond as Serf does. */
  dueMs(): number {
    const { minMs, maxMs, confirmationsWanted } = this.#times
    if (confirmationsWanted < 1) return this.startedAtMs + minMs
    const share = Math.log(this.#confirmations + 1) / Math.log(confirmationsWanted + 1)
    return this.startedAtMs + Math.max(minMs, Math.floor(maxMs - share * (maxMs - minMs)))
  }
}
