import type { Change, Member } from '../memberlist/index.ts'
import { News } from './news.ts'
import type { Cost, Report, Sample } from './report.ts'
import type { Ring } from './ring.ts'
import type { SimulatedMember } from './simulated-member.ts'
import type { Traffic } from './traffic.ts'
import { Views } from './views.ts'

/** Watches a ring: who is right about whom, what is learned when, who is buried alive, and what it costs. */
export class Witness {
  readonly news = new News()
  readonly #ring: Ring
  readonly #views = new Views()
  readonly #samples: Sample[] = []
  /** Those that are not well at some time of the run. */
  readonly #troubled = new Set<string>()
  #falsePositives = 0
  #falsePositivesHealthy = 0
  #agreedAtMs: number | undefined
  #lastTraffic: Traffic
  #lastAtMs: number
  #memberMs = 0

  /** @param formed everybody knows everybody already */
  constructor(ring: Ring, formed: boolean) {
    this.#ring = ring
    this.#lastTraffic = ring.traffic()
    this.#lastAtMs = ring.clock.nowMs()
    if (formed) this.#views.form(ring.running.length)
    else for (const { name } of ring.running) this.#views.started(numberOf(name))
    ring.onChange = (observer, change, member) => this.#changed(observer, change, member)
    ring.onEvent = ({ name }, event) => this.news.learned('event', event, name, ring.clock.nowMs())
  }

  troubled(names: Iterable<string>): void {
    for (const name of names) this.#troubled.add(name)
  }

  isTroubled(name: string): boolean {
    return this.#troubled.has(name)
  }

  /** Those who run, and are well all the time. */
  healthy(): string[] {
    return this.#ring.running.map(({ name }) => name).filter(name => !this.#troubled.has(name))
  }

  /** To be called before it is started. */
  starts(name: string): void {
    this.#views.started(numberOf(name))
  }

  /** To be called as soon as it is no longer to be taken for there: it has ended, or says that it leaves. */
  goes(name: string): void {
    this.#views.gone(numberOf(name))
    this.news.gone(name)
  }

  /** To be called at every beat of the run. */
  sample(): Sample {
    const nowMs = this.#ring.clock.nowMs()
    const traffic = this.#ring.traffic()
    const memberMs = this.#ring.running.length * (nowMs - this.#lastAtMs)
    const cost = costOf(traffic, this.#lastTraffic, memberMs)
    const { agreement } = this.#views
    this.#memberMs += memberMs
    this.#lastTraffic = traffic
    this.#lastAtMs = nowMs
    if (agreement === 1) this.#agreedAtMs ??= nowMs
    const sample = { atMs: nowMs, agreement, falsePositives: this.#falsePositives, ...cost }
    this.#samples.push(sample)
    return sample
  }

  report(seed: number): Report {
    const none: Traffic = { packets: 0, packetBytes: 0, streams: 0, streamBytes: 0 }
    return {
      seed,
      samples: this.#samples,
      spreads: this.news.spreads(),
      falsePositives: this.#falsePositives,
      falsePositivesHealthy: this.#falsePositivesHealthy,
      agreedAtMs: this.#agreedAtMs,
      cost: costOf(this.#lastTraffic, none, this.#memberMs),
    }
  }

  #changed(observer: SimulatedMember, change: Change, member: Member): void {
    if (change === 'update') return
    const isThere = change === 'join'
    if (!this.#views.saw(numberOf(observer.name), numberOf(member.name), isThere)) return
    const nowMs = this.#ring.clock.nowMs()
    const kinds = isThere ? (['join'] as const) : (['leave', 'crash', 'slow'] as const)
    for (const kind of kinds) this.news.learned(kind, member.name, observer.name, nowMs)
    if (!isThere && member.state === 'dead') this.#buried(observer.name, member.name)
  }

  #buried(observer: string, subject: string): void {
    const { network } = this.#ring
    if (!this.#views.believes(numberOf(subject), numberOf(subject)) || this.#troubled.has(subject)) return
    if (!network.connected(observer, subject) || !network.connected(subject, observer)) return
    this.#falsePositives++
    if (!this.#troubled.has(observer)) this.#falsePositivesHealthy++
  }
}

function costOf(now: Traffic, before: Traffic, memberMs: number): Cost {
  const per = (key: keyof Traffic) => (memberMs === 0 ? 0 : ((now[key] - before[key]) * 1000) / memberMs)
  return {
    packets: per('packets'),
    packetBytes: per('packetBytes'),
    streams: per('streams'),
    streamBytes: per('streamBytes'),
  }
}

/** `m1` is 0. */
function numberOf(name: string): number {
  return Number(name.slice(1)) - 1
}
