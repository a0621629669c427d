import { type Clock, type Listeners, type Log, messageOf, type Random, sleep, type Timer } from '../base/index.ts'
import { assertSound, type BalancerConfig } from './config.ts'
import type { DriftReport } from './apply/drift.ts'
import { type Door, doorPools } from './drivers/door.ts'
import type { OldWorker } from './drivers/old-workers.ts'
import type { HaproxyControl } from './drivers/haproxy-control.ts'
import { RuntimeSocketError } from './errors.ts'
import { missingRetries, type MissingRetry } from './file/retries.ts'
import type { GuardNews, GuardReport } from './pool/guards/report.ts'
import { isNotRunning, Outage } from './apply/outage.ts'
import type { Order, Outlook } from './apply/outlook.ts'
import type { Passes } from './apply/pass.ts'
import type { Cause, CheckNews, Receipt } from './apply/receipt.ts'
import { type Entry, entryKey } from './pool/entry.ts'
import type { MemberStates } from './pool/roster.ts'
import { endpointOf, type Liveness, refusalOf, type Server } from './server.ts'
import type { Supervise } from './supervise.ts'
import type { Render } from './file/template.ts'

export interface ServerStatus {
  readonly name: string
  readonly ip: string
  readonly port: number
  readonly weight: number
  readonly slot: string | undefined
  /** `ready` takes traffic; `down`: it would, but HAProxy's checks fail. */
  readonly state: 'ready' | 'down' | 'entering' | 'drain' | 'maint'
  /** Why, in words. */
  readonly reason: string
  readonly liveness: Liveness | 'unexplained'
}

export interface BalancerStatus {
  readonly haproxy: {
    readonly version: string
    readonly workerPid: number | undefined
    readonly state: string
    readonly adopted: boolean
    /** From before reloads, with what they still serve. */
    readonly oldWorkers: readonly OldWorker[]
  }
  readonly pools: readonly {
    readonly name: string
    readonly servers: readonly ServerStatus[]
    /** Requests that were sent again since HAProxy's last start or reload, as of some seconds ago. */
    readonly retries: number
    /** Requests that wait at the door for a server. */
    readonly waiting: number
  }[]
  readonly reloads: number
  readonly runtimeCommands: number
  /** Endpoints refused since the start, because something in them could break a configuration line. */
  readonly refused: number
  /** What keeps the newest configuration from being in force; undefined when it is. */
  readonly problem: string | undefined
  /** Settings that the configuration lacks, without which a crash loses requests. */
  readonly missingRetries: readonly MissingRetry[]
  /** Guards that act at this moment. */
  readonly guards: readonly GuardReport[]
  /** What somebody else changed, and what became of it; the newest last. */
  readonly drifts: readonly DriftReport[]
}

export interface WantedOptions {
  /** First successful join of the cluster, ms of the clock; until then nothing unexplained is drained. */
  readonly joinedAtMs?: number
  /**
   * Every member that is known, by name: explains endpoints that are no longer named (alive: withdrawn; left, failed,
   * reaped: just that). An endpoint that nobody explains stays under HAProxy's checks.
   */
  readonly members?: MemberStates
  /** Why the list may have changed, for the receipt. */
  readonly causes?: readonly Cause[]
}

export interface BalancerParts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly control: HaproxyControl
  readonly passes: Passes
  readonly supervise: Supervise
  /** The balancer's own from here. */
  readonly door: Door
  /** The template of a configuration, read and compiled anew. */
  readonly renderOf: (config: BalancerConfig) => Promise<Render>
  readonly receipts: Listeners<Receipt>
  readonly guardNews: Listeners<GuardNews>
  readonly checkNews: Listeners<CheckNews>
  /** What kept the configuration from being started with; until another one is applied. */
  readonly problem?: string | undefined
  readonly version: string
  readonly adopted: boolean
}

/** The safety look: finds what changed behind our back, and how HAProxy's checks go. */
const LOOK_MS = 1_000
const RETRY_MS_MIN = 20
const RETRY_MS_MAX = 500
/** An HAProxy that was killed is back after fewer: 0.6 s. */
const FAILURES_OF_A_START = 5
const STARTING = 'HAProxy does not run; it is being started: ask again in a moment'
const SERVERS_MAX = 20_000
const WARNED_MAX = 1_000

/** Many wakes make one pass; passes never overlap; a pass that fails is repeated with backoff. */
export class Balancer implements AsyncDisposable {
  readonly #parts: BalancerParts
  readonly #abort = new AbortController()
  readonly #warned = new Set<string>()
  readonly #stopListening: (() => void) | undefined
  /** Passes and changes of the configuration, one after the other. */
  #turn: Promise<unknown> = Promise.resolve()
  #running: Promise<void> | undefined
  #again = false
  #timer: Timer | undefined
  #failures = 0
  readonly #outage: Outage
  /** Of the last pass. */
  #failure: unknown
  #refused = 0
  #startProblem: string | undefined
  #settled: (() => void)[] = []

  constructor(parts: BalancerParts) {
    this.#parts = parts
    this.#outage = new Outage(parts.control, parts.clock, parts.log)
    this.#startProblem = parts.problem
    this.#stopListening = parts.supervise.onChange?.(() => this.wake())
  }

  /** The whole list, every time; applied soon. Unsound endpoints are refused, and change nothing but a counter. */
  wanted(servers: readonly Server[], options: WantedOptions = {}): void {
    const { passes } = this.#parts
    if (options.joinedAtMs !== undefined) passes.lookout.joinedAtMs ??= options.joinedAtMs
    passes.update(this.#sound(servers), options.members, options.causes)
    this.wake()
  }

  /** Every change that is made to HAProxy from now on. @returns how to stop listening */
  onReceipt(listener: (receipt: Receipt) => void): () => void {
    return this.#parts.receipts.add(listener)
  }

  /** Every server that HAProxy's own checks take out of traffic, or let in again. @returns how to stop listening */
  onCheck(listener: (news: CheckNews) => void): () => void {
    return this.#parts.checkNews.add(listener)
  }

  /** Every guard that begins to act, or lets go. @returns how to stop listening */
  onGuard(listener: (news: GuardNews) => void): () => void {
    return this.#parts.guardNews.add(listener)
  }

  /**
   * What this configuration would change, its template and the files that it names read anew, how each change would be made, and
   * whether HAProxy would refuse it; nothing is touched.
   * @param config default: the one in force
   * @throws BalancerConfigError, TemplateError, RuntimeSocketError
   */
  async plan(config?: BalancerConfig): Promise<Outlook> {
    const [next, render] = await this.#rendered(config)
    const { passes } = this.#parts
    return this.#inTurn(() =>
      passes
        .outlook(before => before.next(next, render))
        .catch(failure => {
          this.#assertDown(failure)
          return passes.outlookOffline(before => before.next(next, render))
        }),
    )
  }

  /**
   * Puts a configuration in force, its template and the files that it names read anew. Where it is refused, nothing changes.
   * @param config default: the one in force; where HAProxy is found and its sockets are (`configPath`, `runDir`) takes a restart
   * @returns undefined when nothing had to be done
   * @throws BalancerConfigError, TemplateError, ConfigRefusedError, BindError, ReloadFailedError, PlanStaleError, RuntimeSocketError
   */
  async apply(config: BalancerConfig | undefined, order: Order): Promise<Receipt | undefined> {
    const [next, render] = await this.#rendered(config)
    const { clock, passes } = this.#parts
    await sleep(clock, passes.reloadWaitMs(), this.#abort.signal) // not in its turn: servers come and go meanwhile
    const receipt = await this.#inTurn(() => this.#change(next, render, order))
    this.#startProblem = undefined
    this.wake()
    return receipt
  }

  /** Doors of new pools are there before HAProxy knows of them, those of old ones until it does not any more. */
  async #change(next: BalancerConfig, render: Render, order: Order): Promise<Receipt | undefined> {
    const { door, passes } = this.#parts
    const [before, after] = [doorPools(passes.layout.config), doorPools(next)]
    await door.follow([...before.filter(old => !after.some(({ path }) => path === old.path)), ...after])
    try {
      return await passes.change(layout => layout.next(next, render), order, this.#abort.signal)
    } catch (failure) {
      this.#assertDown(failure)
      return await passes.changeOffline(layout => layout.next(next, render), order)
    } finally {
      await door.follow(doorPools(passes.layout.config))
    }
  }

  /** HAProxy has not run for so long that it does not come up with the file that is there. @throws the failure where that is not so */
  #assertDown(failure: unknown): void {
    if (!isNotRunning(failure)) throw failure
    if (this.#failures < FAILURES_OF_A_START) throw new RuntimeSocketError(STARTING, { cause: failure })
  }

  /** Checked, and its template compiled. */
  async #rendered(config: BalancerConfig | undefined): Promise<[BalancerConfig, Render]> {
    const { passes, renderOf } = this.#parts
    const now = passes.layout.config
    const { configPath, runDir } = now
    const next = config === undefined ? now : { ...config, configPath, runDir }
    assertSound(next)
    return [next, await renderOf(next)]
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined) // whoever asked for it hears of it
    return done
  }

  /** Look again. */
  wake(): void {
    if (this.#abort.signal.aborted) return
    this.#again = true
    this.#running ??= this.#loop().finally(() => {
      this.#running = undefined
      if (this.#again) this.wake()
      else for (const resolve of this.#settled.splice(0)) resolve()
    })
  }

  /** Resolves when every wake so far has had its pass (which may have failed, and then is repeated). */
  settle(): Promise<void> {
    if (this.#running === undefined) return Promise.resolve()
    return new Promise(resolve => this.#settled.push(resolve))
  }

  /**
   * Requests, sessions and queue on one server, as HAProxy counts them at this moment, in old workers too.
   * @returns a function that tells 0 for whoever is not there
   * @throws RuntimeSocketError
   */
  async sessions(): Promise<(pool: string, server: { readonly ip: string; readonly port: number }) => number> {
    const { control, passes } = this.#parts
    const counts = passes.lookout.sessions(await control.look(true), await control.oldSessions())
    return (pool, server) => counts.get(entryKey(pool, endpointOf(server))) ?? 0
  }

  /** A line of HAProxy's, with the member behind each numbered server: `web/slot1 (web-1)`. */
  named(line: string): string {
    return line.replaceAll(/[A-Za-z0-9_-]{1,48}(?:\.unsafe)?\/slot\d{1,5}\b/g, server => {
      const member = this.#parts.passes.layout.memberIn(server)
      return member === undefined ? server : `${server} (${member})`
    })
  }

  status(): BalancerStatus {
    const { control, passes, supervise, version, adopted, door } = this.#parts
    return {
      haproxy: {
        version,
        workerPid: control.workerPid,
        state: this.#failure instanceof RuntimeSocketError ? 'unreachable' : supervise.status().state,
        adopted,
        oldWorkers: control.oldWorkers.list,
      },
      pools: passes.layout.poolNames().map(name => ({
        ...{ name, servers: this.#serverStatuses(name) },
        ...{ retries: passes.lookout.retries.get(name) ?? 0, waiting: door.waitingFor(name) },
      })),
      reloads: passes.reloads,
      runtimeCommands: passes.runtimeChanges,
      refused: this.#refused,
      problem:
        passes.problem ?? this.#startProblem ?? (this.#failure === undefined ? undefined : messageOf(this.#failure)),
      missingRetries: missingRetries(control.loaded),
      drifts: passes.drifts,
      guards: passes.lookout.guards,
    }
  }

  /** Ends the balancer. HAProxy serves on for the next agent, or is stopped. Idempotent. */
  async stop(options: { readonly keepHaproxy: boolean }): Promise<void> {
    this.#abort.abort()
    this.#timer?.cancel()
    this.#stopListening?.()
    this.#parts.passes.stop()
    await this.#running
    await this.#turn
    if (!options.keepHaproxy) {
      await this.#parts.supervise.stop()
      await this.#parts.control.removeSockets()
    }
    await this.#parts.door.stop()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop({ keepHaproxy: true })
  }

  #sound(servers: readonly Server[]): Server[] {
    return servers.slice(0, SERVERS_MAX).filter(server => {
      const refusal = refusalOf(server)
      if (refusal === undefined) return true
      this.#refuse(server.name, refusal)
      return false
    })
  }

  #refuse(name: string, refusal: string): void {
    this.#refused++
    if (this.#warned.has(name) || this.#warned.size >= WARNED_MAX) return
    this.#warned.add(name)
    this.#parts.log.warn({ member: JSON.stringify(name.slice(0, 128)), refusal }, 'endpoint refused')
  }

  async #loop(): Promise<void> {
    this.#timer?.cancel()
    while (this.#again && !this.#abort.signal.aborted) {
      this.#again = false
      await this.#pass()
      if (this.#failures > 0) break // the timer repeats it
    }
  }

  async #pass(): Promise<void> {
    const { clock, passes, log } = this.#parts
    try {
      const { lookAtMs } = await this.#inTurn(() => passes.run(this.#abort.signal))
      this.#failures = 0
      this.#failure = undefined
      this.#outage.over()
      this.#lookIn(Math.min(LOOK_MS, (lookAtMs ?? Number.POSITIVE_INFINITY) - clock.nowMs()))
    } catch (failure) {
      if (this.#abort.signal.aborted) return
      this.#failure = failure
      if (this.#failures === 0) log.warn({ error: messageOf(failure) }, 'balancer pass failed; it is repeated')
      if (failure instanceof RuntimeSocketError) await this.#revive()
      if (isNotRunning(failure)) await this.#tendOutage(failure)
      this.#again = false
      this.#lookIn(Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.#failures++))
    }
  }

  async #revive(): Promise<void> {
    const { control, log } = this.#parts
    try {
      const pid = await control.revive()
      if (pid !== undefined) log.warn({ pid }, "HAProxy's sockets are gone; it is told to make them anew")
    } catch (failure) {
      this.#failure = failure
    }
  }

  /** A file that HAProxy would not start from is written anew. */
  async #tendOutage(cause: unknown): Promise<void> {
    const { passes, supervise } = this.#parts
    const isLong = this.#failures >= FAILURES_OF_A_START
    try {
      const words = await this.#inTurn(() => this.#outage.tend(isLong, () => passes.text()))
      const why = words ?? supervise.status().reason ?? 'it is being started'
      if (words !== undefined || isLong)
        this.#failure = new RuntimeSocketError(`HAProxy does not run, nothing is served: ${why}`, { cause })
    } catch (failure) {
      this.#failure = failure
    }
  }

  #lookIn(delayMs: number): void {
    this.#timer?.cancel()
    if (!this.#abort.signal.aborted) this.#timer = this.#parts.clock.after(Math.max(1, delayMs), () => this.wake())
  }

  #serverStatuses(pool: string): ServerStatus[] {
    const { passes } = this.#parts
    const entries = passes.lookout.roster.entries().filter(entry => entry.server.pool === pool)
    return entries.map(entry => {
      const { name, ip, port, weight } = entry.server
      const { stance, reason } = entry.decision
      const isDown = stance === 'ready' && entry.up !== true
      const probeReason = stance === 'entering' ? passes.lookout.probeReasonOf(entry) : undefined
      const words =
        probeReason !== undefined ? `${reason}: ${probeReason}` : isDown ? `${reason}; ${absence(entry)}` : reason
      return {
        name,
        ip,
        port,
        weight,
        slot: passes.layout.slotOf(entry),
        state: isDown ? 'down' : stance,
        reason: words,
        liveness: entry.liveness,
      }
    })
  }
}

function absence(entry: Entry): string {
  if (entry.up === undefined) return 'HAProxy does not have it yet'
  return entry.admin === 'maint' ? 'it is in maintenance (MAINT) in HAProxy' : "HAProxy's checks fail"
}
