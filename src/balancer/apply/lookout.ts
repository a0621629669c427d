import { isIP } from 'node:net'
import type { Clock, Log, ProbeTarget } from '../../base/index.ts'
import { adoptRemembered, adoptServers } from '../pool/adoption.ts'
import type { Books } from './books.ts'
import { probeTargetOf } from '../config.ts'
import type { Structure } from '../file/config-structure.ts'
import type { HaproxyControl } from '../drivers/haproxy-control.ts'
import { OLD_WORKERS_MAX } from '../drivers/old-workers.ts'
import type { Entry } from '../pool/entry.ts'
import { RuntimeSocketError } from '../errors.ts'
import { type GuardNews, guardNews, type GuardReport } from '../pool/guards/report.ts'
import type { Layout } from '../file/layout.ts'
import { type ProbeFunction, Prober } from '../pool/prober.ts'
import type { CheckNews } from './receipt.ts'
import { type MemberStates, Roster } from '../pool/roster.ts'
import type { ServerState } from '../state/runtime-state.ts'
import type { Seen } from '../state/seen.ts'
import type { Server } from '../server.ts'
import { Sighting } from '../pool/sighting.ts'
import type { Ground } from './step.ts'
import { Surroundings } from './surroundings.ts'

export interface LookoutDeps {
  readonly clock: Clock
  readonly log: Log
  readonly control: HaproxyControl
  readonly probe: ProbeFunction
  /** Asks for another pass, now. */
  readonly wake: () => void
  readonly onGuard?: (news: GuardNews) => void
  readonly onCheck?: (news: CheckNews) => void
}

/** What was seen, and decided about it. */
export interface Outcome extends Ground {
  /** When to look again although nothing happened, ms of the clock. */
  readonly lookAtMs: number | undefined
  /** Since the look before nothing was heard, nothing has changed in HAProxy, and nothing was due. */
  readonly isQuiet: boolean
}

const DRAIN_TIMEOUT_MS = 30_000
/** Leaves that no file has followed yet, while a configuration is refused for long. */
const RELEASED_MAX = 4_096

/** Looks at HAProxy and at what the ring has said, and decides about every server. It changes nothing. */
export class Lookout {
  readonly roster: Roster
  readonly surroundings: Surroundings
  readonly #deps: LookoutDeps
  readonly #books: Books
  readonly #prober: Prober
  /** Taken out, and perhaps still in HAProxy; by key. */
  readonly #released = new Map<string, Entry>()
  #layout: Layout
  #isBlind = false
  /** As of the last decisions; undefined: since then something was heard, or they are due again. */
  #decidedAbout: Pick<Seen, 'workerPid' | 'states'> | undefined
  /** Those that act at this moment. */
  guards: readonly GuardReport[] = []
  /** Of each pool since HAProxy's last start or reload, as of the last sample. */
  retries: ReadonlyMap<string, number> = new Map()
  joinedAtMs: number | undefined

  constructor(layout: Layout, books: Books, deps: LookoutDeps) {
    this.#layout = layout
    this.#books = books
    this.#deps = deps
    this.surroundings = new Surroundings(deps.control, deps.clock)
    this.roster = new Roster(!layout.usesSlots)
    this.#prober = new Prober(deps.clock, deps.probe, key => {
      this.roster.prove(key)
      this.#decidedAbout = undefined
      deps.wake()
    })
  }

  /** What is in force from now on. */
  use(layout: Layout): void {
    this.#layout = layout
    this.roster.gatesPlain = !layout.usesSlots
    this.#decidedAbout = undefined
  }

  /** Takes over how servers were found: those that are drained have to prove themselves, whatever the notes say. */
  observe(seen: Seen): void {
    const sighting = new Sighting(seen, this.#layout, this.roster)
    this.#observe(sighting)
    for (const entry of this.roster.entries()) if (sighting.stateOf(entry)?.admin === 'drain') entry.proven = false
  }

  /** Nothing tells which servers are ours: nothing may be touched. */
  get isBlind(): boolean {
    return this.#isBlind
  }

  /** Taken out, and perhaps still in HAProxy. */
  get released(): readonly Entry[] {
    return [...this.#released.values()]
  }

  update(servers: readonly Server[], members: MemberStates | undefined): void {
    this.#decidedAbout = undefined
    this.roster.update(servers, members, this.#deps.clock.nowMs())
    this.#prober.want(this.#targets()) // before the pass, which takes its time
  }

  probeReasonOf(entry: Entry): string | undefined {
    return this.#prober.reasonOf(entry.key)
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

  /** @param rereads files beside the configuration are read again; @returns undefined while nothing may be touched; @throws RuntimeSocketError */
  async look(rereads = false): Promise<Outcome | undefined> {
    const { clock, control } = this.#deps
    const isSample = this.roster.guards.wantsSample(clock.nowMs())
    const seen = await control.look(isSample || this.#counts())
    const isQuiet = !isSample && !rereads && this.#isDecidedAbout(seen)
    const lookAtMs = isQuiet ? undefined : this.#judge(seen, isSample)
    if (this.#isBlind) return undefined
    await this.#tendOldWorkers()
    const attachments = await this.surroundings.look(control.loaded, rereads)
    const { loaded, takesPayload } = control
    return { seen, loaded, takesPayload, attachments, released: this.released, lookAtMs, isQuiet }
  }

  /** Decides with what was seen. @returns when to look again although nothing happened, ms of the clock */
  #judge(seen: Seen, isSample: boolean): number | undefined {
    const sighting = new Sighting(seen, this.#layout, this.roster)
    this.#observe(sighting)
    if (isSample) this.#sample(sighting)
    if (isSample) this.retries = retriesOf(seen)
    if (this.#isBlind) this.#isBlind = !this.#seesRing(sighting)
    if (this.#isBlind) return undefined
    const lookAtMs = this.decide()
    this.#prober.want(this.#targets())
    this.#decidedAbout = lookAtMs === undefined ? seen : undefined
    return lookAtMs
  }

  #observe(sighting: Sighting): void {
    for (const entry of this.roster.observe(one => sighting.stateOf(one), this.#deps.clock.nowMs()))
      if (this.#layout.has(entry.server.pool)) this.#deps.onCheck?.(checkNewsOf(entry))
  }

  #isDecidedAbout({ workerPid, states }: Seen): boolean {
    const known = this.#decidedAbout
    return this.#released.size === 0 && known?.workerPid === workerPid && known.states === states
  }

  /** @returns when to look again although nothing happened, ms of the clock */
  decide(): number | undefined {
    const { drainTimeoutMs = DRAIN_TIMEOUT_MS } = this.#layout.config
    const era = { nowMs: this.#deps.clock.nowMs(), joinedAtMs: this.joinedAtMs, drainTimeoutMs }
    const { released, lookAtMs } = this.roster.decide(era)
    this.#books.decided()
    for (const entry of released.filter(({ server }) => this.#layout.has(server.pool))) {
      const { pool, name } = entry.server
      this.#deps.log.info({ pool, server: name, reason: entry.decision.reason }, 'server taken out')
      this.#layout.release(entry)
    }
    for (const entry of released) this.#released.set(entry.key, entry)
    for (const key of this.#released.keys()) if (this.#released.size > RELEASED_MAX) this.#released.delete(key)
    this.#layout.seat(this.#layout.own(this.roster))
    this.#report()
    return lookAtMs
  }

  /** They are out of HAProxy, too. */
  forgetReleased(): void {
    this.#released.clear()
  }

  stop(): void {
    this.#prober.stop()
  }

  #adopter() {
    return { roster: this.roster, layout: this.#layout, nowMs: this.#deps.clock.nowMs() }
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
  #seesRing(sighting: Sighting): boolean {
    if (this.joinedAtMs === undefined) return false
    for (const entry of this.#layout.own(this.roster)) {
      const live = sighting.stateOf(entry)
      if (live !== undefined && isServing(live)) this.roster.prove(entry.key)
    }
    return true
  }

  /** Some go when nothing is left on them. */
  #counts(): boolean {
    return this.roster.entries().some(entry => entry.liveness === 'left' || entry.drainingSinceMs !== undefined)
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
