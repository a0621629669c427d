import { shuffle } from '../base/index.ts'
import type { Report, Sample } from './report.ts'
import { Ring } from './ring.ts'
import type { Partition, Scenario, SlowMembers, Who } from './scenario.ts'
import { timingOf } from './scenario.ts'
import { Witness } from './witness.ts'

const MINUTE_MS = 60_000
/** How many moments of a run are kept, at most one a second. */
const SAMPLES = 240
/** How long a member stays after it has said that it leaves, so that the word is passed on. */
const LEAVE_MS = 5000
/** Churn leaves at least so many. */
const MEMBERS_MIN = 3

/**
 * Runs a scenario from a seed, and says what was seen.
 * @param onProgress told now and then which share is through, 0 to 1, and how it stands
 */
export function runScenario(
  scenario: Scenario,
  seed: number,
  onProgress?: (share: number, sample: Sample) => void,
): Report {
  const run = new Run(scenario, seed)
  const { durationMs } = scenario
  const beatMs = Math.max(1000, Math.ceil(durationMs / SAMPLES / 1000) * 1000)
  for (let atMs = 0; atMs < durationMs; atMs += beatMs) {
    run.ring.clock.advance(Math.min(beatMs, durationMs - atMs))
    const sample = run.witness.sample()
    onProgress?.(Math.min(1, (atMs + beatMs) / durationMs), sample)
  }
  return run.witness.report(seed)
}

/** A ring to which a scenario happens. */
class Run {
  readonly ring: Ring
  readonly witness: Witness
  readonly #scenario: Scenario
  readonly #leaving = new Set<string>()
  #number: number

  constructor(scenario: Scenario, seed: number) {
    const { members, core, formed, loss, delayMs, churn, eventsPerMinute } = scenario
    const timing = timingOf(scenario)
    this.#scenario = scenario
    this.#number = members
    this.ring = new Ring({ members, seed, serf: core === 'serf', formed, loss, delayMs, timing })
    this.witness = new Witness(this.ring, formed)
    if (!formed) this.ring.joinAll()
    for (const partition of scenario.partitions) this.#plan(partition)
    for (const slow of scenario.slow) this.#planSlow(slow)
    this.#often(churn.join, () => this.#join())
    this.#often(churn.leave, () => this.#leave())
    this.#often(churn.crash, () => this.#crash())
    this.#often(core === 'serf' ? eventsPerMinute : 0, () => this.#event())
  }

  #plan({ atMs, forMs, members, oneWay }: Partition): void {
    const { clock, network } = this.ring
    clock.after(atMs, () => {
      const names = this.#drawn(typeof members === 'number' ? members * this.ring.running.length : members)
      clock.after(forMs, network.sever(names, oneWay))
    })
  }

  #planSlow({ members, atMs, forMs, pauseMs, untilMs }: SlowMembers): void {
    const { clock } = this.ring
    const names = this.#drawn(members)
    this.witness.troubled(names)
    const begin = () => {
      const now = clock.nowMs()
      const there = names.filter(name => this.ring.has(name))
      if (now >= untilMs) return
      if (pauseMs === undefined) for (const name of there) this.#watch(name)
      for (const name of there) this.ring.member(name).slow(Math.min(forMs, untilMs - now))
      if (pauseMs !== undefined) clock.after(forMs + Math.max(1, pauseMs), begin)
    }
    clock.after(atMs, begin)
  }

  #watch(name: string): void {
    this.witness.news.open('slow', name, this.ring.clock.nowMs(), this.witness.healthy())
  }

  #join(): void {
    const seed = this.#any()
    if (seed === undefined) return
    const name = `m${++this.#number}`
    const others = this.#present()
    this.witness.starts(name)
    this.witness.news.open('join', name, this.ring.clock.nowMs(), others)
    this.ring.start(name).join(this.ring.member(seed).address)
  }

  #leave(): void {
    const name = this.#victim()
    if (name === undefined) return
    this.#leaving.add(name)
    this.#gone(name, 'leave')
    this.ring.leave(name)
    this.ring.clock.after(LEAVE_MS, () => this.ring.stop(name))
  }

  #crash(): void {
    const name = this.#victim()
    if (name === undefined) return
    this.ring.stop(name)
    this.#gone(name, 'crash')
  }

  #gone(name: string, kind: 'leave' | 'crash'): void {
    this.witness.news.close('join', name)
    this.witness.goes(name)
    const others = this.#present().filter(other => other !== name)
    this.witness.news.open(kind, name, this.ring.clock.nowMs(), others)
  }

  #event(): void {
    const from = this.#any()
    if (from === undefined) return
    const { clock } = this.ring
    const atMs = clock.nowMs()
    const others = this.#present()
    // The sender hears it at once, before its name is known here.
    const event = this.ring.userEvent(from)
    this.witness.news.open(
      'event',
      event,
      atMs,
      others.filter(name => name !== from),
    )
  }

  /** Those who run and do not mean to leave. */
  #present(): string[] {
    return this.ring.running.map(({ name }) => name).filter(name => !this.#leaving.has(name))
  }

  /** Somebody who is well and stays. */
  #any(): string | undefined {
    const well = this.#present().filter(name => !this.witness.isTroubled(name))
    return well[this.ring.random.below(Math.max(1, well.length))]
  }

  #victim(): string | undefined {
    return this.#present().length > MEMBERS_MIN ? this.#any() : undefined
  }

  #drawn(who: Who): readonly string[] {
    if (typeof who !== 'number') return who
    return shuffle(this.#present(), this.ring.random).slice(0, Math.max(1, Math.round(who)))
  }

  /** At random times, `perMinute` on average: a Poisson process. */
  #often(perMinute: number, act: () => void): void {
    if (perMinute <= 0) return
    const { clock, random } = this.ring
    const waitMs = (-Math.log(1 - random.float()) * MINUTE_MS) / perMinute
    clock.after(waitMs, () => {
      if (clock.nowMs() >= this.#scenario.durationMs) return
      act()
      this.#often(perMinute, act)
    })
  }
}
