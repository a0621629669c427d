import { Histogram } from './histogram.ts'
import { type Kind, KINDS } from './kinds.ts'
import type { KindStats, WindowStats } from './ledger.ts'

/** Of one kind in one act. */
export interface Counts {
  readonly histogram: Histogram
  sent: number
  good: number
  lost: number
  unknown: number
  doubled: number
  atKills: number
}

/** One act. */
export interface Window {
  readonly name: string
  readonly firstSequence: number
  readonly counts: Readonly<Record<Kind, Counts>>
}

export interface Latencies {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export function newCounts(): Counts {
  return { histogram: new Histogram(), sent: 0, good: 0, lost: 0, unknown: 0, doubled: 0, atKills: 0 }
}

export function addTo(total: Counts, counts: Counts): void {
  for (const key of ['sent', 'good', 'lost', 'unknown', 'doubled', 'atKills'] as const) total[key] += counts[key]
  total.histogram.add(counts.histogram)
}

/** An act as it is told: the sum, and each kind that was sent. */
export function statsOf({ name, counts }: Window): WindowStats {
  const sum = newCounts()
  for (const kind of KINDS) addTo(sum, counts[kind])
  const used = KINDS.filter(kind => counts[kind].sent > 0)
  return {
    name,
    ...kindStatsOf(sum),
    posts: counts.post.sent,
    postsAtKills: counts.post.atKills,
    kinds: Object.fromEntries(used.map(kind => [kind, kindStatsOf(counts[kind])])),
  }
}

function kindStatsOf({ histogram, ...counts }: Counts): KindStats {
  const latencies = { p50Ms: histogram.quantileMs(0.5), p99Ms: histogram.quantileMs(0.99), maxMs: histogram.maxMs }
  return { ...counts, latencies }
}
