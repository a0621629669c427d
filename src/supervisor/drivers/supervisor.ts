import { accessSync, constants, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  type Clock,
  type FileLock,
  isAlive,
  type Log,
  lockFile,
  messageOf,
  type Random,
  sleep,
} from '../../base/index.ts'
import { AlreadySupervisedError, ServiceSpecError, StateDirError, UnknownServiceError } from '../errors.ts'
import { completeSpec, type ServiceSpec, type Spec } from '../spec.ts'
import type { ServicePaths } from './launch.ts'
import { RecordFile } from './record.ts'
import { ServiceRunner, type ServiceStatus, type StopOptions } from './service-runner.ts'

export interface SupervisorConfig {
  /** Records, locks and logs; on a disk that outlives the agent. Made with mode 0700 when missing. */
  readonly stateDir: string
  /** FIFOs. Paths in it stay below 97 bytes. */
  readonly runDir: string
  readonly services: readonly ServiceSpec[]
}

export interface SupervisorDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** An agent that was killed a moment ago, or hands over, lets go of its lock within this. */
const PREDECESSOR_WAIT_MS = 2000
const PATH_BYTES_MAX = 96

/**
 * Adopts what an earlier agent left running and starts the rest. Resolves when each service has a process or has failed
 * to get one, without waiting for readiness. Listeners added before the next turn of the event loop miss no output.
 * @throws StateDirError, AlreadySupervisedError or ServiceSpecError before anything has been started
 */
export async function startSupervisor(
  config: SupervisorConfig,
  deps: SupervisorDeps,
  signal?: AbortSignal,
): Promise<Supervisor> {
  const specs = config.services.map(completeSpec)
  for (const spec of specs) pathsOf(spec.name, config)
  const doubled = specs.find((spec, at) => specs.findIndex(other => other.name === spec.name) !== at)
  if (doubled !== undefined) throw new ServiceSpecError(`two services are named ${JSON.stringify(doubled.name)}`)
  makeDirectories(config)
  const lock = await takeOver(config.stateDir, deps.clock, signal)
  const supervisor = new Supervisor(config, deps, lock)
  const held = heldBack(specs, config, deps.log)
  await Promise.all(
    specs.map(spec => {
      const holder = held.get(spec.name)
      return holder === undefined ? supervisor.add(spec) : supervisor.hold(spec, holder)
    }),
  )
  return supervisor
}

/** The services of this host. Made by `startSupervisor`; ends by `stop` (services too) or `detach` (they run on). */
export class Supervisor implements AsyncDisposable {
  readonly #config: SupervisorConfig
  readonly #deps: SupervisorDeps
  readonly #lock: FileLock
  readonly #runners = new Map<string, ServiceRunner>()
  readonly #changeListeners = new Set<(status: ServiceStatus) => void>()
  readonly #outputListeners = new Set<(name: string, line: string) => void>()
  /** What is started when another one's process is gone: by its own name, that one's. */
  readonly #held = new Map<string, string>()
  #ending: Promise<void> | undefined

  constructor(config: SupervisorConfig, deps: SupervisorDeps, lock: FileLock) {
    this.#config = config
    this.#deps = deps
    this.#lock = lock
  }

  services(): ServiceStatus[] {
    return [...this.#runners.values()].map(runner => runner.status)
  }

  /** @returns what ends the listening */
  onChange(listener: (status: ServiceStatus) => void): () => void {
    this.#changeListeners.add(listener)
    return () => this.#changeListeners.delete(listener)
  }

  /** Each line that a service prints, on either stream. @returns what ends the listening */
  onOutput(listener: (name: string, line: string) => void): () => void {
    this.#outputListeners.add(listener)
    return () => this.#outputListeners.delete(listener)
  }

  /**
   * One more service: adopted when it runs, else started. Resolves as `startSupervisor` does.
   * @param runningPid a leader of its own session that is known to be this service: adopted when no record or lock tells of another
   * @throws ServiceSpecError when the spec cannot work or the name is taken
   */
  async add(service: ServiceSpec, runningPid?: number): Promise<void> {
    const spec = completeSpec(service)
    if (this.#runners.has(spec.name)) throw new ServiceSpecError(`there is a service ${spec.name} already`)
    if (this.#ending !== undefined) throw new UnknownServiceError('this supervisor has ended')
    const runner = this.#makeRunner(spec)
    this.#runners.set(spec.name, runner)
    await runner.begin(runningPid)
    this.#deps.clock.after(0, () => runner.listen()) // whoever started us adds a listener first
  }

  /** One more service, which is started as soon as the process of `holder` is gone: it has the port. */
  async hold(service: ServiceSpec, holder: string): Promise<void> {
    const runner = this.#makeRunner(completeSpec(service))
    this.#runners.set(service.name, runner)
    this.#held.set(service.name, holder)
    runner.hold(`waits for port ${service.serves?.port}, which ${holder} still has`)
    this.#deps.clock.after(0, () => runner.listen())
  }

  /**
   * Stops a service and forgets it, with its files.
   * @returns false where it is not forgotten: it was left to the next agent meanwhile, or somebody has started it again
   */
  async remove(name: string, options: StopOptions = {}): Promise<boolean> {
    const runner = this.#runner(name)
    await runner.stop(options)
    if (this.#ending !== undefined || runner.status.state !== 'stopped') return false
    this.#runners.delete(name)
    await runner.remove()
    this.#releaseHeld(name)
    return true
  }

  /** Also takes it out of quarantine. Resolves when its process runs, or could not be started. */
  start(name: string): Promise<void> {
    return this.#runner(name).start()
  }

  /** Drain, stop signal, wait, kill. Resolves when it has ended. Called again it hurries, but where it joins: no more drain. */
  stop(name: string, options?: StopOptions): Promise<void>
  /** All services at once, then everything of ours on disk; afterwards this supervisor is of no use. Idempotent. */
  stop(options?: StopOptions): Promise<void>
  stop(nameOrOptions: string | StopOptions = {}, options: StopOptions = {}): Promise<void> {
    if (typeof nameOrOptions === 'string') return this.#runner(nameOrOptions).stop(options)
    if (this.#ending !== undefined) for (const runner of this.#runners.values()) void runner.stop(nameOrOptions) // hurry
    this.#ending ??= this.#stopAll(nameOrOptions)
    return this.#ending
  }

  /** Stop, then start. Resolves when the new process is ready, or has failed. */
  restart(name: string, options?: StopOptions): Promise<void> {
    return this.#runner(name).restart(options)
  }

  /** To the main process. False when it does not run. */
  signal(name: string, signal: NodeJS.Signals): boolean {
    return this.#runner(name).signal(signal)
  }

  /** Lets go of everything and leaves the services running, to be adopted by the next agent. Idempotent. */
  detach(): Promise<void> {
    this.#ending ??= this.#end(async runner => runner.detach(), { remove: false })
    return this.#ending
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /**
   * Services that an earlier agent started and nobody has added here: their names. They are left alone until
   * `removeOrphan`, since whoever adds services later (a balancer its HAProxy) may still want them.
   */
  orphans(): string[] {
    return recordNames(this.#config.stateDir).filter(name => !this.#runners.has(name))
  }

  /**
   * Takes an orphan over as it is, to be announced and drained; of one that has ended the files are taken away.
   * @returns whether it runs
   */
  async adoptOrphan(name: string): Promise<boolean> {
    if (!this.orphans().includes(name)) throw new UnknownServiceError(`there is no orphan ${JSON.stringify(name)}`)
    const record = new RecordFile(pathsOf(name, this.#config).record, this.#deps.log).read()
    const { stopSignal, stopTimeoutMs } = record ?? { stopSignal: 'SIGTERM', stopTimeoutMs: 10_000 }
    // Nobody knows its command any more: when it ends by itself, that is that.
    const spec = { name, command: ['true'], stopSignal, stopTimeoutMs, restart: { quarantineAfter: 1 } }
    const runner = this.#makeRunner(completeSpec(spec), { orphan: true })
    this.#runners.set(name, runner)
    const runs = await runner.adopt()
    if (runs) this.#deps.clock.after(0, () => runner.listen())
    else await this.remove(name)
    return runs
  }

  /** Ends an orphan as it wanted to be ended when it was started, and takes away its files. */
  async removeOrphan(name: string, options: StopOptions = {}): Promise<void> {
    if (await this.adoptOrphan(name)) await this.remove(name, options)
  }

  async #stopAll(options: StopOptions): Promise<void> {
    await Promise.all([...this.#runners.values()].map(runner => runner.stop(options)))
    await this.#end(runner => runner.remove(), { remove: true })
  }

  async #end(how: (runner: ServiceRunner) => Promise<void>, o: { readonly remove: boolean }): Promise<void> {
    await Promise.all([...this.#runners.values()].map(how))
    this.#runners.clear()
    this.#lock.release(o)
  }

  #runner(name: string): ServiceRunner {
    const runner = this.#runners.get(name)
    if (runner !== undefined) return runner
    const known = [...this.#runners.keys()].join(', ') || 'none'
    throw new UnknownServiceError(`there is no service ${JSON.stringify(name)}; known: ${known}`)
  }

  #releaseHeld(holder: string): void {
    for (const [name, by] of this.#held) {
      if (by !== holder) continue
      this.#held.delete(name)
      void this.#runners.get(name)?.start() // a failure is its state
    }
  }

  #makeRunner(spec: Spec, o: { readonly orphan: boolean } = { orphan: false }): ServiceRunner {
    const log = this.#deps.log.child({ service: spec.name })
    return new ServiceRunner(spec, pathsOf(spec.name, this.#config), {
      ...this.#deps,
      ...o,
      log,
      changed: status => {
        if (status.pid === undefined && this.#held.size > 0) this.#releaseHeld(status.name)
        for (const listener of this.#changeListeners) guarded(log, () => listener(status))
      },
      output: (name, line) => {
        for (const listener of this.#outputListeners) guarded(log, () => listener(name, line))
      },
    })
  }
}

/**
 * Services that do not run yet and whose port a running process still has that is to go: one that left the configuration, or
 * moves to another port. Started beside it they would fail, or be taken for ready because that one answers.
 * @returns by name: who has the port
 */
function heldBack(specs: readonly Spec[], config: SupervisorConfig, log: Log): Map<string, string> {
  const running = recordNames(config.stateDir).flatMap(name => {
    const record = new RecordFile(pathsOf(name, config).record, log).read()
    return record !== undefined && isAlive(record) ? [{ name, port: record.serves?.port }] : []
  })
  const isLeaving = (name: string, port: number) => specs.find(spec => spec.name === name)?.serves?.port !== port
  return new Map(
    specs.flatMap(({ name, serves }) => {
      if (serves === undefined || running.some(one => one.name === name)) return []
      const holder = running.find(one => one.port === serves.port && isLeaving(one.name, serves.port))
      return holder === undefined ? [] : [[name, holder.name] as const]
    }),
  )
}

function recordNames(stateDir: string): string[] {
  const files = readdirSync(stateDir).filter(file => file.endsWith('.json'))
  return files.map(file => file.slice(0, -'.json'.length))
}

/** A listener's failure is its own: the service and the other listeners go on. */
function guarded(log: Log, call: () => void): void {
  try {
    call()
  } catch (failure) {
    log.error({ error: messageOf(failure) }, 'a listener failed')
  }
}

function pathsOf(name: string, config: SupervisorConfig): ServicePaths {
  const fifo = join(config.runDir, `${name}.fifo`)
  if (Buffer.byteLength(fifo) > PATH_BYTES_MAX)
    throw new StateDirError(`${fifo} is longer than ${PATH_BYTES_MAX} bytes; choose a shorter run directory`)
  const stem = join(config.stateDir, name)
  return { record: `${stem}.json`, lock: `${stem}.lock`, log: `${stem}.log`, fifo }
}

function makeDirectories(config: SupervisorConfig): void {
  for (const path of [config.stateDir, config.runDir]) {
    try {
      mkdirSync(path, { recursive: true, mode: 0o700 })
      accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
    } catch (cause) {
      const advice = 'Nothing was started. Give this user the directory, or choose another'
      throw new StateDirError(`cannot write to ${path}: ${messageOf(cause)}. ${advice}`, { cause })
    }
  }
}

async function takeOver(stateDir: string, clock: Clock, signal?: AbortSignal): Promise<FileLock> {
  const path = join(stateDir, '.supervisor.lock') // no service's name begins with a dot
  const untilMs = clock.nowMs() + PREDECESSOR_WAIT_MS
  for (;;) {
    const lock = await lockFile(path)
    if (lock !== undefined) return lock
    if (clock.nowMs() >= untilMs) break
    await sleep(clock, 20, signal)
  }
  throw new AlreadySupervisedError(
    `another agent supervises from ${stateDir}; nothing was started. Stop that one first`,
  )
}
