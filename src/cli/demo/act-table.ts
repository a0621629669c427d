import type { LedgerStats, WindowStats } from '../../prove/index.ts'
import { formatTable } from '../table.ts'
import type { DemoOptions } from './options.ts'

/** One act of the check, as it went. */
export interface ActResult {
  readonly name: string
  readonly kill: boolean
  /** Until traffic followed; undefined: it did not, and `problem` says what happened. */
  readonly followedMs: number | undefined
  readonly problem?: string
}

/** The table people read: each act, how soon traffic followed it, and what became of the requests sent meanwhile. */
export function actTable(acts: readonly ActResult[], stats: LedgerStats): string {
  const head = ['ACT', 'FOLLOWED MS', 'REQUESTS', 'LOST', 'DOUBLED', 'UNKNOWN', 'P99 MS', 'MAX MS']
  const rows = stats.windows.map(window => {
    const act = acts.find(candidate => candidate.name === window.name)
    return rowOf(window, act === undefined ? '-' : (act.followedMs?.toFixed(0) ?? 'never'))
  })
  return formatTable([head, ...rows, rowOf(stats, '-')])
}

/** The same for programs; `followedMs` is null where traffic did not follow, and absent where nothing was done. */
export function actDocument(
  acts: readonly ActResult[],
  { windows, failures, ...stats }: LedgerStats,
  against: readonly string[],
): object {
  const results = new Map(
    acts.map(({ name, followedMs = null, problem }) => [
      name,
      { followedMs, ...(problem === undefined ? {} : { problem }) },
    ]),
  )
  const { sent, lost, doubled, unknown, latencies } = stats
  return {
    passed: against.length === 0,
    objections: against,
    acts: windows.map(window => ({ ...countsOf(window), ...results.get(window.name) })),
    total: { sent, lost, doubled, unknown, latencies },
    failures,
  }
}

function countsOf({ name, sent, lost, doubled, unknown, latencies }: WindowStats): object {
  return { name, sent, lost, doubled, unknown, latencies }
}

function rowOf(window: WindowStats, followed: string): string[] {
  const { name, sent, lost, doubled, unknown, latencies } = window
  const counts = [sent, lost, doubled, unknown].map(String)
  return [name, followed, ...counts, latencies.p99Ms.toFixed(0), latencies.maxMs.toFixed(0)]
}

/**
 * What speaks against success, in sentences; none: the check has passed. With a classic template, which lacks HAProxy's
 * retry settings, kills may lose requests and nothing else may.
 */
export function objections(
  acts: readonly ActResult[],
  stats: LedgerStats,
  options: Pick<DemoOptions, 'template'> & { readonly ranForMs: number; readonly rateMin: number },
): string[] {
  const found: string[] = []
  for (const act of acts) {
    if (act.followedMs === undefined) found.push(`${act.name}: ${act.problem ?? 'traffic did not follow'}`)
  }
  const excused = new Set(options.template === 'classic' ? acts.filter(act => act.kill).map(act => act.name) : [])
  const lost = stats.windows.filter(window => !excused.has(window.name)).reduce((sum, window) => sum + window.lost, 0)
  if (lost > 0) found.push(`${lost} requests were lost`)
  if (stats.doubled > 0) found.push(`${stats.doubled} POSTs ran more than once`)
  if (stats.unknown > stats.postsAtKills) {
    found.push(`${stats.unknown} POSTs are unknown, but only ${stats.postsAtKills} were in flight at the kills`)
  }
  if (stats.posts === 0) found.push('no POST was sent: nothing is proved about doubled')
  const rate = (stats.sent * 1000) / options.ranForMs
  if (rate < options.rateMin)
    found.push(`only ${rate.toFixed(0)} requests a second were sent; ${options.rateMin} are asked for`)
  return found
}
