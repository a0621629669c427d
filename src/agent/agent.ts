import { isDeepStrictEqual } from 'node:util'
import { type Clock, type Log, messageOf, type Random, type Scope } from '../base/index.ts'
import type { Engine } from '../serf/index.ts'
import type { Supervisor } from '../supervisor/index.ts'
import { aliveBalancers, type Announcer, announcedTags, assertTagsFit } from './endpoints/announcer.ts'
import type { Balancing } from './balancing.ts'
import { Configuring } from './configuring/configuring.ts'
import type { Generations } from './configuring/generations.ts'
import type { AgentConfig } from './config/index.ts'
import type { Drains } from './draining/draining.ts'
import { TagsFile } from './drivers/tags-file.ts'
import type { EventLog } from './journal/event-log.ts'
import type { Journaling } from './journal/journaling.ts'
import type { EventHandlers } from './handlers/event-handlers.ts'
import { parseHandler } from './handlers/handler-spec.ts'
import type { LocalEndpoints } from './endpoints/local-endpoints.ts'
import { roleKept, tagsAfterReload } from './configuring/reload.ts'
import { HostServices } from './services/services.ts'

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
  readonly services: HostServices
  /** What the files say by now, and the way there. */
  readonly configuring: Configuring
  /** Resolves when the agent has ended, whoever asked for it. */
  readonly ended: Promise<void>
  #resolveEnded: () => void = () => undefined
  readonly #tagsFile: TagsFile | undefined
  #scope: Scope | undefined
  #ending: Promise<void> | undefined
  #isAskedToStop = false
  #config: AgentConfig
  #ownTags: Readonly<Record<string, string>>
  #hurry = new AbortController()

  constructor(parts: AgentParts) {
    this.parts = parts
    this.#config = parts.config
    this.#ownTags = parts.config.node.tags
    const { tagsPath } = parts.config.cluster
    this.#tagsFile = tagsPath === undefined ? undefined : new TagsFile(tagsPath)
    const { config, deps, balancing, generations, journal } = parts
    const announce = () => this.announce()
    this.services = new HostServices(config.services, { ...deps, ...parts, announce })
    const takeOver = (next: AgentConfig) => this.#takeOver(next)
    const { log, readConfig: read } = deps
    this.configuring = new Configuring({
      config,
      read,
      balancing,
      generations,
      journal,
      log,
      takeOver,
      assertTakable: next => this.#assertTakable(next),
      services: this.services,
    })
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
   * @param read reads it; what that throws is shown and on record, too
   * @param actor `SIGHUP`
   * @returns the keys that differ and take a restart, to say so
   * @throws what `read` and `Configuring.apply` throw: what is named in it is as before, and of the balancer everything
   */
  async reload(read: () => AgentConfig, actor: string): Promise<readonly string[]> {
    const { plan } = await this.configuring.apply({ actor }, read)
    return plan.restart
  }

  /** Drains a service and starts it as it is configured now. Resolves when the new process is ready, or has failed. */
  restartService(name: string): Promise<void> {
    return this.services.restart(name)
  }

  /** Drains a service and ends it for good. */
  async removeService(name: string): Promise<void> {
    await this.services.remove(name)
  }

  /**
   * Whether this node may leave now, or why not.
   * @throws RefusedError where a pool would have too few servers left, or no balancer, unless it is forced
   */
  async assertMayLeave({ force }: { readonly force: boolean }): Promise<void> {
    const { balancing, drains, config, deps } = this.parts
    if (force) return deps.log.warn({}, 'an operator lets this node leave whatever pools have left')
    const words = `${config.node.name} does not leave`
    if (balancing !== undefined) drains.assertOtherBalancer(balancing.status().pools, words)
    await drains.assertMinimum(config.node.name, words)
  }

  /** What an operator should know, in sentences. */
  warnings(): string[] {
    return [...this.services.warnings(), ...this.configuring.warnings()]
  }

  /** Drains and stops the services, then leaves the ring; the agent itself goes on, and HAProxy. Idempotent. */
  async leave(): Promise<void> {
    await this.services.stopAll(true, this.#hurry.signal)
    const { serf } = this.parts
    await serf.leave({ tell: aliveBalancers(serf) })
  }

  /**
   * Ends: drains and stops the services, leaves the ring, stops HAProxy. Called a second time it hurries: no more draining
   * or waiting; a call that `joins` is none of the two.
   */
  stop(options: { readonly leave: boolean; readonly joins?: boolean } = { leave: true }): Promise<void> {
    if (options.joins !== true) {
      if (this.#isAskedToStop) this.#hurry.abort()
      this.#isAskedToStop = true
    }
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

  /** @throws what `#takeOver` would, before anything is touched */
  #assertTakable(next: AgentConfig): void {
    this.services.assertTakable(next.services, this.#tagsBy(next))
    next.handlers.map(parseHandler)
  }

  #tagsBy(next: AgentConfig): Record<string, string> {
    const tags = tagsAfterReload(this.#ownTags, this.#config.node.tags, next.node.tags)
    const balancerWaits = (this.parts.balancing === undefined) !== (next.balancer === undefined)
    return balancerWaits ? roleKept(tags, this.#ownTags) : tags
  }

  async #takeOver(next: AgentConfig): Promise<void> {
    const tags = this.#tagsBy(next)
    this.services.change(next.services, tags)
    this.#config = next
    this.parts.handlers.replace(next.handlers.map(parseHandler))
    await this.setOwnTags(tags)
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

  async #stopAll(leave: boolean): Promise<void> {
    const { supervisor, balancing } = this.parts
    const { signal } = this.#hurry
    await this.services.stopAll(leave, signal)
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
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
