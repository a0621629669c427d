import type { Clock, Timer } from './clock.ts'

/** What is done about a call that comes late. */
export interface Lateness {
  /** Later than that, the machine slept or was busy. */
  readonly lateMs: number
  /** So long the call is put off then, so that what lies in sockets is read before deadlines are looked at. */
  readonly restMs: number
}

/** The one timer of a core that is a state machine: it calls `tick` when that next has work. */
export class WakeUp {
  readonly #clock: Clock
  readonly #tick: () => void
  readonly #lateness: Lateness | undefined
  #waiting: { readonly dueMs: number; readonly timer: Timer } | undefined
  #isOver = false

  /** @param lateness undefined: a late call is made at once */
  constructor(clock: Clock, tick: () => void, lateness?: Lateness) {
    this.#clock = clock
    this.#tick = tick
    this.#lateness = lateness
  }

  /** Instead of what was set before. @param dueMs undefined: nothing new; what is set stays */
  set(dueMs: number | undefined): void {
    if (dueMs === undefined || this.#isOver || this.#waiting?.dueMs === dueMs) return
    if (this.#waiting?.dueMs === RESTING) return
    this.#waiting?.timer.cancel()
    this.#wait(dueMs, Math.ceil(dueMs - this.#clock.nowMs()), () => this.#due(dueMs))
  }

  /** No call comes any more, whatever is set. Safe twice. */
  end(): void {
    this.#isOver = true
    this.#waiting?.timer.cancel()
  }

  #due(dueMs: number): void {
    const lateMs = this.#clock.nowMs() - dueMs
    if (this.#lateness === undefined || lateMs < this.#lateness.lateMs) return this.#call()
    this.#wait(RESTING, this.#lateness.restMs, () => this.#call())
  }

  #call(): void {
    this.#waiting = undefined
    this.#tick()
  }

  #wait(dueMs: number, delayMs: number, call: () => void): void {
    this.#waiting = { dueMs, timer: this.#clock.after(delayMs, call) }
  }
}

/** As a due time: it is late already, and nothing is set before it has been called. */
const RESTING = Number.NEGATIVE_INFINITY
