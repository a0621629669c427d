import { isIP } from 'node:net'
import { type Clock, type Log, messageOf, type ProbeTarget, sleep } from '../base/index.ts'
import { adoptRemembered, adoptServers } from './adoption.ts'
import { probeTargetOf } from './config.ts'
import { type Structure, structuralDifferences } from './config-structure.ts'
import { Drift, type DriftReport, FILE, subjectsOf } from './drift.ts'
import type { HaproxyControl, Seen } from './drivers/haproxy-control.ts'
import {
  ConfigRefusedError,
  PlanStaleError,
  ReloadFailedError,
  RuntimeSocketError,
  UnknownReplyError,
} from './errors.ts'
import { type GuardNews, guardNews, type GuardReport } from './guards/report.ts'
import type { Layout } from './layout.ts'
import { type Command, commandLine } from './plan.ts'
import { type ProbeFunction, Prober } from './prober.ts'
import {
  type Cause,
  type CheckNews,
  changesBetween,
  firstCommands,
  type Picture,
  pictureOf,
  type Receipt,
} from './receipt.ts'
import type { Entry } from './entry.ts'
import { type MemberStates, placed, Roster } from './roster.ts'
import type { Server } from './server.ts'
import { Sighting } from './sighting.ts'
import { commandsOf, type Ground, idOf, linesOf, reminders, type Step, stepFor, withoutReload } from './step.ts'
import type { ServerState } from './runtime-state.ts'
import { Surroundings } from './surroundings.ts'

export interface PassDeps {
  readonly clock: Clock
  readonly log: Log
  readonly control: HaproxyControl
  readonly probe: ProbeFunction
  /** Asks for another pass, now. */
  readonly wake: () => void
  readonly onReceipt?: (receipt: Receipt) => void
  readonly onGuard?: (news: GuardNews) => void
  readonly onCheck?: (news: CheckNews) => void
}

/** What one pass found out. */
export interface PassResult {
  readonly lookAtMs: number | undefined
}

/** Who wants another configuration, and why. */
export interface Order {
  readonly actor: string
  readonly causes: readonly Cause[]
  /** The `id` of the outlook that was agreed to; another step is refused. */
  readonly expected?: string
  /** Also where nothing differs: HAProxy's program has been replaced, say. */
  readonly reload?: boolean
}

/** Another layout, made of the one in force. */
export type NextLayout = (before: Layout) => Layout

/** What would be done, and how. */
export interface Outlook {
  /** Tells this step from another; 12 hexadecimal digits. */
  readonly id: string
  readonly method: 'nothing' | Receipt['method']
  readonly reasons: readonly string[]
  /** For the socket, in order. */
  readonly commands: readonly string[]
  /** HAProxy's file as it is and as it would be. */
  readonly before: string
  readonly after: string
}

const RELOAD_SPACING_MS = 1_000
/** A reload cures an unknown reply once; one that comes back is not cured by reloads. */
const MISTRUST_MS = 60_000
const BLIND =
  'nothing tells which servers of the running HAProxy are ours; it is left as it is until the ring has been joined'
const DRAIN_TIMEOUT_MS = 30_000
/** Causes of one receipt; a storm has more, of which the first ones tell as much. */
const CAUSES_MAX = 32
const OLD_WORKERS_MAX = 8

/** Everything that a pass remembers from the one before. Passes never overlap. */
export class Passes {
  readonly #deps: PassDeps
  readonly #prober: Prober
  readonly #drift: Drift
  readonly #surroundings: Surroundings
  readonly roster: Roster
  #layout: Layout
  #lastReloadAtMs = Number.NEGATIVE_INFINITY
  /** Taken out, and perhaps still in HAProxy. */
  #released: Entry[] = []
  /** The same, and no longer there; for the reasons in the next receipt. */
  #left: Entry[] = []
  #isBlind = false
  #trustAgainAtMs = Number.NEGATIVE_INFINITY
  #refused: { readonly config: Structure; readonly untilMs: number } | undefined
  /** As of the last receipt. */
  #picture: Picture = new Map()
  #causes: Cause[] = []
  /** Those of them that the last decisions were made after. */
  #decidedCauses: readonly Cause[] = []
  /** What a pass last brought to its end: while we want the same, whatever differs from it is somebody else's work. */
  #settled: { readonly text: string; readonly picture: Picture; readonly worker: number } | undefined
  /** As HAProxy was seen before, for what a worker that somebody else started has forgotten. */
  #lastSeen: Seen | undefined
  #receipts = 0
  problem: string | undefined
  /** Those that act at this moment. */
  guards: readonly GuardReport[] = []
  /** Of each pool since HAProxy's last start or reload, as of the last sample. */
  retries: ReadonlyMap<string, number> = new Map()
  reloads = 0
  runtimeChanges = 0
  joinedAtMs: number | undefined
  constructor(layout: Layout, deps: PassDeps) {
    this.#deps = deps
    this.#layout = layout
    this.#drift = new Drift(deps.log)
    this.#surroundings = new Surroundings(deps.control, deps.clock)
    this.roster = new Roster(!layout.usesSlots)
    this.#prober = new Prober(deps.clock, deps.probe, key => {
      this.roster.prove(key)
      deps.wake()
    })
  }

  /** What is in force. */
  get layout(): Layout {
    return this.#layout
  }

  update(servers: readonly Server[], members: MemberStates | undefined, causes: readonly Cause[] = []): void {
    this.#causes.push(...causes.slice(0, CAUSES_MAX - this.#causes.length))
    this.roster.update(servers, members, this.#deps.clock.nowMs())
    this.#prober.want(this.#targets()) // before the pass, which takes its time
  }

  /** What somebody else changed, the newest last. */
  get drifts(): readonly DriftReport[] {
    return this.#drift.reports
  }

  probeReasonOf(entry: Entry): string | undefined {
    return this.#prober.reasonOf(entry.key)
  }

  /** Requests and sessions on the servers of one member. */
  sessionsOf(name: string, seen: Seen, old: ReadonlyMap<string, number>): number {
    const sighting = new Sighting(seen, this.#layout, this.roster)
    const own = this.roster.entries().filter(entry => entry.server.name === name)
    return own.reduce((sum, entry) => sum + sighting.sessionsOn(entry, old), 0)
  }

  /** Requests and sessions on every server here, by pool and `ip:port`. */
  sessions(seen: Seen, old: ReadonlyMap<string, number>): Map<string, number> {
    const sighting = new Sighting(seen, this.#layout, this.roster)
    return new Map(this.#layout.own(this.roster).map(entry => [entry.key, sighting.sessionsOn(entry, old)]))
  }

  /** See `adoptServers`. */
  adopt(text: string, config: Structure, live: Seen['servers'] | undefined): void {
    adoptServers(this.#adopter(), text, config, live)
  }

  /** See `adoptRemembered`. */
  adoptRemembered(found: readonly unknown[]): void {
    adoptRemembered(this.#adopter(), found)
  }

  /** Nothing tells which of these are ours, and some serve: they are left alone until the ring does. */
  waitIfBlind(live: Seen['servers']): void {
    const others = [...live.values()].filter(({ ip }) => isIP(ip) !== 0) // what holds the door has a path
    this.#isBlind = this.#layout.own(this.roster).length === 0 && others.some(isServing)
  }

  /** The file for what has been decided so far. */
  text(): string {
    return this.#layout.text(this.roster)
  }

  /** Decides without HAProxy, before it runs. */
  decideOffline(): void {
    this.#decide()
    this.#picture = pictureOf(this.#layout, this.roster)
  }

  /**
   * Looks, decides, plans, applies. @throws whatever kept it from the end: what was taken out stays out, nothing else changed;
   * a repeat goes on from what is found then
   */
  async run(signal: AbortSignal): Promise<PassResult> {
    const ground = await this.#look()
    if (ground === undefined) return { lookAtMs: undefined }
    const layout = this.#layout
    await this.#heal(ground.seen)
    const step = stepFor(layout, this.roster, ground)
    const order = this.#orderOf(step, ground.seen)
    try {
      const applied = await this.#apply(step, ground, order, signal)
      if (typeof layout.config.template === 'object') await this.#rememberServers()
      return { lookAtMs: earliest(ground.lookAtMs, applied) }
    } catch (failure) {
      this.#settled = undefined
      const { clock } = this.#deps
      if (!(failure instanceof UnknownReplyError) || clock.nowMs() < this.#trustAgainAtMs) throw failure
      this.#trustAgainAtMs = clock.nowMs() + MISTRUST_MS
      const again = stepFor(layout, this.roster, { ...ground, asked: [messageOf(failure)] })
      return { lookAtMs: await this.#reload(again, order, signal) }
    }
  }

  /** What this layout would change, and how; nothing is touched. @throws RuntimeSocketError, TemplateError */
  async outlook(next: NextLayout): Promise<Outlook> {
    const { step } = await this.#candidate(next)
    const { plan } = step
    const before = this.#deps.control.fileText ?? ''
    return {
      id: idOf(step),
      method: plan.kind !== 'nothing' ? plan.kind : before === step.text ? 'nothing' : 'file',
      reasons: plan.kind === 'reload' ? plan.reasons : [],
      commands: linesOf(plan),
      before,
      after: step.text,
    }
  }

  /**
   * Puts another configuration in force; until it is, and where it is refused, the one before serves.
   * @returns undefined when nothing had to be done
   * @throws PlanStaleError, ConfigRefusedError, ReloadFailedError, BindError, TemplateError, RuntimeSocketError: nothing of it is in force
   */
  async change(next: NextLayout, order: Order, signal: AbortSignal): Promise<Receipt | undefined> {
    const { clock } = this.#deps
    const { layout, ground, step } = await this.#candidate(next, order.reload === true ? ['asked for'] : [])
    if (order.expected !== undefined && idOf(step) !== order.expected) throw new PlanStaleError(order.expected)
    if (step.plan.kind === 'reload') {
      await this.#deps.control.check(step.text) // before anything is taken out for it
      await sleep(clock, Math.max(0, this.#reloadableAtMs() - clock.nowMs()), signal)
    }
    const before = this.#layout
    this.#use(layout)
    try {
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

  stop(): void {
    this.#prober.stop()
  }

  #use(layout: Layout): void {
    this.#layout = layout
    this.#refused = undefined
    this.roster.gatesPlain = !layout.usesSlots
  }

  #adopter() {
    return { roster: this.roster, layout: this.#layout, nowMs: this.#deps.clock.nowMs() }
  }

  /** @returns undefined while nothing may be touched */
  async #look(rereads = false): Promise<(Ground & { readonly lookAtMs: number | undefined }) | undefined> {
    const { clock, control } = this.#deps
    const isSample = this.roster.guards.wantsSample(clock.nowMs())
    const seen = await control.look(isSample || this.#drains())
    const sighting = new Sighting(seen, this.#layout, this.roster)
    for (const entry of this.roster.observe(one => sighting.stateOf(one), clock.nowMs()))
      if (this.#layout.has(entry.server.pool)) this.#deps.onCheck?.(checkNewsOf(entry))
    if (isSample) this.#sample(sighting)
    if (isSample) this.retries = retriesOf(seen)
    if (this.#isBlind) this.#isBlind = !this.#seesRing(seen)
    this.problem = this.#isBlind ? BLIND : this.problem === BLIND ? undefined : this.problem
    if (this.#isBlind) return undefined
    const lookAtMs = this.#decide()
    this.#prober.want(this.#targets())
    await this.#tendOldWorkers()
    const attachments = await this.#surroundings.look(control.loaded, rereads)
    return { seen, loaded: control.loaded, attachments, released: this.#released, lookAtMs }
  }

  /** They are bounded in number; who cannot be asked now is asked at a later look. */
  async #tendOldWorkers(): Promise<void> {
    const { max = OLD_WORKERS_MAX } = this.#layout.config.oldWorkers ?? {}
    try {
      for (const { pid, sessions } of await this.#deps.control.oldWorkers.look(max))
        this.#deps.log.warn({ pid, sessions, max }, 'an old worker is ended: reloads have left more than there may be')
    } catch (failure) {
      if (!(failure instanceof RuntimeSocketError)) throw failure
    }
  }

  /** How those in traffic answer. */
  #sample(sighting: Sighting): void {
    const serving = this.#layout.own(this.roster).filter(entry => entry.serving)
    const figures = serving.map(entry => {
      const { responseMs, requests } = sighting.stateOf(entry) ?? {}
      return { entry, responseMs, requests }
    })
    const isWatched = (pool: string) => this.#layout.config.pools[pool]?.outliers !== false
    this.roster.guards.sample(figures, isWatched, this.#deps.clock.nowMs())
  }

  /** Which guards act, and who began or let go since the pass before. */
  #report(): void {
    const now = this.roster.guards.reports(this.#layout.own(this.roster))
    for (const news of guardNews(this.guards, now)) {
      const { guard, pool, what, isActing } = news
      this.#deps.log.warn({ guard, pool, what }, isActing ? 'a guard acts' : 'a guard lets go')
      this.#deps.onGuard?.(news)
    }
    this.guards = now
  }

  /** With the first join the ring names its members; those that serve already need not prove themselves. */
  #seesRing(seen: Seen): boolean {
    if (this.joinedAtMs === undefined) return false
    for (const entry of this.#layout.own(this.roster)) {
      const live = seen.byEndpoint().get(entry.endpoint)
      if (live !== undefined && isServing(live.state)) this.roster.prove(entry.key)
    }
    return true
  }

  /** The layout is made after the look: whom that takes out has no slot in it any more. */
  async #candidate(
    next: NextLayout,
    asked: readonly string[] = [],
  ): Promise<{ readonly layout: Layout; readonly ground: Ground; readonly step: Step }> {
    const found = await this.#look(true)
    if (found === undefined) throw new RuntimeSocketError(BLIND)
    const layout = next(this.#layout)
    layout.seat(layout.own(this.roster))
    const ground = { ...found, asked }
    return { layout, ground, step: stepFor(layout, this.roster, ground) }
  }

  #decide(): number | undefined {
    const { drainTimeoutMs = DRAIN_TIMEOUT_MS } = this.#layout.config
    const era = { nowMs: this.#deps.clock.nowMs(), joinedAtMs: this.joinedAtMs, drainTimeoutMs }
    const { released, lookAtMs } = this.roster.decide(era)
    this.#decidedCauses = [...this.#causes]
    for (const entry of released.filter(({ server }) => this.#layout.has(server.pool))) {
      const { pool, name } = entry.server
      this.#deps.log.info({ pool, server: name, reason: entry.decision.reason }, 'server taken out')
      this.#layout.release(entry)
    }
    this.#released.push(...released)
    this.#layout.seat(this.#layout.own(this.roster))
    this.#report()
    return lookAtMs
  }

  /** A worker that somebody else has started takes every server for UP: those that were down wait for a good check again. */
  async #heal(seen: Seen): Promise<void> {
    const before = this.#lastSeen
    this.#lastSeen = seen
    if (before === undefined || before.workerPid === seen.workerPid) return
    await this.#send(reminders(before, seen, this.#deps.control.loaded))
  }

  /** Who is behind a step: the ring, or somebody else when nothing that we want has changed. */
  #orderOf(step: Step, seen: Seen): Order & { readonly isDrift: boolean } {
    const actor = 'muster'
    const settled = this.#settled
    const isOurs =
      settled?.text !== step.text ||
      changesBetween(settled.picture, pictureOf(this.#layout, this.roster), []).length > 0
    if (isOurs) return { actor, causes: this.#decidedCauses, isDrift: false }
    if (settled.worker === seen.workerPid || step.plan.kind === 'reload')
      return { actor, causes: [{ what: 'found changed by somebody else' }], isDrift: step.plan.kind !== 'nothing' }
    return { actor, causes: [{ what: 'HAProxy was started or reloaded by somebody else' }], isDrift: false }
  }

  /** Writes, sends, reloads. @returns when to look again at what has to wait */
  async #apply(
    step: Step,
    ground: Ground,
    order: Order & { readonly isDrift: boolean },
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { clock } = this.#deps
    const { drift: policy = 'restore' } = this.#layout.config
    const edited = await this.#deps.control.editedFile()
    const subjects = [...(order.isDrift ? subjectsOf(step.plan) : []), ...(edited === undefined ? [] : [FILE])]
    if (subjects.length > 0) {
      const names = (subject: string) => this.#named(subject)
      const spared = this.#drift.judge(subjects, policy, clock.nowMs(), names)
      if (spared !== undefined) {
        if (!order.isDrift) await this.#applyWhatRuns(step, ground, order) // the file is theirs, the servers are ours
        return spared
      }
      if (edited !== undefined) await this.#setAside(edited)
    }
    if (step.plan.kind !== 'reload') {
      await this.#applyNow(step, ground, order, signal)
      return undefined
    }
    const dueMs = Math.max(this.#reloadableAtMs(), this.#refusedUntilMs(step.config))
    if (clock.nowMs() >= dueMs) return this.#reload(step, order, signal)
    await this.#applyWhatRuns(step, ground, order)
    return dueMs
  }

  async #setAside(edited: string): Promise<void> {
    const reason = await this.#deps.control.setAside(edited)
    if (reason !== undefined)
      this.#deps.log.warn({ reason }, 'what was written by hand into the file could not be kept')
  }

  /** While a reload waits, servers that have a line already need not; the file follows within the second. */
  async #applyWhatRuns(step: Step, ground: Ground, order: Order): Promise<void> {
    const out = step.plan.kind === 'reload' ? step.plan.out : []
    await this.#send(out)
    const now = withoutReload(step, { ...ground, seen: await this.#deps.control.look(false) })
    await this.#send(commandsOf(now))
    const commands = [...out.map(commandLine), ...linesOf(now)]
    if (commands.length > 0) this.#issue(order, { method: 'runtime', reasons: [], commands })
  }

  /** They have their receipt; what has come since the decision is for the next one. */
  #dropCauses(): void {
    this.#causes = this.#causes.filter(cause => !this.#decidedCauses.includes(cause))
    this.#decidedCauses = []
  }

  /** `web/slot1 (web-1)`. */
  #named(subject: string): string {
    const member = this.#layout.memberIn(subject)
    return member === undefined ? subject : `${subject} (${member})`
  }

  /** @throws what keeps it from being done */
  async #applyNow(step: Step, ground: Ground, order: Order, signal: AbortSignal): Promise<Receipt | undefined> {
    const { control, clock } = this.#deps
    const startedAtMs = clock.nowMs()
    const { plan, text } = step
    if (plan.kind === 'reload') return this.#reloadNow(step, order, signal)
    if (plan.kind === 'runtime') await this.#send(plan.out)
    const isNewFile = text !== control.fileText
    const unwritten = await this.#writeFile(text)
    if (plan.kind === 'runtime') await this.#send(plan.in)
    control.assume(step.config)
    this.#surroundings.assume(ground.attachments.wanted)
    this.#settle(text, ground.seen.workerPid)
    this.problem = unwritten ?? this.#unrecorded()
    if (plan.kind === 'runtime')
      return this.#issue(order, { method: 'runtime', reasons: [], commands: linesOf(plan), startedAtMs })
    this.#dropCauses()
    if (!isNewFile || unwritten !== undefined) return undefined
    return this.#issue(order, { method: 'file', reasons: [], commands: [], startedAtMs })
  }

  #settle(text: string, worker: number): void {
    this.#settled = { text, worker, picture: pictureOf(this.#layout, this.roster) }
    this.#left = this.#released
    this.#released = []
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
    await this.#send(plan.out)
    const worker = await control.reload(step.loadText, signal)
    this.reloads++
    this.#refused = undefined
    await this.#surroundings.loaded(step.config)
    log.info({ reasons: plan.reasons, tookMs: Math.round(clock.nowMs() - startedAtMs) }, 'haproxy reloaded')
    await this.#send(plan.after)
    this.problem = await this.#writeFile(step.text)
    control.assume(step.config)
    this.#lastSeen = undefined
    this.#settle(step.text, worker)
    return this.#issue(order, { method: 'reload', reasons: plan.reasons, commands: linesOf(plan), startedAtMs })
  }

  #issue(
    { actor, causes }: Order,
    done: Pick<Receipt, 'method' | 'reasons' | 'commands'> & { readonly startedAtMs?: number },
  ): Receipt {
    const { clock } = this.#deps
    const nowMs = clock.nowMs()
    const picture = pictureOf(this.#layout, this.roster)
    const changes = changesBetween(this.#picture, picture, [...this.#left, ...this.#released])
    const { method, reasons, commands, startedAtMs = nowMs } = done
    const receipt: Receipt = {
      id: `${Math.floor(clock.wallMs()).toString(36)}-${(this.#receipts++).toString(36)}`,
      ...{ actor, causes: changes.length === 0 ? causes : [...new Set([...causes, ...this.#decidedCauses])] },
      ...{ method, reasons, changes },
      commands: firstCommands(commands),
      tookMs: nowMs - startedAtMs,
    }
    this.#picture = picture
    this.#dropCauses()
    this.#left = []
    this.#deps.onReceipt?.(receipt)
    return receipt
  }

  async #rememberServers(): Promise<void> {
    try {
      await this.#deps.control.rememberServers(this.#layout.inFile(this.roster).map(placed))
    } catch (failure) {
      this.problem ??= `the servers cannot be written down for the next agent: ${messageOf(failure)}`
    }
  }

  /**
   * A full disk keeps nobody out of traffic: the file is for HAProxy's next start, and written again at the next look.
   * @returns why it could not be written
   */
  async #writeFile(text: string): Promise<string | undefined> {
    const { control, log } = this.#deps
    try {
      await control.write(text)
      return undefined
    } catch (failure) {
      const problem = `HAProxy's file cannot be written: ${messageOf(failure)}. HAProxy serves what is wanted; started anew it would serve the last file`
      if (problem !== this.problem) log.error({ error: messageOf(failure) }, "HAProxy's file cannot be written")
      return problem
    }
  }

  #unrecorded(): string | undefined {
    const failure = this.#deps.control.recordFailure
    return failure === undefined ? undefined : `what HAProxy has loaded cannot be put on record: ${failure}`
  }

  /** Many changes make one reload. */
  #reloadableAtMs(): number {
    return this.#lastReloadAtMs + (this.#layout.config.reloadSpacingMs ?? RELOAD_SPACING_MS)
  }

  /** Until when a configuration of this structure need not be tried again; servers that come and go make no new one. */
  #refusedUntilMs(config: Structure): number {
    if (this.#refused === undefined || structuralDifferences(this.#refused.config, config).length > 0) return 0
    return this.#refused.untilMs
  }

  async #send(commands: readonly Command[]): Promise<void> {
    await this.#deps.control.send(commands)
    this.runtimeChanges += commands.length
  }

  #drains(): boolean {
    return this.roster.entries().some(entry => entry.liveness === 'left' || entry.decision.stance === 'drain')
  }

  #targets(): Map<string, ProbeTarget> {
    const own = this.#layout.own(this.roster)
    const entering = own.filter(entry => entry.decision.stance === 'entering' && !entry.proven)
    return new Map(entering.map(entry => [entry.key, this.#target(entry)]))
  }

  #target({ server: { ip, port, pool } }: Entry): ProbeTarget {
    return probeTargetOf(this.#layout.config.pools[pool], ip, port)
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

function checkNewsOf({ server, endpoint, up }: Entry): CheckNews {
  const about = { pool: server.pool, server: server.name, address: endpoint }
  return up === true
    ? { ...about, before: 'down', after: 'ready', reason: "HAProxy's checks pass again" }
    : { ...about, before: 'ready', after: 'down', reason: "HAProxy's checks fail" }
}

/** A pool's companion for unsafe methods counts with it. */
function retriesOf({ servers }: Seen): Map<string, number> {
  const sums = new Map<string, number>()
  for (const [key, { retries = 0 }] of servers) {
    const pool = key.slice(0, key.indexOf('/')).replace(/\.unsafe$/, '')
    sums.set(pool, (sums.get(pool) ?? 0) + retries)
  }
  return sums
}

function isServing(state: ServerState): boolean {
  return state.admin === 'ready' && state.up
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : b === undefined ? a : Math.min(a, b)
}
