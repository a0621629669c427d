import { systemClock } from '../../base/index.ts'
import {
  KINDS,
  type KindStats,
  type LedgerStats,
  type OwnLag,
  type SumStats,
  type WindowStats,
} from '../../prove/index.ts'
import { print, printJson, tell, type Format } from '../output.ts'
import { formatTable, printable } from '../table.ts'

/** One act of a scenario, as it went. */
export interface ActResult {
  readonly name: string
  /** Until it had taken effect; undefined: it did not, and `problem` says what happened. */
  readonly followedMs: number | undefined
  readonly problem?: string
}

/** All that a run has found out. */
export interface Findings {
  readonly stats: LedgerStats
  readonly ownLag: OwnLag
  /** What speaks against success; none: proved. */
  readonly objections: readonly string[]
  /** What one should know beside. */
  readonly notes: readonly string[]
  readonly acts?: readonly ActResult[]
  /** It was ended before its time: all of this is so far. */
  readonly interrupted: boolean
  /** Further facts, for `-o json`. */
  readonly more?: object
}

const HEAD = ['ACT', 'KIND', 'SENT', 'GOOD', 'LOST', 'DOUBLED', 'UNKNOWN', 'P50 MS', 'P99 MS', 'SLOWEST MS']
/** With more acts each has one row, all kinds together; the total has a row per kind in any case. */
const ACTS_BY_KIND_MAX = 12
const LISTED_MAX = 200

/** Data on standard output, the failures and the verdict on standard error. */
export function present(findings: Findings, format: Format): void {
  const { stats, objections, notes } = findings
  if (format === 'json') printJson(documentOf(findings))
  else print(resultTable(stats, findings.acts))
  for (const { id, kind, act, what, countedAs, how, tookMs, sentAtMs, server } of stats.failures.slice(0, LISTED_MAX)) {
    const where = [how, server].filter(Boolean).join(', ')
    tell(
      printable(
        `${countedAs}: ${at(sentAtMs)} ${kind} ${id} in "${act}": ${what} after ${tookMs.toFixed(0)} ms${where && `, ${where}`}`,
      ),
    )
  }
  if (stats.failures.length > LISTED_MAX) tell(`… and ${stats.failures.length - LISTED_MAX} more; -o json lists them`)
  for (const note of notes) tell(`note: ${printable(note)}`)
  for (const objection of objections) tell(`failed: ${printable(objection)}`)
  if (objections.length > 0) return
  const unknown =
    stats.unknown === 0 ? '' : `, ${stats.unknown} unknown of ${stats.atKills} in flight at kills and freezes`
  tell(
    `${findings.interrupted ? 'interrupted; so far' : 'proved'}: ${stats.sent} requests, 0 lost, 0 doubled${unknown}`,
  )
}

/** The time of day, UTC, as in the logs. */
function at(sentAtMs: number): string {
  const wallMs = systemClock.wallMs() - (systemClock.nowMs() - sentAtMs)
  return new Date(wallMs).toISOString().slice(11, 23)
}

/** Acts in order, each with its kinds while they are few, then the total by kind. */
export function resultTable(stats: LedgerStats, acts?: readonly ActResult[]): string {
  const windows = stats.windows.filter(window => window.sent > 0 || acts?.some(act => act.name === window.name))
  const byKind = windows.length <= ACTS_BY_KIND_MAX && acts === undefined
  const rows = [
    ...windows.flatMap(window => (byKind ? kindRows(window) : [rowOf(window.name, 'all', window)])),
    ...kindRows(stats),
    rowOf('total', 'all', stats),
  ]
  if (acts === undefined) return formatTable([HEAD, ...rows])
  const followed = (name: string) => {
    const act = acts.find(candidate => candidate.name === name)
    return act === undefined ? '-' : (act.followedMs?.toFixed(0) ?? 'never')
  }
  const withFollowed = rows.map(([name = '', ...rest]) => [name, followed(name), ...rest])
  return formatTable([['ACT', 'FOLLOWED MS', ...HEAD.slice(1)], ...withFollowed])
}

function kindRows(window: WindowStats): string[][] {
  const used = KINDS.filter(kind => window.kinds[kind] !== undefined)
  return used.map(kind => rowOf(window.name, kind, window.kinds[kind] as KindStats))
}

function rowOf(name: string, kind: string, stats: SumStats | KindStats): string[] {
  const { sent, good, lost, doubled, unknown, latencies } = stats
  const times = [latencies.p50Ms, latencies.p99Ms, latencies.maxMs].map(ms => ms.toFixed(ms < 10 ? 1 : 0))
  return [name, kind, ...[sent, good, lost, doubled, unknown].map(String), ...times]
}

function documentOf({ stats, ownLag, objections, notes, acts, interrupted, more }: Findings): object {
  const { windows, failures, byServer, slow, slowOwn, inFlight: _inFlight, perSecond: _perSecond, ...total } = stats
  const followed = new Map(
    acts?.map(({ name, followedMs, problem }) => [name, { followedMs: followedMs ?? null, problem }]),
  )
  return {
    passed: objections.length === 0 && !interrupted,
    interrupted,
    objections,
    notes,
    acts: windows.map(window => ({ ...window, ...followed.get(window.name) })),
    total,
    byServer,
    failures,
    self: { ...ownLag, slow, slowOwn },
    ...more,
  }
}
