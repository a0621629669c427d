import { join } from 'node:path'
import type {
  Balancer,
  BalancerConfig,
  BalancerStatus,
  Cause,
  GuardNews,
  Leftover,
  Order,
  Outlook,
  Receipt,
  ServerStatus,
} from '../balancer/index.ts'
import { type Clock, formatAddress, type Log, MusterError, type Random, type Scope } from '../base/index.ts'
import { type Engine, isMemberEvent, type SerfEvent, type SerfMember } from '../serf/index.ts'
import type { Supervisor } from '../supervisor/index.ts'
import type { AgentConfig, BalancerSettings } from './config/index.ts'
import { BOUND_QUIET_MS, type DrainedBalancer, HeldDrains } from './draining/draining-balancer.ts'
import { DrainsFile } from './drivers/drains-file.ts'
import type { DrainLeft, DrainRequest } from './endpoints/drain.ts'
import type { BelowMinimum } from './endpoints/drain-messages.ts'
import { answerDrains } from './endpoints/drain-query.ts'
import { balancerConfigOf, haproxySupervise, viewConfigOf } from './haproxy.ts'
import type { Generations } from './configuring/generations.ts'
import type { Journaling } from './journal/journaling.ts'
import { ServerView } from './endpoints/servers.ts'

interface BalancingDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly serf: Engine
  readonly supervisor: Supervisor
  readonly journal: Journaling
  readonly generations: Generations
}

/** What HAProxy still has to do, by `ip:port`. @throws RuntimeSocketError */
type LeftOn = (
  endpoints: readonly string[],
  options: { readonly withAges: boolean; readonly formerly?: ReadonlyMap<string, readonly string[]> },
) => Promise<Map<string, Leftover>>

/** Endpoints of which it is remembered where HAProxy had them. */
const FORMER_MAX = 1024

/** The settings of pools that drains go by. */
export interface PoolGuard {
  readonly name: string
  readonly isSticky: boolean
  /** Default 1: never the last one. */
  readonly minServers?: number
}

/** The balancer of this node, kept equal to what the ring says. */
export class Balancing implements DrainedBalancer {
  /** What operators have drained. */
  readonly drains: HeldDrains
  readonly #balancer: Balancer
  readonly #view: ServerView
  readonly #leftOn: LeftOn
  readonly #config: AgentConfig
  readonly #serf: Engine
  readonly #clock: Clock
  #guards: ReadonlyMap<string, PoolGuard>
  /** By `ip:port`: the slots of an endpoint that is being taken away; they are given back before what runs there has ended. */
  readonly #former = new Map<string, readonly string[]>()
  /** What the ring has said since the balancer was last told. */
  #causes: Cause[] = []
  #joinedAtMs: number | undefined

  constructor(
    balancer: Balancer,
    view: ServerView,
    config: AgentConfig & { readonly balancer: BalancerSettings },
    deps: BalancingDeps & { readonly leftOn: LeftOn; readonly file: DrainsFile },
  ) {
    this.#config = config
    this.#balancer = balancer
    this.#view = view
    this.#leftOn = deps.leftOn
    this.#guards = guardsOf(config.balancer)
    this.drains = new HeldDrains(this, deps)
    this.#serf = deps.serf
    this.#clock = deps.clock
  }

  /**
   * Something in the ring has changed: look again. With the first company, whoever found whom, the ring has been joined: from
   * now on it can be told who is unexplained.
   */
  wake(): void {
    const ring = this.#serf.members()
    const self = this.#serf.local().name
    if (ring.some(({ name, status }) => status === 'alive' && name !== self)) this.#joinedAtMs ??= this.#clock.nowMs()
    const members = new Map(ring.map(({ name, status }) => [name, isGone(status) ? status : 'alive'] as const))
    const joined = this.#joinedAtMs === undefined ? {} : { joinedAtMs: this.#joinedAtMs }
    const causes = this.#causes.splice(0)
    this.#balancer.wanted(this.drains.apply(this.#view.serversOf(ring)), { members, causes, ...joined })
  }

  /** For the receipt of what comes of it. */
  note(cause: Cause): void {
    if (this.#causes.length < CAUSES_MAX) this.#causes.push(cause)
  }

  /** What these settings would change, and how. @throws what `Balancer.plan` throws */
  plan(settings: BalancerSettings, templateSource?: string): Promise<Outlook> {
    return this.#balancer.plan(this.#configOf(settings, templateSource))
  }

  /**
   * Puts settings in force, the template read anew.
   * @param templateSource instead of what the user's file holds by now
   * @returns undefined when nothing had to be done
   * @throws what `Balancer.apply` throws: those before stay in force
   */
  async apply(settings: BalancerSettings, order: Order, templateSource?: string): Promise<Receipt | undefined> {
    const receipt = await this.#balancer.apply(this.#configOf(settings, templateSource), order)
    this.#guards = guardsOf(settings)
    this.#view.configure(viewConfigOf(settings, this.#serf.local().ip))
    this.wake()
    return receipt
  }

  /**
   * What is left on an endpoint here; at least 1 while it still takes what the phase excludes, since 0 means that its process may
   * be stopped.
   * @throws RuntimeSocketError when HAProxy cannot be asked
   */
  async left({ ip, port, phase }: DrainRequest): Promise<DrainLeft> {
    const endpoint = formatAddress({ ip, port })
    const formerly = phase === 'out' ? this.#former : new Map<string, readonly string[]>()
    const found = (await this.#leftOn([endpoint], { withAges: false, formerly })).get(endpoint)
    if (phase !== 'out' && found !== undefined) this.#remember(endpoint, found.servers)
    const isHere = (server: { ip: string; port: number }) => server.ip === ip && server.port === port
    const pools = this.#balancer.status().pools.filter(pool => pool.servers.some(isHere))
    const states = pools.flatMap(pool => pool.servers.filter(isHere).map(server => server.state))
    const isOpen = found?.isOpen === true || states.some(state => state !== 'drain' && state !== 'maint')
    const isReachable = found?.isReachable === true || states.some(state => state !== 'maint')
    const isTaking = phase === 'out' ? isReachable : isOpen
    const sessions = found?.sessions ?? 0
    const isSticky = pools.some(pool => this.isSticky(pool.name))
    const isBound = phase !== 'out' && isSticky && isReachable && (found?.quietMs ?? BOUND_QUIET_MS) < BOUND_QUIET_MS
    const below = this.#belowWithout(pools, isHere)
    return { left: isTaking ? Math.max(1, sessions) : sessions, isBound, ...(below === undefined ? {} : { below }) }
  }

  leftOn(endpoints: readonly string[], withAges: boolean): Promise<Map<string, Leftover>> {
    return this.#leftOn(endpoints, { withAges })
  }

  minServers(pool: string): number {
    return this.#guards.get(pool)?.minServers ?? 1
  }

  isSticky(pool: string): boolean {
    return this.#guards.get(pool)?.isSticky ?? false
  }

  /** Requests and sessions on a server, for `status`; undefined while HAProxy cannot be asked, which the status says already. */
  async sessions(): Promise<((pool: string, server: { ip: string; port: number }) => number) | undefined> {
    return this.#balancer.sessions().catch((failure: unknown) => {
      if (failure instanceof MusterError) return undefined
      throw failure
    })
  }

  /** How the balancer sees its pools, and how many readings of tags had something to refuse. */
  status(): BalancerStatus {
    const status = this.#balancer.status()
    const pools = status.pools.map(({ name, servers, ...rest }) => ({
      ...{ name, ...rest },
      servers: servers.map(one => this.#told(name, one)),
    }))
    return { ...status, pools, refused: status.refused + this.#view.refused }
  }

  stop(options: { readonly keepHaproxy: boolean }): Promise<void> {
    return this.#balancer.stop(options)
  }

  #configOf(settings: BalancerSettings, source: string | undefined): BalancerConfig {
    return withSource(balancerConfigOf(this.#config, settings, this.#serf.local().ip), source)
  }

  #remember(endpoint: string, servers: readonly string[]): void {
    this.#former.delete(endpoint)
    if (servers.length > 0) this.#former.set(endpoint, servers)
    const oldest = this.#former.keys().next().value
    if (this.#former.size > FORMER_MAX && oldest !== undefined) this.#former.delete(oldest)
  }

  /** A server that an operator has drained says so, and who. */
  #told(pool: string, server: ServerStatus): ServerStatus {
    const reason = this.drains.reasonFor({ pool, ...server })
    if (reason === undefined) return server
    const isTakenOut = server.state === 'maint'
    return { ...server, reason: isTakenOut ? `${server.reason}; ${reason}` : reason }
  }

  #belowWithout(
    pools: BalancerStatus['pools'],
    isHere: (server: { ip: string; port: number }) => boolean,
  ): BelowMinimum | undefined {
    for (const { name, servers } of pools) {
      const [min, without] = [this.minServers(name), servers.filter(isHere).length]
      const others = servers.filter(server => server.state === 'ready' && !isHere(server)).length
      if (others < min) return { pool: name, has: others + without, without, min }
    }
    return undefined
  }
}

/**
 * Starts the balancer where the configuration has one; the room, and the template engine with it, is loaded only then.
 * @throws what `startBalancer` throws
 */
export async function startBalancing(
  config: AgentConfig,
  deps: BalancingDeps,
  scope: Scope,
  signal?: AbortSignal,
): Promise<Balancing | undefined> {
  if (config.balancer === undefined) return undefined
  const { leftOn, socketPaths, startBalancer } = await import('../balancer/index.ts')
  const ip = deps.serf.local().ip
  const log = deps.log.child({ room: 'balancer' })
  const { clock, random } = deps
  const supervise = haproxySupervise(deps.supervisor)
  let started: Balancer | undefined // what keeps HAProxy from starting it says before
  const tell = (line: string) => deps.log.info({ service: 'haproxy' }, started?.named(line) ?? line)
  scope.defer(deps.supervisor.onOutput((service, line) => void (service === 'haproxy' && tell(line))))
  const inForce = await deps.generations.atStart(config.balancer)
  const settings = withSource(balancerConfigOf(config, inForce.settings, ip), inForce.template)
  const balancer = scope.use(await startBalancer(settings, { clock, random, log, supervise }, signal))
  started = balancer
  deps.journal.poolsFound(balancer.status())
  scope.defer(balancer.onReceipt(receipt => deps.journal.receipt(receipt)))
  scope.defer(balancer.onCheck(news => deps.journal.check(news)))
  scope.defer(balancer.onGuard(news => deps.journal.guard(guardEntryOf(news))))
  const view = new ServerView(viewConfigOf(inForce.settings, ip), log)
  const paths = socketPaths(settings)
  const balancing = new Balancing(
    balancer,
    view,
    { ...config, balancer: inForce.settings },
    {
      ...{ ...deps, log },
      leftOn: (endpoints, options) => leftOn(paths, endpoints, { ...options, clock }),
      file: new DrainsFile(join(config.stateDir, 'drains.json')),
    },
  )
  await balancing.drains.load() // before the first pass: who was drained stays so
  scope.defer(balancing.drains.start())
  scope.defer(deps.serf.onEvent(event => noteCauses(balancing, event, deps.serf.local().name)))
  scope.defer(deps.serf.onChange(() => balancing.wake()))
  scope.defer(answerDrains(deps.serf, balancing))
  balancing.wake()
  return balancing
}

/** Members that a storm brings at once say the same. */
const CAUSES_MAX = 32

function noteCauses(balancing: Balancing, event: SerfEvent, seenBy: string): void {
  if (!isMemberEvent(event)) return
  for (const { name } of event.members) balancing.note({ what: event.kind, member: name, seenBy })
}

function guardEntryOf({ guard, pool, server, what, isActing }: GuardNews) {
  const about = server === undefined ? { pool } : { pool, server }
  return { guard, what: isActing ? what : `over: ${what}`, ...about }
}

function guardsOf({ pools }: BalancerSettings): ReadonlyMap<string, PoolGuard> {
  return new Map(pools.map(pool => [pool.name, { ...pool, isSticky: pool.sticky !== undefined }]))
}

/** A user's template as it was, instead of what the file holds by now. */
function withSource(config: BalancerConfig, source: string | undefined): BalancerConfig {
  const { template } = config
  if (typeof template !== 'object' || source === undefined) return config
  return { ...config, template: { ...template, source } }
}

function isGone(status: SerfMember['status']): status is 'left' | 'failed' {
  return status === 'left' || status === 'failed'
}
