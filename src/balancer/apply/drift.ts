import type { Log } from '../../base/index.ts'
import type { Plan } from './plan.ts'
import { commandsOf, subjectOf } from './step.ts'

/** What to do about a change that is not ours: put right, or keep. */
export type DriftPolicy = 'restore' | 'adopt'

/** A change of somebody else's, as found. */
export interface DriftReport {
  /** `web/slot1 (web-1)`, `HAProxy's file`. */
  readonly what: string
  /** In words. */
  readonly outcome: string
  /** Milliseconds of the clock. */
  readonly atMs: number
}

/** The subject of a file that was edited by hand. */
export const FILE = "HAProxy's file"
/** The subject of a configuration that somebody else has loaded. */
export const CONFIGURATION = "HAProxy's configuration"

/** So often in a row the same thing is put right before it is left alone for a while: somebody else insists. */
const RESTORES_IN_A_ROW = 3
/** A change after a quieter time begins a new row, ms. */
const ROW_MS = 60_000
const TRUCE_MS_MIN = 60_000
const TRUCE_MS_MAX = 30 * 60_000
const LOOK_MS = 10_000
const SUBJECTS_MAX = 1024
const REPORTS_MAX = 32

/** Somebody else's, for as long as we want the same of it as when it was found. */
interface Kept {
  readonly what: string
  readonly wanted: string
}

/** What the plan wants of a subject, in a word; the same for as long as nothing else has been decided. */
export type WantedOf = (subject: string) => string

interface Row {
  times: number
  lastAtMs: number
  truces: number
  truceUntilMs: number
}

interface Circumstances {
  readonly named: (subject: string) => string
  readonly wantedOf: WantedOf
  readonly must: ReadonlySet<string>
}

/** What somebody else changes: put right, but not fought over in a loop. Time is an argument. */
export class Drift {
  readonly #rows = new Map<string, Row>()
  #reports: DriftReport[] = []
  readonly #kept = new Map<string, Kept>()
  readonly #log: Log

  constructor(log: Log) {
    this.#log = log
  }

  /** The newest last. */
  get reports(): readonly DriftReport[] {
    return this.#reports
  }

  /** What is somebody else's until an operator says otherwise (`adopt`), or something else has been decided about it. */
  get kept(): ReadonlySet<string> {
    return new Set(this.#kept.keys())
  }

  /** What was kept of a server is put right with what is decided about it now. */
  decided(wantedOf: WantedOf): void {
    for (const [subject, { what, wanted }] of this.#kept) {
      if (wantedOf(subject) === wanted) continue
      this.#kept.delete(subject)
      this.#reports = this.#reports.map(one =>
        one.what === what && isOpen(one) ? { ...one, outcome: PUT_RIGHT } : one,
      )
    }
  }

  /**
   * These were found changed by somebody else.
   * @param must those that are put right whatever the policy
   * @returns those that are left as they are, and when to look again at each, ms of the clock; the others are put right now
   */
  judge(
    subjects: readonly string[],
    policy: DriftPolicy,
    nowMs: number,
    { named, wantedOf, must }: Circumstances,
  ): ReadonlyMap<string, number> {
    const spared = new Map<string, number>()
    if (policy === 'restore') this.#kept.clear()
    for (const subject of subjects) {
      const keeps = policy === 'adopt' && !must.has(subject)
      const untilMs = keeps ? nowMs + LOOK_MS : must.has(subject) ? undefined : this.#truce(subject, nowMs)
      const outcome = keeps ? KEPT : untilMs === undefined ? PUT_RIGHT : LEFT_ALONE
      const what = named(subject)
      this.#note({ what, outcome, atMs: nowMs })
      if (untilMs !== undefined) spared.set(subject, untilMs)
      if (keeps && this.#kept.size < SUBJECTS_MAX) this.#kept.set(subject, { what, wanted: wantedOf(subject) })
    }
    return spared
  }

  /** An operator has said what is wanted, and has it: what was left as it was is put right by now, and so is what comes, at once. */
  forget(): void {
    this.#reports = this.#reports.map(report => (isOpen(report) ? { ...report, outcome: PUT_RIGHT } : report))
    this.#rows.clear()
    this.#kept.clear()
  }

  /** @returns until when it is left alone; undefined: not yet */
  #truce(subject: string, nowMs: number): number | undefined {
    const row = this.#row(subject)
    if (nowMs < row.truceUntilMs) return row.truceUntilMs
    const isQuiet = nowMs - row.lastAtMs > (row.truces === 0 ? ROW_MS : TRUCE_MS_MAX)
    if (isQuiet) Object.assign(row, { times: 0, truces: 0 })
    row.lastAtMs = nowMs
    if (++row.times <= RESTORES_IN_A_ROW) return undefined
    row.times = 0
    row.truceUntilMs = nowMs + Math.min(TRUCE_MS_MIN * 2 ** row.truces++, TRUCE_MS_MAX)
    return row.truceUntilMs
  }

  #row(subject: string): Row {
    const found = this.#rows.get(subject)
    if (found !== undefined) return found
    if (this.#rows.size >= SUBJECTS_MAX) this.#rows.delete(this.#rows.keys().next().value ?? '')
    const row = { times: 0, lastAtMs: Number.NEGATIVE_INFINITY, truces: 0, truceUntilMs: 0 }
    this.#rows.set(subject, row)
    return row
  }

  /** Once each, until it comes out otherwise. */
  #note(report: DriftReport): void {
    const { what, outcome } = report
    const last = this.#reports.findLast(other => other.what === what)
    if (outcome !== PUT_RIGHT && last?.outcome === outcome) return
    this.#log.warn({ what, outcome }, 'somebody else has changed HAProxy')
    this.#reports.push(report)
    if (this.#reports.length > REPORTS_MAX) this.#reports.shift()
  }
}

const KEPT = 'kept (balancer.drift: adopt) until muster apply'
const PUT_RIGHT = 'put right'
const LEFT_ALONE = 'left alone for a while: somebody changes it again and again; muster apply puts it right'

function isOpen({ outcome }: DriftReport): boolean {
  return outcome === KEPT || outcome === LEFT_ALONE
}

/** What a plan is about, each once: servers, files, or the configuration as a whole. */
export function subjectsOf(step: Plan): string[] {
  if (step.kind === 'reload') return [CONFIGURATION]
  return [...new Set(commandsOf(step).map(subjectOf))]
}
