import { type Clock, type Log, messageOf } from '../../base/index.ts'
import type { Engine } from '../../serf/index.ts'
import {
  assertSpec,
  type ServiceSpec,
  type ServiceStatus,
  type StopOptions,
  type Supervisor,
} from '../../supervisor/index.ts'
import { assertTagsFit } from '../endpoints/announcer.ts'
import type { ServiceConfig } from '../config/index.ts'
import { belowWords } from '../draining/draining.ts'
import { type DrainRequest, drainEverywhere } from '../endpoints/drain.ts'
import { drainClusterOf } from '../endpoints/drain-query.ts'
import { type LocalEndpoints, servesOf } from '../endpoints/local-endpoints.ts'
import type { Journaling } from '../journal/journaling.ts'
import { byName, differences, namesIn, type Step, stepsOf } from './service-steps.ts'
import { NotReadyError, Unproven } from './unproven.ts'

/** How long balancers may take to let go of a service that an earlier agent left, and is in the configuration no more. */
const ORPHAN_DRAIN_MS = 30_000
/** After the drain nobody is sent there any more; what came just before that has this long to be answered. */
const OUT_MS = 5_000
/** The supervisor's own patience, where the service is to wait for silent balancers: they are waited for by what they say. */
const FOR_EVER_MS = 7 * 24 * 3_600_000

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

/** The services of this host, as the agent stops, starts and changes them: no process ends before every balancer has let go. */
export class HostServices {
  readonly #deps: HostServicesDeps
  #configured: readonly ServiceConfig[]
  /** What runs, or is to run: as it was started. */
  readonly #started: Map<string, ServiceConfig>
  /** What was found running otherwise than configured, and could not be restarted yet. */
  readonly #stale = new Set<string>()
  /** By service that is being stopped: balancers that give no answer. */
  readonly #silent = new Map<string, readonly string[]>()
  #changing: Promise<void> = Promise.resolve()
  /** Of the change that came last: aborted by the next one, and by the end of all services. */
  #turn = new AbortController()
  /** What is being started this moment. */
  #adding: Promise<void> = Promise.resolve()
  /** Aborted when they all are being stopped, or have been: none is started any more. */
  readonly #ending = new AbortController()
  /** What a change has started and nobody has seen ready. */
  readonly #unproven: Unproven

  constructor(configured: readonly ServiceConfig[], deps: HostServicesDeps) {
    this.#configured = configured
    this.#started = byName(configured)
    this.#deps = deps
    this.#unproven = new Unproven(deps)
  }

  /** As it is configured now. */
  configured(name: string): ServiceConfig | undefined {
    return this.#configured.find(service => service.name === name)
  }

  /** What an operator should know, in sentences. */
  warnings(): string[] {
    const silent = [...this.#silent].map(
      ([service, names]) => `${service} is being stopped and waits for ${names.join(' and ')}, which gives no answer`,
    )
    return [...silent, ...this.#unproven.warnings()]
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
   * Takes over what is configured now; in the background, one after the other, and what was started is ready before anything that
   * serves is taken away, however long that takes: where it fails, the rest runs on as before until it is mended, or the next
   * configuration goes on from there. What is being started otherwise than it is configured now is not waited for.
   * @param ownTags what is gossiped beside the endpoints
   * @throws ServiceSpecError, TagsTooLargeError: nothing has changed
   */
  change(next: readonly ServiceConfig[], ownTags: Readonly<Record<string, string>>): void {
    const { endpoints, log, announce } = this.#deps
    this.assertTakable(next, ownTags)
    this.#configured = next
    endpoints.configure(next)
    announce()
    if (this.#ending.signal.aborted)
      return log.info({}, 'the services are being stopped; of the configuration none is started')
    this.#giveUpStarts()
    this.#goOn()
  }

  /** What `change` asks before it changes anything. @throws ServiceSpecError, TagsTooLargeError */
  assertTakable(next: readonly ServiceConfig[], ownTags: Readonly<Record<string, string>>): void {
    for (const service of next) assertSpec(specOf(service))
    assertTagsFit(ownTags, this.#deps.endpoints.longest(next))
  }

  /**
   * Drains a service and starts it as it is configured now. Resolves when the new process is ready, or has failed; at once where it
   * is being ended or replaced already, or all services are.
   * @throws NotReadyError where it serves and what was started before is not ready: it runs on, and is replaced when that is
   */
  async restart(name: string): Promise<void> {
    const state = this.#runningOf(name)?.state
    if (this.#ending.signal.aborted || state === 'stopping') return
    const unready = this.#unproven.names(name)
    if (state === 'ready' && unready.length > 0) {
      this.#stale.add(name)
      this.#goOn()
      throw new NotReadyError(`${unready.join(', ')} is not ready; ${name} runs on as before until it is`)
    }
    const restarted = this.#deps.supervisor.restart(name, this.#stopOptions(name, true))
    this.#unproven.add(name)
    await restarted
  }

  /** Drains a service and ends it for good. */
  async remove(name: string): Promise<void> {
    await this.#remove(name)
  }

  /**
   * All of them, at once, and for good: nothing is started any more. What is being drained already goes on as it is. HAProxy is
   * the balancer's.
   * @param isGraceful false: nothing is drained, nor any longer
   * @param hurry no more draining or waiting once it is aborted
   */
  async stopAll(isGraceful: boolean, hurry: AbortSignal): Promise<void> {
    this.#ending.abort()
    this.#turn.abort()
    await this.#adding.catch(() => undefined) // told by the change; what is half started could not be stopped
    const services = this.#deps.supervisor.services().filter(service => service.name !== 'haproxy')
    await Promise.all(services.map(service => this.#stop(service.name, isGraceful, hurry)))
  }

  /** From what was started, wherever the change before has come to. */
  #goOn(): void {
    this.#turn.abort()
    this.#turn = new AbortController()
    const { signal } = this.#turn
    const { log } = this.#deps
    this.#changing = this.#changing
      .then(() => this.#perform(signal))
      .catch((failure: unknown) => log.error({ reason: messageOf(failure) }, 'not every service is as configured'))
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
    const steps = stepsOf(differences(this.#started, this.#configured, this.#stale), name => {
      const status = this.#runningOf(name)
      return status && { port: status.serves?.port, isReady: status.state === 'ready' }
    })
    for (const [at, { end, start }] of steps.entries()) {
      await this.#untilTakable(steps.slice(at), turn)
      if (turn.aborted || !(await this.#end(end))) return
      await this.#add(start, turn)
    }
    await this.#unproven.ready(new Set(), [], turn)
  }

  /** Until what was started is ready, where the first of these steps takes away something that serves. */
  async #untilTakable(steps: readonly Step[], turn: AbortSignal): Promise<void> {
    if (steps[0]?.end.some(name => this.#runningOf(name)?.state === 'ready') !== true) return
    await this.#unproven.ready(new Set(steps.flatMap(({ end }) => end)), namesIn(steps), turn)
  }

  #runningOf(name: string): ServiceStatus | undefined {
    return this.#deps.supervisor.services().find(service => service.name === name)
  }

  /** @returns false where it runs on: it was left to the next agent, or started again meanwhile */
  #remove(name: string): Promise<boolean> {
    return this.#deps.supervisor.remove(name, this.#stopOptions(name, true))
  }

  /** @returns false where one of them runs on */
  async #end(names: readonly string[]): Promise<boolean> {
    const ended = await Promise.all(
      names.map(async name => {
        if (this.#runningOf(name) !== undefined && !(await this.#remove(name))) return false
        this.#started.delete(name)
        this.#stale.delete(name)
        this.#unproven.delete(name)
        return true
      }),
    )
    const runOn = names.filter((_, at) => ended[at] !== true)
    if (runOn.length > 0) this.#deps.log.info({ services: runOn }, 'what was to be replaced or ended runs on')
    return runOn.length === 0
  }

  async #add(services: readonly ServiceConfig[], turn: AbortSignal): Promise<void> {
    for (const service of services) {
      if (turn.aborted) return
      this.#started.set(service.name, service) // at once: a change may come while it is being started
      this.#unproven.add(service.name)
      this.#adding = this.#deps.supervisor.add(specOf(service))
      await this.#adding
    }
  }

  /** How it wants to be ended; one that is configured no more, as when it was started. */
  #termsOf(name: string): ServiceConfig | undefined {
    return this.configured(name) ?? this.#started.get(name)
  }

  async #stop(name: string, isGraceful: boolean, hurry: AbortSignal): Promise<void> {
    const { supervisor } = this.#deps
    const stopped = supervisor.stop(name, this.#stopOptions(name, isGraceful))
    const kill = () => void (this.#runningOf(name) && supervisor.stop(name, { timeoutMs: 0 }))
    if (hurry.aborted) kill()
    hurry.addEventListener('abort', kill, { once: true })
    try {
      await stopped
    } finally {
      hurry.removeEventListener('abort', kill)
    }
  }

  #stopOptions(name: string, isGraceful: boolean): StopOptions {
    const { supervisor } = this.#deps
    const isOffered = supervisor.services().some(status => status.name === name && status.serves !== undefined)
    return {
      ...(isGraceful && isOffered ? { drain: (signal: AbortSignal) => this.#drain(name, signal) } : {}),
      joins: isGraceful,
      drainTimeoutMs: supervisorPatienceMs(this.#termsOf(name)),
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
    const service = this.#termsOf(name)
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
    const service = this.#termsOf(name)
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
