import type { Random } from '../base/index.ts'
import { RestartPolicy } from './restart-policy.ts'
import type { Spec } from './spec.ts'

/** Where a service stands. `ready` is the only one in which it should get traffic. */
export type ServiceState = 'stopped' | 'starting' | 'ready' | 'stopping' | 'backoff' | 'quarantined'

/** What the core asks of its driver. */
export type ServiceEffect =
  | { readonly kind: 'spawn' }
  | { readonly kind: 'probe'; readonly timeoutMs: number }
  | { readonly kind: 'drain' }
  | { readonly kind: 'signal'; readonly signal: NodeJS.Signals; readonly to: 'main' | 'group' }
  | { readonly kind: 'changed' }

/** The second probe follows the first by this; each gap is a quarter longer, up to the longest. */
const PROBE_GAP_MS_MIN = 10
const PROBE_GAP_MS_MAX = 100
const PROBE_TIMEOUT_MS = 2000

const CHANGED: ServiceEffect = { kind: 'changed' }

/**
 * One service's life without I/O: starting → ready → stopping → stopped, with backoff and quarantine for what ends by
 * itself. Stopping is a ladder: drain, stop signal to the main process, wait, SIGKILL to the group.
 */
export class ServiceCore {
  readonly #spec: Spec
  readonly #policy: RestartPolicy
  #state: ServiceState = 'stopped'
  #pid: number | undefined
  #reason: string | undefined
  #restarts = 0
  #startedAtMs = 0
  #mayTimeOut = true
  #isDraining = false
  #stopTimeoutMs: number
  #afterwards: 'stop' | 'start' | 'fail' = 'stop'
  #probeGapMs = PROBE_GAP_MS_MIN
  #probeAtMs: number | undefined
  #readyByMs: number | undefined
  #killAtMs: number | undefined
  #startAtMs: number | undefined

  constructor(spec: Spec, random: Random) {
    this.#spec = spec
    this.#policy = new RestartPolicy(spec.restart, random)
    this.#stopTimeoutMs = spec.stopTimeoutMs
  }

  get state(): ServiceState {
    return this.#state
  }

  get pid(): number | undefined {
    return this.#pid
  }

  /** Why it is where it is: the exit of the last run, the last failed probe, what a person asked for. */
  get reason(): string | undefined {
    return this.#reason
  }

  /** Starts by the policy, after the first. */
  get restarts(): number {
    return this.#restarts
  }

  /** Unstable runs in a row so far. */
  get failures(): number {
    return this.#policy.failures
  }

  /** A person, or the agent's start, wants it up. Nothing when it is; after a stop that is under way, when that is done. */
  start(): ServiceEffect[] {
    if (this.#state === 'stopping') this.#afterwards = 'start'
    if (this.#state === 'stopping' || this.#state === 'starting' || this.#state === 'ready') return []
    this.#policy.forget()
    return this.#spawn()
  }

  /** It is to be started later, by `start`. */
  hold(reason: string): ServiceEffect[] {
    return this.#enter('stopped', reason)
  }

  /**
   * One from before runs already.
   * @param o.wasReady spares a service the ready timeout: it served once, so it is not killed
   * @param o.isOther it was started from another specification, whose readiness is not that of this one: it counts as it was
   */
  adopted(pid: number, nowMs: number, o: { readonly wasReady: boolean; readonly isOther?: boolean }): ServiceEffect[] {
    this.#state = 'starting'
    if (o.wasReady && o.isOther === true) {
      this.#pid = pid
      this.#startedAtMs = nowMs
      return this.#enter('ready', undefined)
    }
    this.#mayTimeOut = !o.wasReady
    return [CHANGED, ...this.spawned(pid, nowMs)]
  }

  spawned(pid: number, nowMs: number): ServiceEffect[] {
    this.#pid = pid
    this.#startedAtMs = nowMs
    if (this.#state === 'stopping') return [CHANGED, ...this.#signal(nowMs)] // stopped while it was being started
    if (this.#spec.ready === undefined) return this.#enter('ready', undefined)
    this.#probeGapMs = PROBE_GAP_MS_MIN
    this.#probeAtMs = undefined
    this.#readyByMs = this.#mayTimeOut ? nowMs + this.#spec.readyTimeoutMs : undefined
    return [CHANGED, { kind: 'probe', timeoutMs: PROBE_TIMEOUT_MS }]
  }

  /** The process could not be brought to life. */
  spawnFailed(reason: string, nowMs: number): ServiceEffect[] {
    this.#startedAtMs = nowMs
    return this.exited(reason, nowMs)
  }

  /** @param problem undefined when the probe was good */
  probed(problem: string | undefined, nowMs: number): ServiceEffect[] {
    if (this.#state !== 'starting' || this.#pid === undefined) return []
    if (problem === undefined) return this.#enter('ready', undefined)
    this.#reason = `not ready yet: ${problem}`
    this.#probeAtMs = nowMs + this.#probeGapMs
    this.#probeGapMs = Math.min(PROBE_GAP_MS_MAX, this.#probeGapMs * 1.25)
    return []
  }

  /** The main process is gone. */
  exited(reason: string, nowMs: number): ServiceEffect[] {
    const was = this.#state
    this.#pid = undefined
    this.#isDraining = false
    if (was === 'stopping' && this.#afterwards === 'stop') return this.#enter('stopped', reason)
    if (was === 'stopping' && this.#afterwards === 'start') return this.#spawn()
    const told = was === 'stopping' ? (this.#reason ?? reason) : reason // what made us stop it says more than its exit
    const decision = this.#policy.ended(nowMs - this.#startedAtMs)
    if (decision.kind === 'quarantine') return this.#enter('quarantined', told)
    const effects = this.#enter('backoff', told)
    this.#startAtMs = nowMs + decision.delayMs
    return effects
  }

  /**
   * The first rung. Asked again while it drains, it drains no longer; a shorter timeout than the running one counts.
   * @param o.drain whether the driver has something to do first and will call `drained`
   * @param o.joins asked again, it hurries nothing: what is under way goes on, to the end
   */
  stop(
    nowMs: number,
    o: { readonly drain: boolean; readonly timeoutMs?: number; readonly why?: string; readonly joins?: boolean },
  ): ServiceEffect[] {
    if (this.#state === 'stopped') return []
    if (this.#state === 'backoff' || this.#state === 'quarantined') return this.#enter('stopped', this.#reason)
    if (this.#state === 'stopping' && o.joins === true) {
      this.#afterwards = 'stop'
      return []
    }
    const restartDrains = this.#isDraining && this.#afterwards === 'start' && o.drain
    this.#afterwards = 'stop'
    this.#stopTimeoutMs = o.timeoutMs ?? this.#spec.stopTimeoutMs
    if (restartDrains) return [] // what drains for a restart goes on to, it just is not started again
    if (this.#state === 'stopping') return this.#hurry(nowMs)
    const effects = this.#enter('stopping', o.why ?? 'asked to stop')
    if (this.#pid === undefined) return effects // being started: `spawned` goes on
    if (!o.drain) return [...effects, ...this.#signal(nowMs)]
    this.#isDraining = true
    return [{ kind: 'drain' }, ...effects] // who is told that it stops finds that it drains
  }

  /** Stop, then start again. A service that does not run is just started. */
  restart(nowMs: number, o: { readonly drain: boolean; readonly why?: string }): ServiceEffect[] {
    if (this.#state !== 'starting' && this.#state !== 'ready') return this.start()
    const effects = this.stop(nowMs, { drain: o.drain, why: o.why ?? 'asked to restart' })
    this.#afterwards = 'start'
    return effects
  }

  /** The second rung, once the drain is over, whichever way. */
  drained(nowMs: number): ServiceEffect[] {
    return this.#isDraining ? this.#signal(nowMs) : []
  }

  /** Everything due by `nowMs`. Calling early, late or twice is safe. */
  tick(nowMs: number): ServiceEffect[] {
    if (isDue(this.#killAtMs, nowMs)) {
      this.#killAtMs = undefined
      return [{ kind: 'signal', signal: 'SIGKILL', to: 'group' }]
    }
    if (isDue(this.#startAtMs, nowMs)) {
      this.#restarts++
      return this.#spawn()
    }
    if (isDue(this.#readyByMs, nowMs)) return this.#notReady(nowMs)
    if (!isDue(this.#probeAtMs, nowMs)) return []
    this.#probeAtMs = undefined
    return [{ kind: 'probe', timeoutMs: PROBE_TIMEOUT_MS }]
  }

  /** When `tick` next has work; undefined while idle. */
  nextTickMs(): number | undefined {
    const due = [this.#killAtMs, this.#startAtMs, this.#readyByMs, this.#probeAtMs].filter(atMs => atMs !== undefined)
    return due.length === 0 ? undefined : Math.min(...due)
  }

  #spawn(): ServiceEffect[] {
    this.#mayTimeOut = true
    return [...this.#enter('starting', this.#reason), { kind: 'spawn' }]
  }

  #notReady(nowMs: number): ServiceEffect[] {
    const last = this.#reason === undefined ? '' : ` (${this.#reason})`
    const why = `not ready within ${this.#spec.readyTimeoutMs} ms${last}`
    const effects = this.stop(nowMs, { drain: false, why })
    this.#afterwards = 'fail'
    return effects
  }

  #hurry(nowMs: number): ServiceEffect[] {
    if (this.#isDraining) return this.#signal(nowMs)
    if (this.#killAtMs !== undefined) this.#killAtMs = Math.min(this.#killAtMs, nowMs + this.#stopTimeoutMs)
    return []
  }

  #signal(nowMs: number): ServiceEffect[] {
    this.#isDraining = false
    this.#killAtMs = nowMs + this.#stopTimeoutMs
    return [{ kind: 'signal', signal: this.#spec.stopSignal, to: 'main' }]
  }

  /** Every state begins with no deadline of another. */
  #enter(state: ServiceState, reason: string | undefined): ServiceEffect[] {
    this.#state = state
    this.#reason = reason
    this.#probeAtMs = undefined
    this.#readyByMs = undefined
    this.#killAtMs = undefined
    this.#startAtMs = undefined
    return [CHANGED]
  }
}

/** In the words of people: `exit status 3`, `killed by SIGKILL`. */
export function exitReason(status: number | null, signal: string | null): string {
  return signal === null ? `exit status ${status ?? 'unknown'}` : `killed by ${signal}`
}

function isDue(atMs: number | undefined, nowMs: number): boolean {
  return atMs !== undefined && atMs <= nowMs
}
