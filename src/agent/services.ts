import { isDeepStrictEqual } from 'node:util'
import { type Clock, type Log, messageOf } from '../base/index.ts'
import type { Engine } from '../serf/index.ts'
import {
  assertSpec,
  type ServiceSpec,
  type ServiceStatus,
  type StopOptions,
  type Supervisor,
} from '../supervisor/index.ts'
import { assertTagsFit } from './endpoints/announcer.ts'
import type { ServiceConfig } from './config/index.ts'
import { belowWords } from './draining.ts'
import { type DrainRequest, drainEverywhere } from './endpoints/drain.ts'
import { drainClusterOf } from './endpoints/drain-query.ts'
import { areReady, type LocalEndpoints, servesOf } from './endpoints/local-endpoints.ts'
import type { Journaling } from './journaling.ts'

/** How long balancers may take to let go of a service that is in the configuration no more. */
const ORPHAN_DRAIN_MS = 30_000
/** After the drain nobody is sent there any more; what came just before that has this long to be answered. */
const OUT_MS = 5_000
/** The supervisor's own patience, where the service is to wait for silent balancers: they are waited for by what they say. */
const FOR_EVER_MS = 7 * 24 * 3_600_000
/** What is new may take so long to be ready before what it may replace is taken away all the same. */
const READY_MS = 60_000

interface HostServicesDeps {
  readonly clock: Clock
  readonly log: Log
  readonly serf: Engine
  readonly supervisor: Supervisor
  readonly endpoints: LocalEndpoints
  readonly journal: Journaling
  /** Makes the ring's picture of this node equal to what runs. */
  readonly announce: () => void
}

/** From what is configured to what is configured next. */
interface Differences {
  readonly fresh: readonly ServiceConfig[]
  readonly changed: readonly ServiceConfig[]
  readonly gone: readonly ServiceConfig[]
}

/** The services of this host, as the agent stops, starts and changes them: no process ends before every balancer has let go. */
export class HostServices {
  readonly #deps: HostServicesDeps
  #configured: readonly ServiceConfig[]
  /** What runs, or is to run: as it was started. */
  readonly #started: Map<string, ServiceConfig>
  /** By service that is being stopped: balancers that give no answer. */
  readonly #silent = new Map<string, readonly string[]>()
  #changing: Promise<void> = Promise.resolve()
  /** Of the change that came last: aborted by the next one, and by the end of all services. */
  #turn = new AbortController()
  /** What is being started this moment. */
  #adding: Promise<void> = Promise.resolve()
  /** They all are being stopped, or have been: none is started any more. */
  #isEnding = false

  constructor(configured: readonly ServiceConfig[], deps: HostServicesDeps) {
    this.#configured = configured
    this.#started = byName(configured)
    this.#deps = deps
  }

  /** As it is configured now. */
  configured(name: string): ServiceConfig | undefined {
    return this.#configured.find(service => service.name === name)
  }

  /** What an operator should know, in sentences. */
  warnings(): string[] {
    return [...this.#silent].map(
      ([service, names]) => `${service} is being stopped and waits for ${names.join(' and ')}, which gives no answer`,
    )
  }

  /** What a change of the configuration would do to the services, a sentence each. */
  outlook(next: readonly ServiceConfig[]): string[] {
    const { fresh, changed, gone } = differences(byName(this.#configured), next)
    return [
      ...fresh.map(({ name }) => `${name}: started`),
      ...changed.map(({ name }) => `${name}: drained, stopped, and started as it is configured now`),
      ...gone.map(({ name }) => `${name}: drained and ended`),
    ]
  }

  /**
   * Takes over what is configured now; in the background, one after the other, and what is new is ready before anything is taken away.
   * What is being started otherwise than it is configured now is not waited for.
   * @param ownTags what is gossiped beside the endpoints
   * @throws ServiceSpecError, TagsTooLargeError: nothing has changed
   */
  change(next: readonly ServiceConfig[], ownTags: Readonly<Record<string, string>>): void {
    const { endpoints, log, announce } = this.#deps
    this.assertTakable(next, ownTags)
    this.#configured = next
    endpoints.configure(next)
    announce()
    if (this.#isEnding) return log.info({}, 'the services are being stopped; of the configuration none is started')
    this.#giveUpStarts()
    this.#turn.abort()
    this.#turn = new AbortController()
    const { signal } = this.#turn
    this.#changing = this.#changing
      .then(() => this.#perform(signal))
      .catch((failure: unknown) => log.error({ reason: messageOf(failure) }, 'not every service is as configured'))
  }

  /** What `change` asks before it changes anything. @throws ServiceSpecError, TagsTooLargeError */
  assertTakable(next: readonly ServiceConfig[], ownTags: Readonly<Record<string, string>>): void {
    for (const service of next) assertSpec(specOf(service))
    assertTagsFit(ownTags, this.#deps.endpoints.longest(next))
  }

  /**
   * Drains a service and starts it as it is configured now. Resolves when the new process is ready, or has failed; at once where
   * all services are being stopped.
   */
  async restart(name: string): Promise<void> {
    if (!this.#isEnding) await this.#deps.supervisor.restart(name, this.#stopOptions(name, true))
  }

  /** Drains a service and ends it for good. */
  async remove(name: string): Promise<void> {
    await this.#deps.supervisor.remove(name, this.#stopOptions(name, true))
  }

  /**
   * All of them, at once, and for good: nothing is started any more. What is being drained already goes on as it is. HAProxy is
   * the balancer's.
   * @param isGraceful false: nothing is drained, nor any longer
   * @param hurry no more draining or waiting once it is aborted
   */
  async stopAll(isGraceful: boolean, hurry: AbortSignal): Promise<void> {
    this.#isEnding = true
    this.#turn.abort()
    await this.#adding.catch(() => undefined) // told by the change; what is half started could not be stopped
    const services = this.#deps.supervisor.services().filter(service => service.name !== 'haproxy')
    await Promise.all(services.map(service => this.#stop(service.name, isGraceful, hurry)))
  }

  /** One that was never ready takes no requests: nobody has to let go of it. */
  #giveUpStarts(): void {
    const { supervisor } = this.#deps
    const { changed, gone } = differences(this.#started, this.#configured)
    const outdated = new Set([...changed, ...gone].map(({ name }) => name))
    for (const { name, state, adopted } of supervisor.services())
      if (outdated.has(name) && state === 'starting' && !adopted) void supervisor.stop(name)
  }

  /** From what was started to what is configured by now. @param turn aborted: the change that came since goes on */
  async #perform(turn: AbortSignal): Promise<void> {
    if (turn.aborted) return
    const { fresh, changed, gone } = differences(this.#started, this.#configured)
    const ports = new Set([...changed, ...gone].map(({ name }) => this.#runningOf(name)?.serves?.port))
    await this.#add(
      fresh.filter(one => !ports.has(one.port)),
      turn,
    )
    const isReady = ({ name }: ServiceConfig) => this.#runningOf(name)?.state === 'ready'
    for (const service of [...changed.filter(one => !isReady(one)), ...changed.filter(isReady)]) {
      if (turn.aborted) return
      await this.#end(service.name)
      await this.#add([service], turn)
    }
    if (turn.aborted) return
    await Promise.all(gone.map(({ name }) => this.#end(name)))
    await this.#add(
      fresh.filter(one => ports.has(one.port)),
      turn,
    )
  }

  #runningOf(name: string): ServiceStatus | undefined {
    return this.#deps.supervisor.services().find(service => service.name === name)
  }

  async #end(name: string): Promise<void> {
    if (this.#runningOf(name) !== undefined) await this.remove(name)
    this.#started.delete(name)
  }

  async #add(services: readonly ServiceConfig[], turn: AbortSignal): Promise<void> {
    const { supervisor, clock, log } = this.#deps
    if (services.length === 0 || turn.aborted) return
    const names = services.map(({ name }) => name)
    for (const service of services) {
      if (turn.aborted) return
      this.#started.set(service.name, service) // at once: a change may come while it is being started
      this.#adding = supervisor.add(specOf(service))
      await this.#adding
    }
    const tooLate = new Promise<void>(resolve => void clock.after(READY_MS, () => resolve()))
    await areReady(supervisor, new Set(names), tooLate)
    log.info({ services: names }, 'what runs is what is configured')
  }

  async #stop(name: string, isGraceful: boolean, hurry: AbortSignal): Promise<void> {
    const { supervisor } = this.#deps
    const stopped = supervisor.stop(name, this.#stopOptions(name, isGraceful))
    const kill = () => void supervisor.stop(name, { timeoutMs: 0 })
    hurry.addEventListener('abort', kill, { once: true })
    await stopped
    hurry.removeEventListener('abort', kill)
  }

  #stopOptions(name: string, isGraceful: boolean): StopOptions {
    const { supervisor } = this.#deps
    const isOffered = supervisor.services().some(status => status.name === name && status.serves !== undefined)
    return {
      ...(isGraceful && isOffered ? { drain: (signal: AbortSignal) => this.#drain(name, signal) } : {}),
      joins: isGraceful,
      drainTimeoutMs: supervisorPatienceMs(this.configured(name)),
    }
  }

  /**
   * Announces the service as draining and waits until every balancer has let go of it; then withdraws it, so that clients that are
   * bound to it go elsewhere, too, and waits for what was on its way.
   */
  async #drain(name: string, signal: AbortSignal): Promise<void> {
    const { endpoints, serf, log, supervisor, announce } = this.#deps
    const status = supervisor.services().find(candidate => candidate.name === name)
    if (status?.serves === undefined || status.pid === undefined) return
    const service = this.configured(name)
    const endpoint = { ip: serf.local().ip, port: status.serves.port }
    try {
      endpoints.drain(name, status.pid)
      announce()
      await this.#untilLetGo(name, { ...endpoint, phase: 'drain' }, service?.drainTimeoutMs ?? ORPHAN_DRAIN_MS, signal)
      endpoints.withdraw(name, status.pid)
      announce()
      if (signal.aborted || drainClusterOf(serf).balancers().length === 0) return
      await this.#untilLetGo(name, { ...endpoint, phase: 'out' }, OUT_MS, signal)
    } catch (failure) {
      const reason = messageOf(failure)
      log.warn({ service: name, reason }, 'balancers could not be asked whether they have let go')
    } finally {
      this.#silent.delete(name)
    }
  }

  async #untilLetGo(name: string, request: DrainRequest, patienceMs: number, signal: AbortSignal): Promise<void> {
    const { serf, clock, log, journal } = this.#deps
    const service = this.configured(name)
    const { left, bound, silent, below } = await drainEverywhere(drainClusterOf(serf), request, clock, signal, {
      untilMs: clock.nowMs() + patienceMs,
      silent: service?.silentBalancer ?? 'proceed',
      onSilent: names => this.#nameSilent(name, names),
    })
    const phase = request.phase ?? 'drain'
    if (left.size + silent.length > 0)
      log.warn(
        { service: name, phase, left: Object.fromEntries(left), bound, silent },
        'not every balancer has let go of the service',
      )
    if (left.size + silent.length > 0 && phase === 'drain') {
      const what = `${name} stops although ${[...left.keys(), ...silent].join(', ')} had not let go of it`
      journal.guard({ guard: 'drain', what })
    }
    if (phase === 'drain' && below[0] !== undefined) {
      const what = `stopping ${name}: ${belowWords(below[0])}`
      log.warn({ service: name, below: belowWords(below[0]) }, 'stopping the service leaves a pool with too few')
      journal.guard({ guard: 'min_servers', what, pool: below[0].pool })
    }
  }

  #nameSilent(service: string, names: readonly string[]): void {
    if (names.length === 0) return void this.#silent.delete(service)
    this.#silent.set(service, names)
    const { log, journal } = this.#deps
    log.warn({ service, silent: names }, 'a balancer gives no answer; the service waits for it')
    journal.guard({ guard: 'drain', what: `${service} waits for ${names.join(', ')}, which gives no answer` })
  }
}

function byName(services: readonly ServiceConfig[]): Map<string, ServiceConfig> {
  return new Map(services.map(service => [service.name, service]))
}

function differences(before: ReadonlyMap<string, ServiceConfig>, next: readonly ServiceConfig[]): Differences {
  const names = new Set(next.map(({ name }) => name))
  return {
    fresh: next.filter(({ name }) => !before.has(name)),
    changed: next.filter(service => !isSameProcess(before.get(service.name), service)),
    gone: [...before.values()].filter(({ name }) => !names.has(name)),
  }
}

/** Weights are announced, and need no new process. */
function isSameProcess(before: ServiceConfig | undefined, now: ServiceConfig): boolean {
  return before === undefined || isDeepStrictEqual({ ...before, weight: 0 }, { ...now, weight: 0 })
}

/** A service in the supervisor's terms. */
export function specOf(service: ServiceConfig): ServiceSpec {
  const { name, command, env, cwd, user, ready, readyTimeoutMs, stopSignal, stopTimeoutMs, restart, logMaxBytes } =
    service
  const serves = servesOf(service)
  return {
    ...{ name, command, env, readyTimeoutMs, stopSignal, stopTimeoutMs, restart, logMaxBytes },
    ...(cwd === undefined ? {} : { cwd }),
    ...(user === undefined ? {} : { user }),
    ...(ready === undefined ? {} : { ready }),
    ...(serves === undefined ? {} : { serves }),
  }
}

/** How long the supervisor lets a drain take: a little longer than the drain itself, which ends by its own rules. */
function supervisorPatienceMs(service: ServiceConfig | undefined): number {
  if (service?.silentBalancer === 'wait') return FOR_EVER_MS
  return (service?.drainTimeoutMs ?? ORPHAN_DRAIN_MS) + OUT_MS + 1_000
}
