import type { HistoryRecord } from './history.ts'

/** `ok`; `wished`: somebody has asked for it; `wrong`: something is to be done. */
export type WhySeverity = 'ok' | 'wished' | 'wrong'

/** Why something is as it is, in one sentence. */
export interface WhyVerdict {
  /** Stable; docs/why.md lists them with what to do. */
  readonly code: string
  readonly severity: WhySeverity
  readonly sentence: string
  /** The server, service, pool or node that it is about. */
  readonly about: string
}

export type WhyFact = string | number | boolean | readonly string[]

/** What one of those who know says. */
export interface WhyEvidence {
  readonly from: 'process' | 'readiness' | 'gossip' | 'haproxy' | 'traffic' | 'drain' | 'guard' | 'balancer' | 'ring'
  /** A server, a member, a service. */
  readonly about: string
  /** The node that says so. */
  readonly seenBy: string
  /** Durations are in ms, in names that end so. */
  readonly facts: Readonly<Record<string, WhyFact>>
}

export interface WhyReport {
  /** Absent: this node, and all that it sees. */
  readonly what?: string
  /** The node that was asked. */
  readonly node: string
  readonly verdict: WhyVerdict
  /** What else there is to say, the worst first. */
  readonly also: readonly WhyVerdict[]
  readonly evidence: readonly WhyEvidence[]
  /** The last ones about it; a receipt without its commands. */
  readonly records: readonly HistoryRecord[]
  /** Those who were asked and gave no answer. */
  readonly silent: readonly string[]
}
