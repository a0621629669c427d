import type { Balancer, BalancerStatus } from '../balancer/index.ts'
import { type Clock, type Log, MusterError, type Random, type Scope } from '../base/index.ts'
import type { Engine, SerfMember } from '../serf/index.ts'
import type { Supervisor } from '../supervisor/index.ts'
import type { AgentConfig } from './config/index.ts'
import { answerDrains } from './endpoints/drain-query.ts'
import { balancerConfigOf, haproxySupervise, viewConfigOf } from './haproxy.ts'
import { ServerView } from './endpoints/servers.ts'

interface BalancingDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly serf: Engine
  readonly supervisor: Supervisor
}

/** The balancer of this node, kept equal to what the ring says. */
export class Balancing {
  readonly #balancer: Balancer
  readonly #view: ServerView
  readonly #serf: Engine
  readonly #clock: Clock
  #joinedAtMs: number | undefined

  constructor(balancer: Balancer, view: ServerView, deps: BalancingDeps) {
    this.#balancer = balancer
    this.#view = view
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
    this.#balancer.wanted(this.#view.serversOf(ring), { members, ...joined })
  }

  /**
   * Requests and sessions on an endpoint here; at least 1 while it still takes traffic, since a count of 0 means that its
   * process may be stopped.
   * @throws RuntimeSocketError when HAProxy cannot be asked
   */
  async sessionsOn(ip: string, port: number): Promise<number> {
    const servers = this.#balancer.status().pools.flatMap(pool => pool.servers)
    const here = servers.filter(server => server.ip === ip && server.port === port)
    const remaining = await this.#balancer.remaining(here.map(server => server.name))
    const isServing = here.some(server => server.state !== 'drain' && server.state !== 'maint')
    const sessions = remaining.reduce((sum, server) => sum + server.sessions, 0)
    return isServing ? Math.max(1, sessions) : sessions
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
    return { ...status, refused: status.refused + this.#view.refused }
  }

  /** Reads a user's template again. @throws TemplateError: the one before stays in force */
  rereadTemplate(): Promise<void> {
    return this.#balancer.rereadTemplate()
  }

  stop(options: { readonly keepHaproxy: boolean }): Promise<void> {
    return this.#balancer.stop(options)
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
  const { startBalancer } = await import('../balancer/index.ts')
  const ip = deps.serf.local().ip
  const log = deps.log.child({ room: 'balancer' })
  const { clock, random } = deps
  const supervise = haproxySupervise(deps.supervisor)
  let started: Balancer | undefined // what keeps HAProxy from starting it says before
  const tell = (line: string) => deps.log.info({ service: 'haproxy' }, started?.named(line) ?? line)
  scope.defer(deps.supervisor.onOutput((service, line) => void (service === 'haproxy' && tell(line))))
  const balancer = scope.use(
    await startBalancer(balancerConfigOf(config, config.balancer, ip), { clock, random, log, supervise }, signal),
  )
  started = balancer
  const view = new ServerView(viewConfigOf(config.balancer, ip), log)
  const balancing = new Balancing(balancer, view, deps)
  scope.defer(deps.serf.onChange(() => balancing.wake()))
  scope.defer(answerDrains(deps.serf, balancing))
  balancing.wake()
  return balancing
}

function isGone(status: SerfMember['status']): status is 'left' | 'failed' {
  return status === 'left' || status === 'failed'
}
