import { messageOf, sleep } from '../../base/index.ts'
import { Books, type Done } from './books.ts'
import { type Structure, structuralDifferences } from '../file/config-structure.ts'
import { CONFIGURATION, Drift, type DriftPolicy, type DriftReport, FILE, subjectsOf } from './drift.ts'
import type { Seen } from '../state/seen.ts'
import {
  ConfigRefusedError,
  PlanStaleError,
  ReloadFailedError,
  RuntimeSocketError,
  UnknownReplyError,
} from '../errors.ts'
import { Hands } from './hands.ts'
import type { Layout } from '../file/layout.ts'
import { Lookout, type LookoutDeps, type Outcome } from './lookout.ts'
import { type NextLayout, offlineStep, type Order, type Outlook, outlookOf } from './outlook.ts'
import { commandLine } from './plan.ts'
import { type Cause, changesBetween, type Picture, pictureOf, type Receipt } from './receipt.ts'
import { type MemberStates, placed } from '../pool/roster.ts'
import type { Server } from '../server.ts'
import {
  commandsOf,
  type Ground,
  idOf,
  linesOf,
  mustChange,
  reminders,
  sparing,
  standingIn,
  type Step,
  stepFor,
  withoutReload,
} from './step.ts'

export interface PassDeps extends LookoutDeps {
  readonly onReceipt?: (receipt: Receipt) => void
}

/** What one pass found out. */
export interface PassResult {
  readonly lookAtMs: number | undefined
}

/** A step that a pass found, and whether it would only undo what somebody else has done. */
interface FoundOrder extends Order {
  readonly isDrift: boolean
}

const RELOAD_SPACING_MS = 1_000
/** A reload cures an unknown reply once; one that comes back is not cured by reloads. */
const MISTRUST_MS = 60_000
const NOT_RUNNING = 'HAProxy does not run: its next start finds this file'
const BLIND =
  'nothing tells which servers of the running HAProxy are ours; it is left as it is until the ring has been joined'

/** Brings HAProxy from what it is to what is wanted, one pass after the other. Passes never overlap. */
export class Passes {
  readonly lookout: Lookout
  readonly #deps: PassDeps
  readonly #books: Books
  readonly #drift: Drift
  readonly #hands: Hands
  #layout: Layout
  #lastReloadAtMs = Number.NEGATIVE_INFINITY
  #trustAgainAtMs = Number.NEGATIVE_INFINITY
  #refused: { readonly config: Structure; readonly untilMs: number } | undefined
  /** What a pass last brought to its end: while we want the same, whatever differs from it is somebody else's work. */
  #settled: { readonly text: string; readonly picture: Picture; readonly worker: number } | undefined
  /** What the last pass found, and nothing to do in it; undefined: whatever was seen since has to be compared. */
  #resting: Step | undefined
  /** As HAProxy was seen before, for what a worker that somebody else started has forgotten. */
  #lastSeen: Seen | undefined
  problem: string | undefined
  reloads = 0

  constructor(layout: Layout, deps: PassDeps) {
    this.#deps = deps
    this.#layout = layout
    this.#drift = new Drift(deps.log)
    this.#hands = new Hands(deps.control, deps.log)
    this.#books = new Books(deps.clock, receipt => deps.onReceipt?.(receipt))
    this.lookout = new Lookout(layout, this.#books, deps)
  }

  /** What is in force. */
  get layout(): Layout {
    return this.#layout
  }

  /** Commands over the runtime socket. */
  get runtimeChanges(): number {
    return this.#hands.commands
  }

  /** What somebody else changed, the newest last. */
  get drifts(): readonly DriftReport[] {
    return this.#drift.reports
  }

  update(servers: readonly Server[], members: MemberStates | undefined, causes: readonly Cause[] = []): void {
    this.#books.hear(causes)
    this.lookout.update(servers, members)
  }

  /** The file for what has been decided so far. */
  text(): string {
    return this.#layout.text(this.lookout.roster)
  }

  /** Decides without HAProxy, before it runs. */
  decideOffline(): void {
    this.lookout.decide()
    this.#books.begin(this.#picture())
  }

  /** As HAProxy has its servers, before the ring is asked: what is done first is a change of that, and not of nothing. */
  decideFound(seen: Seen): void {
    this.lookout.observe(seen)
    this.decideOffline()
  }

  /** How long another reload has to wait, ms: many changes make one. */
  reloadWaitMs(): number {
    const spacingMs = this.#layout.config.reloadSpacingMs ?? RELOAD_SPACING_MS
    return Math.max(0, this.#lastReloadAtMs + spacingMs - this.#deps.clock.nowMs())
  }

  /**
   * Looks, decides, plans, applies. @throws whatever kept it from the end: what was taken out stays out, nothing else changed;
   * a repeat goes on from what is found then
   */
  async run(signal: AbortSignal): Promise<PassResult> {
    const { lookout } = this
    const ground = await this.#look()
    if (ground === undefined) return { lookAtMs: undefined }
    const layout = this.#layout
    await this.#heal(ground.seen)
    const step = this.#resting ?? this.#sparingKept(stepFor(layout, lookout.roster, ground))
    const order = this.#orderOf(step, ground.seen)
    try {
      const applied = await this.#apply(step, ground, order, signal)
      this.#resting = step.plan.kind === 'nothing' ? step : undefined
      if (typeof layout.config.template === 'object') {
        const failure = await this.#hands.remember(layout.inFile(lookout.roster).map(placed))
        this.problem ??= failure
      }
      return { lookAtMs: earliest(ground.lookAtMs, applied) }
    } catch (failure) {
      this.#settled = undefined
      this.#resting = undefined
      const { clock } = this.#deps
      if (!(failure instanceof UnknownReplyError) || clock.nowMs() < this.#trustAgainAtMs) throw failure
      this.#trustAgainAtMs = clock.nowMs() + MISTRUST_MS
      const again = stepFor(layout, lookout.roster, { ...ground, asked: [messageOf(failure)] })
      return { lookAtMs: await this.#reload(again, order, signal) }
    }
  }

  /**
   * What this layout would change, and how, and whether HAProxy would refuse it; nothing is touched.
   * @throws RuntimeSocketError, TemplateError
   */
  async outlook(next: NextLayout): Promise<Outlook> {
    const { step } = await this.#candidate(next)
    const { control } = this.#deps
    const edited = await control.editedFile()
    const isNewFile = edited === undefined ? this.#isNewFile(step) : edited !== step.file
    return this.#judged(outlookOf(step, edited ?? control.fileText ?? '', isNewFile), step)
  }

  /** The same while HAProxy does not run: the file is written, and HAProxy started with it. @throws TemplateError */
  async outlookOffline(next: NextLayout): Promise<Outlook> {
    const { step } = this.#offline(next)
    const { control } = this.#deps
    const outlook = outlookOf(step, (await control.editedFile()) ?? control.fileText ?? '', true)
    return this.#judged({ ...outlook, reasons: [NOT_RUNNING] }, step)
  }

  async #judged(outlook: Outlook, step: Step): Promise<Outlook> {
    const refusal = await this.#deps.control.refusalOf(step.file)
    return refusal === undefined ? outlook : { ...outlook, refusal }
  }

  /**
   * Puts another configuration in force; until it is, and where it is refused, the one before serves.
   * @returns undefined when nothing had to be done
   * @throws PlanStaleError, ConfigRefusedError, ReloadFailedError, BindError, TemplateError, RuntimeSocketError: nothing of it is in force
   */
  async change(next: NextLayout, order: Order, signal: AbortSignal): Promise<Receipt | undefined> {
    const { layout, ground, step } = await this.#candidate(next, order.reload === true ? ['asked for'] : [])
    if (order.expected !== undefined && idOf(step) !== order.expected) throw new PlanStaleError(order.expected)
    if (step.plan.kind === 'reload') {
      await this.#deps.control.check(step.file) // before anything is taken out for it
      await sleep(this.#deps.clock, this.reloadWaitMs(), signal)
    }
    const before = this.#layout
    this.#use(layout)
    try {
      const edited = await this.#deps.control.editedFile()
      if (edited !== undefined) await this.#setAside(edited) // else it would be taken for the file that is to be written
      const receipt = await this.#applyNow(step, ground, order, signal)
      this.#drift.forget()
      return receipt
    } catch (failure) {
      this.#use(before) // the next pass undoes what was done of it
      this.#settled = undefined
      this.#deps.wake()
      throw failure
    }
  }

  /**
   * Puts a configuration in force while HAProxy does not run: the supervisor's next start of it finds the new file.
   * @throws PlanStaleError, ConfigRefusedError, TemplateError: the one before is in force
   */
  async changeOffline(next: NextLayout, order: Order): Promise<Receipt> {
    const startedAtMs = this.#deps.clock.nowMs()
    const { layout, step } = this.#offline(next)
    if (order.expected !== undefined && idOf(step) !== order.expected) throw new PlanStaleError(order.expected)
    const edited = await this.#deps.control.editedFile()
    if (edited !== undefined) await this.#setAside(edited)
    await this.#deps.control.install(step.file)
    this.#use(layout)
    this.#settled = undefined
    this.#drift.forget()
    return this.#issue(order, { method: 'file', reasons: [NOT_RUNNING], commands: [], startedAtMs })
  }

  #offline(next: NextLayout): { readonly layout: Layout; readonly step: Step } {
    const { roster } = this.lookout
    const layout = next(this.#layout)
    layout.seat(layout.own(roster))
    return { layout, step: offlineStep(layout.text(roster)) }
  }

  stop(): void {
    this.lookout.stop()
  }

  #use(layout: Layout): void {
    this.#layout = layout
    this.#refused = undefined
    this.lookout.use(layout)
  }

  /** How the servers stand. */
  #picture(): Picture {
    return pictureOf(this.#layout, this.lookout.roster)
  }

  async #look(rereads = false): Promise<Outcome | undefined> {
    const ground = await this.lookout.look(rereads)
    if (ground?.isQuiet !== true || ground.attachments.wanted.size > 0) this.#resting = undefined
    this.problem = ground === undefined ? BLIND : this.problem === BLIND ? undefined : this.problem
    return ground
  }

  /** The layout is made after the look: whom that takes out has no slot in it any more. */
  async #candidate(
    next: NextLayout,
    asked: readonly string[] = [],
  ): Promise<{ readonly layout: Layout; readonly ground: Ground; readonly step: Step }> {
    const found = await this.#look(true)
    if (found === undefined) throw new RuntimeSocketError(BLIND)
    const { roster } = this.lookout
    const layout = next(this.#layout)
    layout.seat(layout.own(roster))
    const ground = { ...found, asked }
    return { layout, ground, step: stepFor(layout, roster, ground) }
  }

  /** A worker that somebody else has started takes every server for UP: those that were down wait for a good check again. */
  async #heal(seen: Seen): Promise<void> {
    const before = this.#lastSeen
    this.#lastSeen = seen
    if (before === undefined || before.workerPid === seen.workerPid) return
    await this.#hands.send(reminders(before, seen, this.#deps.control.loaded))
  }

  /** Who is behind a step: the ring, or somebody else when nothing that we want has changed. */
  #orderOf(step: Step, seen: Seen): FoundOrder {
    const actor = 'muster'
    const settled = this.#settled
    const isOurs = settled?.text !== step.text || changesBetween(settled.picture, this.#picture(), []).length > 0
    if (isOurs) return { actor, causes: this.#books.causes, isDrift: false }
    if (settled.worker === seen.workerPid || step.plan.kind === 'reload')
      return { actor, causes: [{ what: 'found changed by somebody else' }], isDrift: step.plan.kind !== 'nothing' }
    return { actor, causes: [{ what: 'HAProxy was started or reloaded by somebody else' }], isDrift: false }
  }

  /** Writes, sends, reloads. @returns when to look again at what has to wait */
  async #apply(found: Step, ground: Ground, order: FoundOrder, signal: AbortSignal): Promise<number | undefined> {
    const { clock, control } = this.#deps
    const { drift: policy = 'restore' } = this.#layout.config
    const edited = await control.editedFile()
    const spared = this.#judge(found, edited !== undefined, order, policy)
    const lookAtMs = spared.size === 0 ? undefined : Math.min(...spared.values())
    if (spared.has(CONFIGURATION)) return lookAtMs
    const step = sparing(found, new Set(spared.keys()))
    if (spared.has(FILE) || (step.plan.kind === 'reload' && this.#drift.kept.has(CONFIGURATION))) {
      await this.#applyWhatRuns(step, ground, order) // the file is theirs, the servers are ours
      return lookAtMs
    }
    if (edited !== undefined) await this.#setAside(edited)
    if (step.plan.kind !== 'reload') {
      await this.#applyNow(step, ground, order, signal)
      return lookAtMs
    }
    const dueMs = Math.max(clock.nowMs() + this.reloadWaitMs(), this.#refusedUntilMs(step.config))
    if (clock.nowMs() >= dueMs) return this.#reload(step, order, signal)
    await this.#applyWhatRuns(step, ground, order)
    this.#books.postpone(order.causes)
    return earliest(dueMs, lookAtMs)
  }

  /** What of somebody else's work is left as it is, and until when. */
  #judge(step: Step, isEdited: boolean, { isDrift }: FoundOrder, policy: DriftPolicy): ReadonlyMap<string, number> {
    const subjects = [...(isDrift ? subjectsOf(step.plan) : []), ...(isEdited ? [FILE] : [])]
    return this.#drift.judge(subjects, policy, this.#deps.clock.nowMs(), {
      named: subject => this.#named(subject),
      wantedOf: subject => standingIn(step, subject),
      must: mustChange(step.plan),
    })
  }

  #sparingKept(step: Step): Step {
    this.#drift.decided(subject => standingIn(step, subject))
    return sparing(step, this.#drift.kept)
  }

  async #setAside(edited: string): Promise<void> {
    const reason = await this.#deps.control.setAside(edited)
    if (reason !== undefined)
      this.#deps.log.warn({ reason }, 'what was written by hand into the file could not be kept')
  }

  /** `web/slot1 (web-1)`. */
  #named(subject: string): string {
    const member = this.#layout.memberIn(subject)
    return member === undefined ? subject : `${subject} (${member})`
  }

  /** While a reload waits, servers that have a line already need not; the file follows within the second. */
  async #applyWhatRuns(step: Step, ground: Ground, order: Order): Promise<void> {
    const out = step.plan.kind === 'reload' ? step.plan.out : []
    await this.#hands.send(out)
    const now = withoutReload(step, { ...ground, seen: await this.#deps.control.look(false) })
    await this.#hands.send(commandsOf(now))
    const commands = [...out.map(commandLine), ...linesOf(now)]
    if (commands.length > 0) this.#issue(order, { method: 'runtime', reasons: [], commands })
  }

  /** @throws what keeps it from being done */
  async #applyNow(step: Step, ground: Ground, order: Order, signal: AbortSignal): Promise<Receipt | undefined> {
    const { control, clock } = this.#deps
    const startedAtMs = clock.nowMs()
    const { plan, text, file } = step
    if (plan.kind === 'reload') return this.#reloadNow(step, order, signal)
    if (plan.kind === 'runtime') await this.#hands.send(plan.out)
    const isNewFile = this.#isNewFile(step)
    const unwritten = await this.#hands.write(file)
    if (plan.kind === 'runtime') await this.#hands.send(plan.in)
    control.assume(step.config)
    this.lookout.surroundings.assume(ground.attachments.wanted)
    const picture = this.#settle(text, ground.seen.workerPid)
    this.#books.caughtUp()
    this.problem = unwritten ?? this.#hands.unrecorded()
    if (plan.kind === 'runtime')
      return this.#issue(order, { method: 'runtime', reasons: [], commands: linesOf(plan), startedAtMs }, picture)
    this.#books.drop()
    if (!isNewFile || unwritten !== undefined) return undefined
    return this.#issue(order, { method: 'file', reasons: [], commands: [], startedAtMs }, picture)
  }

  /** Whose checks fail changes the file, too, but that is nothing anybody has to be told. */
  #isNewFile({ text, file }: Step): boolean {
    const { fileText } = this.#deps.control
    return fileText !== file && (fileText === undefined || text !== this.#settled?.text)
  }

  /** @returns how the servers stand by now */
  #settle(text: string, worker: number): Picture {
    const picture = this.#picture()
    this.#settled = { text, worker, picture }
    this.#books.leave(this.lookout.released)
    this.lookout.forgetReleased()
    return picture
  }

  /** A refused configuration is a problem that is shown and tried again later, and no failure of the pass. */
  async #reload(step: Step, order: Order, signal: AbortSignal): Promise<number | undefined> {
    const { clock, log } = this.#deps
    const reasons = step.plan.kind === 'reload' ? step.plan.reasons : []
    try {
      await this.#reloadNow(step, order, signal)
      this.#deps.wake() // whether the new worker is as it should be
    } catch (failure) {
      if (failure instanceof RuntimeSocketError || signal.aborted) throw failure
      this.#refused = { config: step.config, untilMs: clock.nowMs() + retryMsAfter(failure) }
      this.#deps.wake() // servers go on coming and going in the configuration that runs
      const problem = messageOf(failure)
      if (problem !== this.problem)
        log.error({ error: problem, reasons }, 'the new configuration was not taken; the old one serves')
      this.problem = problem
    }
    return undefined
  }

  async #reloadNow(step: Step, order: Order, signal: AbortSignal): Promise<Receipt | undefined> {
    const { control, clock, log } = this.#deps
    const { plan } = step
    if (plan.kind !== 'reload') return undefined
    const startedAtMs = clock.nowMs()
    this.#lastReloadAtMs = startedAtMs
    await this.#hands.send(plan.out)
    const worker = await control.reload(step.file, signal)
    this.reloads++
    this.#refused = undefined
    await this.lookout.surroundings.loaded(step.config)
    log.info({ reasons: plan.reasons, tookMs: Math.round(clock.nowMs() - startedAtMs) }, 'haproxy reloaded')
    await this.#hands.send(plan.after)
    this.problem = this.#hands.unrecorded()
    control.assume(step.config)
    this.#lastSeen = undefined
    const picture = this.#settle(step.text, worker)
    const done: Done = { method: 'reload', reasons: plan.reasons, commands: linesOf(plan), startedAtMs }
    return this.#issue(order, done, picture)
  }

  #issue(order: Order, done: Done, picture = this.#picture()): Receipt {
    return this.#books.issue(order, done, picture, this.lookout.released)
  }

  /** Until when a configuration of this structure need not be tried again; servers that come and go make no new one. */
  #refusedUntilMs(config: Structure): number {
    if (this.#refused === undefined || structuralDifferences(this.#refused.config, config).length > 0) return 0
    return this.#refused.untilMs
  }
}

/**
 * What was refused may be taken later: a port is free again, a disk, a certificate is there. A failed reload refuses
 * connections for 2 s, so it is seldom repeated.
 */
function retryMsAfter(failure: unknown): number {
  if (failure instanceof ReloadFailedError) return 60_000
  return failure instanceof ConfigRefusedError ? 30_000 : 2_000
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : b === undefined ? a : Math.min(a, b)
}
