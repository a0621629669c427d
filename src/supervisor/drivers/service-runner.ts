import type { ChildProcess } from 'node:child_process'
import { rmSync } from 'node:fs'
import {
  type Clock,
  identify,
  isAlive,
  type Log,
  lockFile,
  lockHolders,
  messageOf,
  type ProcessIdentity,
  probe,
  type Random,
  readProcess,
  signalGroup,
  signalProcess,
  type Timer,
} from '../../base/index.ts'
import { exitReason, ServiceCore, type ServiceEffect, type ServiceState } from '../service-core.ts'
import { type Serves, type Spec, specHash } from '../spec.ts'
import { DeathWatch } from './death-watch.ts'
import { launch, type ServicePaths } from './launch.ts'
import { LogTail } from './log-tail.ts'
import { RecordFile } from './record.ts'

/** Told with every change, and kept for `status` and `why`. */
export interface ServiceStatus {
  readonly name: string
  readonly state: ServiceState
  readonly pid: number | undefined
  /** Wall clock, milliseconds since 1970, of the last change of state. */
  readonly since: number
  /** Why it is in this state, as far as anything is to be said: `killed by SIGKILL`, `exit status 3`. */
  readonly reason: string | undefined
  /** Starts by the restart policy. */
  readonly restarts: number
  /** This run was started by an earlier agent. */
  readonly adopted: boolean
  /** Adopted, and started from another command, environment, directory, user or port than now specified: a restart applies it. */
  readonly stale: boolean
  /** It is in the configuration no more. */
  readonly orphan: boolean
  /** The endpoint of the process that runs; where none runs, of the one to come. */
  readonly serves: Serves | undefined
  /** The last 20 lines of output. */
  readonly lastLines: readonly string[]
}

export interface StopOptions {
  /** Takes it out of traffic. Its signal is aborted when the process dies first, time is up, or someone is in a hurry. */
  readonly drain?: (signal: AbortSignal) => Promise<void>
  /** What a drain may take; 60 000 by default. */
  readonly drainTimeoutMs?: number
  /** Instead of the spec's `stopTimeoutMs`, from the stop signal to SIGKILL; 0 kills at once. */
  readonly timeoutMs?: number
  /** A stop that is under way already is waited for, and not hurried. Default false. */
  readonly joins?: boolean
}

/** What a runner needs from its supervisor. */
export interface RunnerDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  changed(status: ServiceStatus): void
  output(name: string, line: string): void
  /** It is in the configuration no more: adopted to be ended. */
  readonly orphan: boolean
}

/** What runs already, and what is on record about it. */
interface Found {
  readonly identity: ProcessIdentity
  /** `unknown` when only its lock tells of it. */
  readonly hash: string
  readonly wasReady: boolean
  readonly serves?: Serves | null
}

const LAST_LINES_MAX = 20
const DRAIN_TIMEOUT_MS = 60_000
const UNKNOWN = 'unknown'

/** Drives one service's core with a real process. */
export class ServiceRunner {
  readonly #spec: Spec
  readonly #paths: ServicePaths
  readonly #deps: RunnerDeps
  readonly #core: ServiceCore
  readonly #record: RecordFile
  readonly #tail: LogTail
  readonly #lastLines: string[] = []
  readonly #waiters = new Set<{ readonly isOver: (state: ServiceState) => boolean; readonly resolve: () => void }>()
  #identity: ProcessIdentity | undefined
  #recordedHash = ''
  #stale = false
  #serves: Serves | undefined
  #child: ChildProcess | undefined
  #watch: DeathWatch | undefined
  #probing = new AbortController()
  #draining: AbortController | undefined
  #stopOptions: StopOptions = {}
  #launching: Promise<void> = Promise.resolve()
  #effects: ServiceEffect[] = []
  #isApplying = false
  #isReleased = false
  #adopted = false
  #wasReady = false
  #since: number
  #told = ''
  #toldState: ServiceState = 'stopped'
  #timer: Timer | undefined

  constructor(spec: Spec, paths: ServicePaths, deps: RunnerDeps) {
    this.#spec = spec
    this.#paths = paths
    this.#deps = deps
    this.#core = new ServiceCore(spec, deps.random)
    this.#record = new RecordFile(paths.record, deps.log)
    this.#since = deps.clock.wallMs()
    this.#serves = spec.serves
    const tailed = { path: paths.log, maxBytes: spec.logMaxBytes, clock: deps.clock, log: deps.log }
    this.#tail = new LogTail(tailed, line => this.#took(line))
  }

  get status(): ServiceStatus {
    const { state, pid, reason, restarts } = this.#core
    const lastLines = [...this.#lastLines]
    return {
      name: this.#spec.name,
      state,
      pid,
      since: this.#since,
      reason,
      restarts,
      adopted: this.#adopted,
      stale: this.#adopted && this.#stale,
      orphan: this.#deps.orphan,
      serves: this.#serves,
      lastLines,
    }
  }

  /** Takes over what an earlier agent left running, else starts. Resolves when a process runs or could not be started. */
  async begin(runningPid?: number): Promise<void> {
    if (!(await this.adopt(runningPid))) await this.start()
  }

  /** Takes over what an earlier agent left running. False when there is nothing. */
  async adopt(runningPid?: number): Promise<boolean> {
    const found = (await this.#find()) ?? identified(runningPid)
    if (found === undefined) return false
    this.#deps.log.info({ pid: found.identity.pid }, 'adopted a running service')
    this.#identity = found.identity
    this.#recordedHash = found.hash
    this.#adopted = true
    this.#stale = this.#isOther(found)
    if (this.#stale) this.#serves = found.serves === undefined ? this.#spec.serves : (found.serves ?? undefined)
    this.#wasReady = found.wasReady
    this.#watch = new DeathWatch(found.identity, this.#paths.fifo, this.#deps.clock, () =>
      this.#gone('gone, exit status unknown'),
    )
    const isOther = this.#stale && found.serves !== undefined
    this.#apply(this.#core.adopted(found.identity.pid, this.#nowMs(), { wasReady: found.wasReady, isOther }))
    if (!this.#spec.adopt) this.#apply(this.#core.restart(this.#nowMs(), { drain: false, why: 'not to be adopted' }))
    await this.#record.saved()
    return true
  }

  /** To be started later, by `start`. */
  hold(reason: string): void {
    this.#apply(this.#core.hold(reason))
  }

  /** Lines of output are handed on from now on. */
  listen(): void {
    this.#tail.begin()
  }

  async start(): Promise<void> {
    this.#apply(this.#core.start())
    await this.#launching
  }

  /** Resolves when it has ended, or somebody has started it again. */
  async stop(options: StopOptions = {}): Promise<void> {
    this.#stopOptions = options
    const drain = options.drain !== undefined
    const timeout = options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }
    this.#apply(this.#core.stop(this.#nowMs(), { drain, joins: options.joins === true, ...timeout }))
    await this.#until(state => state !== 'stopping')
  }

  /** Resolves when the new process is ready, or has failed. */
  async restart(options: StopOptions = {}): Promise<void> {
    this.#stopOptions = options
    this.#apply(this.#core.restart(this.#nowMs(), { drain: options.drain !== undefined }))
    await this.#until(state => state !== 'stopping' && state !== 'starting')
  }

  /** False when it does not run. */
  signal(signal: NodeJS.Signals): boolean {
    return this.#identity !== undefined && signalProcess(this.#identity, signal)
  }

  /** Lets go and leaves the process to the next agent. */
  async detach(): Promise<void> {
    await this.#launching // a process half started is not on record yet
    await this.#release()
    this.#tail.close({ remove: false })
  }

  /** After `stop`: takes away every file that was made for it. */
  async remove(): Promise<void> {
    await this.#launching
    await this.#release()
    this.#tail.close({ remove: true })
    for (const path of [this.#paths.record, this.#paths.fifo, this.#paths.lock]) rmSync(path, { force: true })
  }

  async #release(): Promise<void> {
    this.#isReleased = true
    this.#timer?.cancel()
    this.#watch?.close()
    this.#probing.abort()
    this.#draining?.abort()
    this.#child?.removeAllListeners('exit').unref()
    await this.#record.saved()
    for (const waiter of this.#waiters) waiter.resolve()
  }

  /** The running process of the record, or the one that holds the lock though its agent died before it was recorded. */
  async #find(): Promise<Found | undefined> {
    const record = this.#record.read()
    if (record !== undefined && isAlive(record)) {
      const { pid, startTime, bootId } = record
      const serves = record.serves === undefined ? {} : { serves: record.serves }
      return { identity: { pid, startTime, bootId }, hash: record.specHash, wasReady: record.ready, ...serves }
    }
    if (record !== undefined) this.#deps.log.info({ pid: record.pid }, 'a service ended while no agent was there')
    const lock = await lockFile(this.#paths.lock)
    lock?.release()
    if (lock !== undefined) return undefined
    const leader = lockHolders(this.#paths.lock).find(pid => readProcess(pid)?.session === pid)
    const identity = leader === undefined ? undefined : identify(leader)
    if (identity !== undefined) return { identity, hash: UNKNOWN, wasReady: false }
    if (record !== undefined) signalGroup(record, 'SIGKILL') // children of a dead service hold its lock, and its port
    return undefined
  }

  /** Whether what runs is another process than the specification asks for, as far as is known. */
  #isOther(found: Found): boolean {
    if (found.hash === UNKNOWN) return false
    const isMoved = found.serves !== undefined && found.serves?.port !== this.#spec.serves?.port
    return isMoved || found.hash !== specHash(this.#spec)
  }

  #apply(effects: readonly ServiceEffect[]): void {
    this.#effects.push(...effects)
    if (this.#isApplying || this.#isReleased) return // a listener called back: what it caused follows in its turn
    this.#isApplying = true
    for (let next = this.#effects.shift(); next !== undefined; next = this.#effects.shift()) this.#perform(next)
    this.#isApplying = false
    this.#schedule()
  }

  #perform(effect: ServiceEffect): void {
    if (effect.kind === 'changed') this.#tell()
    else if (effect.kind === 'spawn') this.#launching = this.#launch()
    else if (effect.kind === 'probe') void this.#probe(effect.timeoutMs)
    else if (effect.kind === 'drain') void this.#drain()
    else this.#signal(effect.signal, effect.to)
  }

  #schedule(): void {
    this.#timer?.cancel()
    const dueMs = this.#core.nextTickMs()
    if (dueMs === undefined || this.#isReleased) return
    this.#timer = this.#deps.clock.after(dueMs - this.#nowMs(), () => this.#apply(this.#core.tick(this.#nowMs())))
  }

  async #launch(): Promise<void> {
    this.#adopted = false
    this.#wasReady = false
    this.#serves = this.#spec.serves
    try {
      const { child, identity } = await launch(this.#spec, this.#paths, this.#deps.clock)
      this.#child = child
      this.#identity = identity
      this.#recordedHash = specHash(this.#spec)
      child.once('exit', (status, signal) => this.#gone(exitReason(status, signal)))
      this.#apply(this.#core.spawned(identity.pid, this.#nowMs()))
      await this.#record.saved()
    } catch (failure) {
      this.#apply(this.#core.spawnFailed(messageOf(failure), this.#nowMs()))
    }
  }

  /** The main process is dead. What is left of its group would hold its port and its lock: systemd's KillMode=mixed. */
  #gone(reason: string): void {
    const identity = this.#identity
    if (identity === undefined || this.#isReleased) return
    this.#identity = undefined
    this.#child = undefined
    this.#watch?.close()
    this.#probing.abort()
    this.#draining?.abort()
    this.#draining = undefined
    this.#trySignalGroup(identity)
    this.#tail.finish()
    this.#apply(this.#core.exited(reason, this.#nowMs()))
  }

  #trySignalGroup(identity: ProcessIdentity): void {
    try {
      signalGroup(identity, 'SIGKILL')
    } catch (failure) {
      this.#deps.log.warn({ pid: identity.pid, error: messageOf(failure) }, 'what a service left cannot be killed')
    }
  }

  async #probe(timeoutMs: number): Promise<void> {
    const target = this.#spec.ready
    const identity = this.#identity
    if (target === undefined || identity === undefined) return
    if (this.#probing.signal.aborted) this.#probing = new AbortController()
    const problem = await probe(target, { timeoutMs, clock: this.#deps.clock, signal: this.#probing.signal })
    if (identity === this.#identity) this.#apply(this.#core.probed(problem, this.#nowMs()))
  }

  async #drain(): Promise<void> {
    const { drain, drainTimeoutMs = DRAIN_TIMEOUT_MS } = this.#stopOptions
    const draining = new AbortController()
    this.#draining = draining
    const goOn = () => {
      if (this.#draining !== draining) return
      this.#draining = undefined
      draining.abort()
      this.#apply(this.#core.drained(this.#nowMs()))
    }
    const timer = this.#deps.clock.after(drainTimeoutMs, goOn)
    try {
      await drain?.(draining.signal)
    } catch (failure) {
      this.#deps.log.warn({ error: messageOf(failure) }, 'a drain failed; the service is stopped all the same')
    } finally {
      timer.cancel()
      goOn()
    }
  }

  #signal(signal: NodeJS.Signals, to: 'main' | 'group'): void {
    this.#draining?.abort()
    this.#draining = undefined
    const identity = this.#identity
    if (identity === undefined) return
    if (to === 'group') this.#deps.log.warn({ pid: identity.pid }, 'a service did not end in time and is killed')
    try {
      if (to === 'group') signalGroup(identity, signal)
      else signalProcess(identity, signal)
    } catch (failure) {
      this.#deps.log.warn({ signal, error: messageOf(failure) }, 'a service cannot be signalled')
    }
  }

  #took(line: string): void {
    this.#lastLines.push(line)
    if (this.#lastLines.length > LAST_LINES_MAX) this.#lastLines.shift()
    this.#deps.output(this.#spec.name, line)
  }

  #tell(): void {
    const { state, pid, reason } = this.#core
    const told = JSON.stringify([state, pid, reason])
    if (told === this.#told) return
    this.#told = told
    if (state !== this.#toldState) this.#entered(state)
    if (state === 'ready') this.#wasReady = true
    const { stopSignal, stopTimeoutMs } = this.#spec
    const serves = this.#serves ?? null
    const how = { specHash: this.#recordedHash, ready: this.#wasReady, stopSignal, stopTimeoutMs, serves }
    this.#record.save(this.#identity && { version: 1, ...this.#identity, ...how })
    this.#deps.changed(this.status)
    for (const waiter of this.#waiters) if (waiter.isOver(state)) waiter.resolve()
  }

  /** What an operator reads of a service's life: each end that nobody asked for, what comes next, and the end of the trouble. */
  #entered(state: ServiceState): void {
    const { reason, restarts, failures } = this.#core
    this.#since = this.#deps.clock.wallMs()
    this.#toldState = state
    if (this.#deps.orphan) return
    if (state === 'backoff') {
      const againInMs = Math.max(0, (this.#core.nextTickMs() ?? this.#nowMs()) - this.#nowMs())
      this.#deps.log.warn(
        { reason, failures, againInMs: Math.round(againInMs) },
        'a service failed; it is started again',
      )
    }
    if (state === 'quarantined') {
      const advice =
        'a service failed too often and is left alone; mend it, then start the agent anew (muster handover)'
      this.#deps.log.error({ reason, failures }, advice)
    }
    if (state === 'ready' && restarts > 0)
      this.#deps.log.info({ pid: this.#core.pid, restarts }, 'a service is ready again')
  }

  #until(isOver: (state: ServiceState) => boolean): Promise<void> {
    if (isOver(this.#core.state) || this.#isReleased) return Promise.resolve()
    return new Promise(resolve => {
      const waiter = { isOver, resolve: () => (this.#waiters.delete(waiter), resolve()) }
      this.#waiters.add(waiter)
    })
  }

  #nowMs(): number {
    return this.#deps.clock.nowMs()
  }
}

/** Somebody else's word that this is the service's main process. */
function identified(pid: number | undefined): Found | undefined {
  const identity = pid === undefined ? undefined : identify(pid)
  return identity === undefined ? undefined : { identity, hash: UNKNOWN, wasReady: true }
}
