import type { Clock, Timer } from '../base/index.ts'
import { type Alarm, Alarms } from '../memberlist/index.ts'

/** A clock that moves only when told to, from one set call to the next: hours pass in seconds, always in the same order. */
export class VirtualClock implements Clock {
  readonly #alarms = new Alarms()
  readonly #wallOriginMs: number
  #nowMs = 0

  /** @param wallOriginMs what the wall clock shows at the start; default 2026-01-01 */
  constructor(wallOriginMs = Date.UTC(2026, 0, 1)) {
    this.#wallOriginMs = wallOriginMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return this.#wallOriginMs + this.#nowMs
  }

  after(delayMs: number, fn: () => void): Timer {
    return this.at(this.#nowMs + Math.max(0, delayMs), fn)
  }

  /** As `after`, for a time and not a duration: never a rounding error early, which would have a core wake for nothing. */
  at(timeMs: number, fn: () => void): Timer {
    return new VirtualTimer(this.#alarms.set(timeMs, fn))
  }

  /** Makes the next set call, at its time, if it is due within `limitMs` (a time, not a duration). */
  step(limitMs: number): boolean {
    const dueMs = this.#alarms.nextMs()
    if (dueMs === undefined || dueMs > limitMs) return false
    this.#nowMs = Math.max(this.#nowMs, dueMs)
    this.#alarms.runDue(this.#nowMs)
    return true
  }

  /** Makes every call due in the next `forMs`, and ends exactly then. */
  advance(forMs: number): void {
    const untilMs = this.#nowMs + forMs
    while (this.step(untilMs));
    this.#nowMs = untilMs
  }
}

/** A class: a hundred thousand of them are made each second, and closures that are properties cost a microsecond under tsx. */
class VirtualTimer implements Timer {
  readonly #alarm: Alarm

  constructor(alarm: Alarm) {
    this.#alarm = alarm
  }

  cancel(): void {
    this.#alarm.run = undefined
  }
}
