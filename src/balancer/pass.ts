import { type Clock, type Log, messageOf, type ProbeTarget } from '../base/index.ts'
import type { BalancerConfig } from './config.ts'
import {
  parseStructure,
  type ServerLine,
  type Structure,
  serverLines,
  structuralDifferences,
} from './config-structure.ts'
import { templateData } from './data.ts'
import type { HaproxyControl, Seen } from './drivers/haproxy-control.ts'
import { ConfigRefusedError, ReloadFailedError, RuntimeSocketError, UnknownReplyError } from './errors.ts'
import { type Command, plan, type Running, type Wanted } from './plan.ts'
import { type ProbeFunction, Prober } from './prober.ts'
import { type Entry, type MemberStates, placed, Roster } from './roster.ts'
import type { ServerState } from './runtime-state.ts'
import { endpointOf, POOL_NAME, refusalOf, type Server, SERVER_NAME } from './server.ts'
import { SlotMap } from './slots.ts'
import type { Render } from './template.ts'
import { leavers, wantedServers } from './wanted.ts'

export interface PassDeps {
  readonly clock: Clock
  readonly log: Log
  readonly control: HaproxyControl
  readonly render: Render
  readonly probe: ProbeFunction
  /** Asks for another pass, now. */
  readonly wake: () => void
}

/** What one pass found out. */
export interface PassResult {
  readonly lookAtMs: number | undefined
}

const RELOAD_SPACING_MS = 1_000
/** A reload cures an unknown reply once; one that comes back is not cured by reloads. */
const MISTRUST_MS = 60_000
const BLIND =
  'nothing tells which servers of the running HAProxy are ours; it is left as it is until the ring has been joined'
const DRAIN_TIMEOUT_MS = 30_000

/** Everything that a pass remembers from the one before. Passes never overlap. */
export class Passes {
  readonly #config: BalancerConfig
  readonly #deps: PassDeps
  readonly #maxconnFor: (checks: number) => number
  #render: Render
  readonly #usesSlots: boolean
  readonly #slots = new Map<string, SlotMap>()
  readonly #members = new Map<string, string>()
  readonly #prober: Prober
  readonly roster: Roster
  #lastReloadAtMs = Number.NEGATIVE_INFINITY
  #released: Entry[] = []
  #isBlind = false
  #trustAgainAtMs = Number.NEGATIVE_INFINITY
  #refused: { readonly config: Structure; readonly untilMs: number } | undefined
  problem: string | undefined
  reloads = 0
  runtimeChanges = 0
  joinedAtMs: number | undefined

  constructor(config: BalancerConfig, maxconnFor: (checks: number) => number, deps: PassDeps) {
    this.#config = config
    this.#deps = deps
    this.#render = deps.render
    this.#maxconnFor = maxconnFor
    this.#usesSlots = config.template === 'slots'
    this.roster = new Roster(!this.#usesSlots)
    for (const [pool, { slots }] of Object.entries(config.pools)) this.#slots.set(pool, new SlotMap(slots))
    this.#prober = new Prober(deps.clock, deps.probe, key => {
      this.roster.prove(key)
      deps.wake()
    })
  }

  /** From the next pass on. */
  useTemplate(render: Render): void {
    this.#render = render
    this.#refused = undefined
  }

  update(servers: readonly Server[], members: MemberStates | undefined): void {
    this.roster.update(servers, members, this.#deps.clock.nowMs())
    this.#prober.want(this.#targets()) // before the pass, which takes its time
  }

  /** Slot of an entry in the built-in template `slots`. */
  slotOf(entry: Entry): string | undefined {
    const number = this.#slots.get(entry.server.pool)?.slotOf(entry.endpoint)
    return this.#usesSlots && number !== undefined ? `slot${number}` : undefined
  }

  /** The member that is in a slot, or was last: `web/slot1`, and the same of a pool's companion backend. */
  memberIn(server: string): string | undefined {
    return this.#members.get(server.replace('.unsafe/', '/'))
  }

  poolNames(): string[] {
    return Object.keys(this.#config.pools)
  }

  /** Requests and sessions on the servers of one member. */
  sessionsOf(name: string, seen: Seen, old: ReadonlyMap<string, number>): number {
    const own = this.roster.entries().filter(entry => entry.server.name === name)
    return own.reduce((sum, entry) => sum + this.#sessionsOn(entry, seen, old), 0)
  }

  /** Requests and sessions on every server here, by pool and `ip:port`. */
  sessions(seen: Seen, old: ReadonlyMap<string, number>): Map<string, number> {
    return new Map(this.#ownEntries().map(entry => [entry.key, this.#sessionsOn(entry, seen, old)]))
  }

  #sessionsOn(entry: Entry, seen: Seen, old: ReadonlyMap<string, number>): number {
    return (this.#stateOf(entry, seen)?.sessions ?? 0) + (old.get(entry.endpoint) ?? 0)
  }

  probeReasonOf(entry: Entry): string | undefined {
    return this.#prober.reasonOf(entry.key)
  }

  /**
   * Remembers who is in a running HAProxy, or in the last file when none runs. What runs counts even where every file is lost.
   * @param text the file, which names the members
   * @param config what runs; empty when nothing tells
   */
  adopt(text: string, config: Structure, live: Seen['servers'] | undefined): void {
    const names = namesOf(text)
    const lines = serverLines(config)
    for (const key of live?.keys() ?? lines.keys())
      this.#adoptServer(key, lines.get(key), names.get(key), live?.get(key))
  }

  /** The same for a user's template, whose lines do not tell our servers from the user's own. */
  adoptRemembered(found: readonly unknown[]): void {
    for (const item of found) {
      const { pool, name, ip, port, weight } = (item ?? {}) as Partial<Record<string, unknown>>
      const server = { pool, name, host: name, ip, port, weight, state: 'plain', liveness: 'alive' } as Server
      const isText = [pool, name, ip].every(value => typeof value === 'string')
      if (!isText || refusalOf(server) !== undefined || !this.#slots.has(server.pool)) continue
      this.roster.adopt(server, this.#deps.clock.nowMs(), true)
    }
  }

  /** Nothing tells which of these are ours, and some serve: they are left alone until the ring does. */
  waitIfBlind(live: Seen['servers']): void {
    this.#isBlind = this.#ownEntries().length === 0 && [...live.values()].some(isServing)
  }

  /** With the first join the ring names its members; those that serve already need not prove themselves. */
  #seesRing(seen: Seen): boolean {
    if (this.joinedAtMs === undefined) return false
    for (const entry of this.#ownEntries()) {
      const live = seen.byEndpoint().get(entry.endpoint)
      if (live !== undefined && isServing(live.state)) this.roster.prove(entry.key)
    }
    return true
  }

  #adoptServer(
    key: string,
    line: ServerLine | undefined,
    name: string | undefined,
    live: ServerState | undefined,
  ): void {
    const [pool = '', server = ''] = key.split('/')
    const slots = this.#slots.get(pool) // the companions of a backend, `web.unsafe`, are no pools
    if (slots === undefined || line?.track !== undefined) return
    const number = /^slot(\d{1,5})$/.exec(server)
    const ip = live?.ip ?? line?.ip
    const port = live?.port ?? line?.port
    if (this.#usesSlots && number !== null) slots.reserve(Number(number[1]))
    if (ip === undefined || port === undefined || port < 1 || (ip === '127.0.0.1' && port === 1)) return
    if (live === undefined ? line?.disabled : live.admin === 'maint') return
    const member = name ?? server
    if (!SERVER_NAME.test(member) || !POOL_NAME.test(pool)) return
    const weight = live?.admin === 'drain' || line?.weight === 0 ? 1 : (live?.weight ?? line?.weight ?? 1)
    const entry = this.roster.adopt(
      { pool, name: member, ip, port, weight },
      this.#deps.clock.nowMs(),
      live?.admin !== 'drain',
    )
    if (this.#usesSlots && number !== null) slots.adopt(Number(number[1]), entry.endpoint)
  }

  /** The file for what has been decided so far. */
  text(): string {
    const servers = this.#fileServers().map(placed)
    const slots = [...this.#slots.values()].reduce((sum, { size }) => sum + size, 0)
    const maxconn = this.#maxconnFor(this.#usesSlots ? slots : servers.length)
    return this.#render(templateData(this.#config, servers, this.#slotList(), maxconn))
  }

  /** Decides without HAProxy, before it runs. */
  decideOffline(): void {
    this.#decide()
  }

  /**
   * Looks, decides, plans, applies. @throws whatever kept it from the end: what was taken out stays out, nothing else changed;
   * a repeat goes on from what is found then
   */
  async run(signal: AbortSignal): Promise<PassResult> {
    const { clock, control } = this.#deps
    const seen = await control.look(this.#drains())
    this.roster.observe(entry => this.#stateOf(entry, seen), clock.nowMs())
    if (this.#isBlind) this.#isBlind = !this.#seesRing(seen)
    this.problem = this.#isBlind ? BLIND : this.problem === BLIND ? undefined : this.problem
    if (this.#isBlind) return { lookAtMs: undefined }
    const lookAtMs = this.#decide()
    this.#prober.want(this.#targets())
    try {
      const applied = await this.#apply(seen, signal)
      if (typeof this.#config.template === 'object') await this.#rememberServers()
      return { lookAtMs: earliest(lookAtMs, applied) }
    } catch (failure) {
      if (!(failure instanceof UnknownReplyError) || clock.nowMs() < this.#trustAgainAtMs) throw failure
      this.#trustAgainAtMs = clock.nowMs() + MISTRUST_MS
      return { lookAtMs: await this.#reload(this.text(), [messageOf(failure)], seen, signal) }
    }
  }

  async #rememberServers(): Promise<void> {
    try {
      await this.#deps.control.rememberServers(this.#fileServers().map(placed))
    } catch (failure) {
      this.problem ??= `the servers cannot be written down for the next agent: ${messageOf(failure)}`
    }
  }

  stop(): void {
    this.#prober.stop()
  }

  #decide(): number | undefined {
    const { drainTimeoutMs = DRAIN_TIMEOUT_MS } = this.#config
    const era = { nowMs: this.#deps.clock.nowMs(), joinedAtMs: this.joinedAtMs, drainTimeoutMs }
    const { released, lookAtMs } = this.roster.decide(era)
    for (const entry of released.filter(({ server }) => this.#slots.has(server.pool))) {
      this.#deps.log.info(
        { pool: entry.server.pool, server: entry.server.name, reason: entry.decision.reason },
        'server taken out',
      )
      this.#slots.get(entry.server.pool)?.release(entry.endpoint)
    }
    this.#released.push(...released)
    if (this.#usesSlots) this.#seat()
    return lookAtMs
  }

  #seat(): void {
    for (const { server, endpoint } of this.#ownEntries()) {
      const number = this.#slots.get(server.pool)?.occupy(endpoint)
      this.#members.set(`${server.pool}/slot${number}`, server.name)
    }
    for (const slots of this.#slots.values()) slots.growIfTight()
  }

  /** Writes, sends, reloads. @returns when a reload that has to wait may happen */
  async #apply(seen: Seen, signal: AbortSignal): Promise<number | undefined> {
    const { control, clock } = this.#deps
    const text = this.text()
    const config = parseStructure(text)
    const running: Running = { config: control.loaded, servers: withMaxconn(seen, control.loaded) }
    const wanted: Wanted = { config, servers: wantedServers(config, (backend, line) => this.#placement(backend, line)) }
    for (const [key, server] of leavers(running.servers, wanted.servers, running.config, this.#released))
      (wanted.servers as Map<string, unknown>).set(key, server)
    const step = plan(running, wanted)
    if (step.kind !== 'nothing') await this.#send(step.out)
    if (step.kind === 'reload') {
      const dueMs = Math.max(this.#lastReloadAtMs + RELOAD_SPACING_MS, this.#refusedUntilMs(config))
      if (clock.nowMs() >= dueMs) return this.#reload(text, step.reasons, seen, signal)
      await this.#sendWhatRuns(seen, wanted)
      return dueMs
    }
    const unwritten = await this.#writeFile(text)
    if (step.kind === 'runtime') await this.#send(step.in)
    control.assume(config)
    this.#released = []
    this.problem = unwritten ?? this.#unrecorded()
    return undefined
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

  /** Until when a configuration of this structure need not be tried again; servers that come and go make no new one. */
  #refusedUntilMs(config: Structure): number {
    if (this.#refused === undefined || structuralDifferences(this.#refused.config, config).length > 0) return 0
    return this.#refused.untilMs
  }

  /** While a reload waits, servers that have a line already need not; the file follows within the second. */
  async #sendWhatRuns(seen: Seen, wanted: Wanted): Promise<void> {
    const { control } = this.#deps
    const known = serverLines(control.loaded)
    const servers = new Map([...wanted.servers].filter(([key]) => known.has(key) && seen.servers.has(key)))
    const fresh = await control.look(false)
    const step = plan({ config: [], servers: withMaxconn(fresh, control.loaded) }, { config: [], servers })
    if (step.kind === 'runtime') await this.#send([...step.out, ...step.in])
  }

  async #reload(
    text: string,
    reasons: readonly string[],
    seen: Seen,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { control, clock, log } = this.#deps
    this.#lastReloadAtMs = clock.nowMs()
    try {
      await control.reload(text, signal)
    } catch (failure) {
      if (failure instanceof RuntimeSocketError || signal.aborted) throw failure
      this.#refused = { config: parseStructure(text), untilMs: clock.nowMs() + retryMsAfter(failure) }
      this.#deps.wake() // servers go on coming and going in the configuration that runs
      const problem = messageOf(failure)
      if (problem !== this.problem)
        log.error({ error: problem, reasons }, 'the new configuration was not taken; the old one serves')
      this.problem = problem
      return undefined
    }
    this.reloads++
    this.#refused = undefined
    this.#released = []
    this.problem = undefined
    log.info({ reasons, tookMs: Math.round(clock.nowMs() - this.#lastReloadAtMs) }, 'haproxy reloaded')
    await this.#remind(seen)
    this.#deps.wake() // states that a file cannot hold
    return undefined
  }

  /** A new worker takes every server for UP: those known to be down, or never seen up, wait for a good check again. */
  async #remind(before: Seen): Promise<void> {
    const after = await this.#deps.control.look(false)
    const commands: Command[] = []
    for (const [server, state] of before.servers) {
      const now = after.servers.get(server)
      if (state.up || state.admin !== 'ready' || now === undefined || now.ip !== state.ip || now.port !== state.port)
        continue
      if (now.admin === 'ready') commands.push({ kind: 'health-down', server })
    }
    await this.#send(
      commands.filter(command => serverLines(this.#deps.control.loaded).get(command.server)?.checked === true),
    )
  }

  async #send(commands: readonly Command[]): Promise<void> {
    await this.#deps.control.send(commands)
    this.runtimeChanges += commands.length
  }

  #drains(): boolean {
    return this.roster.entries().some(entry => entry.liveness === 'left' || entry.decision.stance === 'drain')
  }

  /** Servers of pools that this balancer has; of others it only knows that they claim an address. */
  #ownEntries(): Entry[] {
    return this.roster.entries().filter(entry => this.#slots.has(entry.server.pool))
  }

  /** Who has a line of their own in the file: whoever is in place, but not those that still have to prove themselves. */
  #fileServers(): Entry[] {
    return this.#ownEntries().filter(entry => entry.decision.stance !== 'entering')
  }

  #slotList(): Map<string, ReturnType<SlotMap['slots']>> {
    return new Map([...this.#slots].map(([pool, slots]) => [pool, this.#usesSlots ? slots.slots() : []]))
  }

  #targets(): Map<string, ProbeTarget> {
    const entering = this.#ownEntries().filter(entry => entry.decision.stance === 'entering' && !entry.proven)
    return new Map(entering.map(entry => [entry.key, this.#target(entry)]))
  }

  #target(entry: Entry): ProbeTarget {
    const { ip, port, pool } = entry.server
    const check = this.#config.pools[pool]?.check
    return check !== undefined && 'http' in check
      ? { kind: 'http', ip, port, path: check.http, ...(check.host === undefined ? {} : { host: check.host }) }
      : { kind: 'tcp', ip, port }
  }

  #placement(backend: string, line: ServerLine): Entry | 'free' | undefined {
    if (this.#usesSlots) return this.#inSlot(backend, line)
    const pool = backend.replace(/\.unsafe$/, '')
    const entries = this.#fileServers()
    const own = entries.filter(entry => entry.server.pool === pool)
    const candidates = own.length > 0 ? own : entries
    const byAddress = (entry: Entry): boolean => entry.server.ip === line.ip && entry.server.port === line.port
    return candidates.find(byAddress) ?? candidates.find(entry => entry.server.host === line.name)
  }

  #inSlot(backend: string, line: ServerLine): Entry | 'free' | undefined {
    const pool = backend.replace(/\.unsafe$/, '')
    const number = Number(/^slot(\d+)$/.exec(line.name)?.[1] ?? 0)
    const slot = this.#slots.get(pool)?.slots()[number - 1]
    if (slot === undefined) return undefined
    if (slot.occupant === undefined) return 'free'
    return this.roster.get(pool, slot.occupant)
  }

  #stateOf(entry: Entry, seen: Seen): ServerState | undefined {
    const slot = this.slotOf(entry)
    if (slot !== undefined) {
      const state = seen.servers.get(`${entry.server.pool}/${slot}`)
      return state?.ip === entry.server.ip && state.port === entry.server.port
        ? this.#withTwin(entry, slot, state, seen)
        : undefined
    }
    const found = seen.byEndpoint().get(entry.endpoint) ?? this.#byName(entry, seen)
    return found === undefined ? undefined : this.#withTwin(entry, found.name, found.state, seen)
  }

  /** A user's template may have its own idea of the port: then the name tells, unless the address is another entry's. */
  #byName(entry: Entry, seen: Seen): { name: string; state: ServerState } | undefined {
    const state = seen.byName().get(`${entry.server.host} ${entry.server.ip}`)
    if (state === undefined || this.roster.get(entry.server.pool, endpointOf(state)) !== undefined) return undefined
    return { name: entry.server.host, state }
  }

  #withTwin(entry: Entry, name: string, state: ServerState, seen: Seen): ServerState {
    const twin = seen.servers.get(`${entry.server.pool}.unsafe/${name}`)
    return { ...state, sessions: state.sessions + (twin?.sessions ?? 0) }
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

function isServing(state: ServerState): boolean {
  return state.admin === 'ready' && state.up
}

function withMaxconn(seen: Seen, config: Structure): Running['servers'] {
  const lines = serverLines(config)
  return new Map([...seen.servers].map(([key, state]) => [key, { ...state, maxconn: lines.get(key)?.maxconn }]))
}

/** Members' names that the built-in templates write behind their servers: `server slot1 … # web-1`. */
function namesOf(text: string): Map<string, string> {
  const names = new Map<string, string>()
  let section = ''
  for (const line of text.split('\n')) {
    section = /^backend (\S+)/.exec(line)?.[1] ?? section
    const found = /^\s+server (\S+) .* # (\S+)$/.exec(line)
    const [, server, name = ''] = found ?? []
    if (server !== undefined && SERVER_NAME.test(name)) names.set(`${section}/${server}`, name)
  }
  return names
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : b === undefined ? a : Math.min(a, b)
}
