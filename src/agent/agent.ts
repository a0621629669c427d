import { isDeepStrictEqual } from 'node:util'
import { type Clock, type Log, messageOf, type Random, type Scope } from '../base/index.ts'
import type { Engine } from '../serf/index.ts'
import type { StopOptions, Supervisor } from '../supervisor/index.ts'
import { aliveBalancers, type Announcer, announcedTags, assertTagsFit } from './endpoints/announcer.ts'
import type { Balancing } from './balancing.ts'
import { Configuring } from './configuring.ts'
import type { Generations } from './generations.ts'
import type { AgentConfig, ServiceConfig } from './config/index.ts'
import { belowWords, type Drains } from './draining.ts'
import { type DrainRequest, drainEverywhere } from './endpoints/drain.ts'
import { drainClusterOf } from './endpoints/drain-query.ts'
import { TagsFile } from './drivers/tags-file.ts'
import type { EventLog } from './event-log.ts'
import type { Journaling } from './journaling.ts'
import type { EventHandlers } from './handlers/event-handlers.ts'
import { parseHandler } from './handlers/handler-spec.ts'
import type { LocalEndpoints } from './endpoints/local-endpoints.ts'
import { tagsAfterReload } from './reload.ts'

/** How long balancers may take to let go of a service that is in the configuration no more. */
const ORPHAN_DRAIN_MS = 30_000
/** After the drain nobody is sent there any more; what came just before that has this long to be answered. */
const OUT_MS = 5_000
/** The supervisor's own patience, where the service is to wait for silent balancers: they are waited for by what they say. */
const FOR_EVER_MS = 7 * 24 * 3_600_000

/** The parts that an agent was wired from. */
export interface AgentParts {
  readonly config: AgentConfig
  readonly deps: {
    readonly clock: Clock
    readonly random: Random
    readonly log: Log
    readonly pid: number
    readonly readConfig?: () => AgentConfig
  }
  readonly serf: Engine
  readonly supervisor: Supervisor
  readonly endpoints: LocalEndpoints
  readonly announcer: Announcer
  /** Undefined where this node does not balance. */
  readonly balancing: Balancing | undefined
  /** What operators drain, on whatever balancer. */
  readonly drains: Drains
  readonly handlers: EventHandlers
  readonly events: EventLog
  /** What happened, on disk. */
  readonly journal: Journaling
  readonly generations: Generations
}

/** A running agent. Ends by `stop` (services too) or by `handover` (services and HAProxy run on). */
export class Agent implements AsyncDisposable {
  readonly parts: AgentParts
  /** What the files say by now, and the way there. */
  readonly configuring: Configuring
  /** Resolves when the agent has ended, whoever asked for it. */
  readonly ended: Promise<void>
  #resolveEnded: () => void = () => undefined
  readonly #tagsFile: TagsFile | undefined
  #scope: Scope | undefined
  #ending: Promise<void> | undefined
  #config: AgentConfig
  #ownTags: Readonly<Record<string, string>>
  #hurry = new AbortController()
  /** By service that is being stopped: balancers that give no answer. */
  readonly #silent = new Map<string, readonly string[]>()

  constructor(parts: AgentParts) {
    this.parts = parts
    this.#config = parts.config
    this.#ownTags = parts.config.node.tags
    const { tagsPath } = parts.config.cluster
    this.#tagsFile = tagsPath === undefined ? undefined : new TagsFile(tagsPath)
    const { config, deps, balancing, generations, journal } = parts
    const takeOver = (next: AgentConfig) => this.#takeOver(next)
    const { log, readConfig: read } = deps
    this.configuring = new Configuring({ config, read, balancing, generations, journal, log, takeOver })
    this.ended = new Promise(resolve => {
      this.#resolveEnded = resolve
    })
  }

  /** Takes over everything that was started for this agent. */
  own(scope: Scope): void {
    this.#scope = scope
  }

  /** Makes the ring's picture of this node equal to what runs. */
  announce(): void {
    void this.#announceNow()
  }

  /**
   * The node's own tags, without endpoints; a change that came over RPC replaces the configured ones until the end.
   * They are in the tags file, where there is one, before anybody is told.
   * @throws TagsTooLargeError, or the system's error of the tags file: nothing has changed
   */
  async setOwnTags(tags: Readonly<Record<string, string>>): Promise<void> {
    const { endpoints, supervisor } = this.parts
    const pools = new Set(Object.keys(announcedTags({}, endpoints.current(supervisor.services()))))
    const own = Object.fromEntries(Object.entries(tags).filter(([key]) => !pools.has(key)))
    assertTagsFit(own, endpoints.longest())
    if (!isDeepStrictEqual(own, this.#ownTags)) await this.#tagsFile?.keep(own)
    this.#ownTags = own
    await this.#announceNow()
  }

  /**
   * Takes over what may change while it runs: what concerns the balancer, event handlers, and own tags (those that the configuration
   * changes; what was set at run time stays).
   * @param actor `SIGHUP`, `watch`
   * @returns the keys that differ and take a restart, to say so
   * @throws what `Configuring.apply` throws: what is named in it is as before, and of the balancer everything
   */
  async reload(next: AgentConfig, actor: string): Promise<readonly string[]> {
    const { plan } = await this.configuring.apply({ actor }, next)
    return plan.restart
  }

  /** Drains a service and starts it as it is configured now. Resolves when the new process is ready, or has failed. */
  restartService(name: string): Promise<void> {
    return this.parts.supervisor.restart(name, this.#stopOptions(name, true))
  }

  /** Drains a service and ends it for good. */
  removeService(name: string): Promise<void> {
    return this.parts.supervisor.remove(name, this.#stopOptions(name, true))
  }

  /**
   * Whether this node may leave now, or why not.
   * @throws RefusedError where a pool would have too few servers left, unless it is forced
   */
  async assertMayLeave({ force }: { readonly force: boolean }): Promise<void> {
    const { drains, config, deps } = this.parts
    if (force) return deps.log.warn({}, 'an operator lets this node leave whatever pools have left')
    await drains.assertMinimum(config.node.name, `${config.node.name} does not leave`)
  }

  /** What an operator should know, in sentences. */
  warnings(): string[] {
    const silent = [...this.#silent].map(
      ([service, names]) => `${service} is being stopped and waits for ${names.join(' and ')}, which gives no answer`,
    )
    return [...silent, ...this.configuring.warnings()]
  }

  /** Drains and stops the services, then leaves the ring; the agent itself goes on, and HAProxy. Idempotent. */
  async leave(): Promise<void> {
    await this.#stopServices(true)
    const { serf } = this.parts
    await serf.leave({ tell: aliveBalancers(serf) })
  }

  /**
   * Ends: drains and stops the services, leaves the ring, stops HAProxy. Called a second time it hurries: no more draining
   * or waiting.
   */
  stop(options: { readonly leave: boolean } = { leave: true }): Promise<void> {
    if (this.#ending !== undefined) this.#hurry.abort()
    this.#ending ??= this.#end(() => this.#stopAll(options.leave))
    return this.#ending
  }

  /** Ends without leaving: services and HAProxy run on and are adopted by the next agent on this host. */
  handover(): Promise<void> {
    if (this.#ending === undefined) this.parts.journal.ends('handed over')
    this.#ending ??= this.#end(async () => {
      try {
        await this.parts.balancing?.stop({ keepHaproxy: true })
      } finally {
        await this.parts.supervisor.detach() // else the scope's end would stop the services
      }
    })
    return this.#ending
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #takeOver(next: AgentConfig): Promise<void> {
    const before = this.#config
    this.#config = next
    this.parts.handlers.replace(next.handlers.map(parseHandler))
    await this.setOwnTags(tagsAfterReload(this.#ownTags, before.node.tags, next.node.tags))
  }

  async #announceNow(): Promise<void> {
    const { endpoints, supervisor, announcer } = this.parts
    await announcer.announce(announcedTags(this.#ownTags, endpoints.current(supervisor.services())))
  }

  async #end(how: () => Promise<void>): Promise<void> {
    try {
      await how()
    } finally {
      try {
        await this.#scope?.[Symbol.asyncDispose]()
      } finally {
        this.#resolveEnded()
      }
    }
  }

  async #stopServices(isGraceful: boolean): Promise<void> {
    const services = this.parts.supervisor.services().filter(service => service.name !== 'haproxy')
    await Promise.all(services.map(service => this.#stopService(service.name, isGraceful)))
  }

  async #stopAll(leave: boolean): Promise<void> {
    const { supervisor, balancing } = this.parts
    const { signal } = this.#hurry
    await this.#stopServices(leave)
    if (leave) await Promise.race([this.#leaveRing(), aborted(signal)])
    await Promise.race([balancing?.stop({ keepHaproxy: false }), aborted(signal)])
    signal.addEventListener('abort', () => void supervisor.stop({ timeoutMs: 0 }), { once: true })
    await supervisor.stop({ ...(signal.aborted ? { timeoutMs: 0 } : {}) })
  }

  /** A ring that cannot be left (a name conflict has stopped gossip, a leave over RPC runs already) ends nothing else. */
  async #leaveRing(): Promise<void> {
    const { serf, deps } = this.parts
    try {
      await serf.leave({ tell: aliveBalancers(serf) })
    } catch (failure) {
      deps.log.warn({ reason: messageOf(failure) }, 'could not leave the ring; stopping goes on')
    }
  }

  async #stopService(name: string, isGraceful: boolean): Promise<void> {
    const { supervisor } = this.parts
    const stopped = supervisor.stop(name, this.#stopOptions(name, isGraceful))
    const hurry = () => void supervisor.stop(name, { timeoutMs: 0 })
    this.#hurry.signal.addEventListener('abort', hurry, { once: true })
    await stopped
    this.#hurry.signal.removeEventListener('abort', hurry)
  }

  #stopOptions(name: string, isGraceful: boolean): StopOptions {
    const { supervisor, config } = this.parts
    const isOffered = supervisor.services().some(status => status.name === name && status.serves !== undefined)
    const service = config.services.find(candidate => candidate.name === name)
    return {
      ...(isGraceful && isOffered ? { drain: (signal: AbortSignal) => this.#drain(name, signal) } : {}),
      drainTimeoutMs: supervisorPatienceMs(service),
    }
  }

  /**
   * Announces the service as draining and waits until every balancer has let go of it; then withdraws it, so that clients that are
   * bound to it go elsewhere, too, and waits for what was on its way.
   */
  async #drain(name: string, signal: AbortSignal): Promise<void> {
    const { endpoints, serf, deps, supervisor, config } = this.parts
    const status = supervisor.services().find(candidate => candidate.name === name)
    if (status?.serves === undefined || status.pid === undefined) return
    const service = config.services.find(candidate => candidate.name === name)
    const endpoint = { ip: serf.local().ip, port: status.serves.port }
    try {
      endpoints.drain(name, status.pid)
      this.announce()
      await this.#untilLetGo(name, { ...endpoint, phase: 'drain' }, service?.drainTimeoutMs ?? ORPHAN_DRAIN_MS, signal)
      endpoints.withdraw(name, status.pid)
      this.announce()
      if (signal.aborted || drainClusterOf(serf).balancers().length === 0) return
      await this.#untilLetGo(name, { ...endpoint, phase: 'out' }, OUT_MS, signal)
    } catch (failure) {
      const reason = messageOf(failure)
      deps.log.warn({ service: name, reason }, 'balancers could not be asked whether they have let go')
    } finally {
      this.#silent.delete(name)
    }
  }

  async #untilLetGo(name: string, request: DrainRequest, patienceMs: number, signal: AbortSignal): Promise<void> {
    const { serf, deps, config, journal } = this.parts
    const service = config.services.find(candidate => candidate.name === name)
    const { left, bound, silent, below } = await drainEverywhere(drainClusterOf(serf), request, deps.clock, signal, {
      untilMs: deps.clock.nowMs() + patienceMs,
      silent: service?.silentBalancer ?? 'proceed',
      onSilent: names => this.#nameSilent(name, names),
    })
    const phase = request.phase ?? 'drain'
    if (left.size + silent.length > 0)
      deps.log.warn(
        { service: name, phase, left: Object.fromEntries(left), bound, silent },
        'not every balancer has let go of the service',
      )
    if (left.size + silent.length > 0 && phase === 'drain') {
      const what = `${name} stops although ${[...left.keys(), ...silent].join(', ')} had not let go of it`
      journal.guard({ guard: 'drain', what })
    }
    if (phase === 'drain' && below[0] !== undefined) {
      const what = `stopping ${name}: ${belowWords(below[0])}`
      deps.log.warn({ service: name, below: belowWords(below[0]) }, 'stopping the service leaves a pool with too few')
      journal.guard({ guard: 'min_servers', what, pool: below[0].pool })
    }
  }

  #nameSilent(service: string, names: readonly string[]): void {
    if (names.length === 0) return void this.#silent.delete(service)
    this.#silent.set(service, names)
    const { deps, journal } = this.parts
    deps.log.warn({ service, silent: names }, 'a balancer gives no answer; the service waits for it')
    journal.guard({ guard: 'drain', what: `${service} waits for ${names.join(', ')}, which gives no answer` })
  }
}

/** How long the supervisor lets a drain take: a little longer than the drain itself, which ends by its own rules. */
function supervisorPatienceMs(service: ServiceConfig | undefined): number {
  if (service?.silentBalancer === 'wait') return FOR_EVER_MS
  return (service?.drainTimeoutMs ?? ORPHAN_DRAIN_MS) + OUT_MS + 1_000
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
