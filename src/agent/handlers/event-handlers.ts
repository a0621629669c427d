import { BoundedQueue, type Clock, type Log, messageOf } from '../../base/index.ts'
import { type HandledEvent, matchesFilter, type SerfEvent } from '../../serf/index.ts'
import type { HandlerSpec } from './handler-spec.ts'
import { scriptEnvironment, scriptInput } from './script-contract.ts'

/** What to run; the driver adds its own environment below `env`. */
export interface ScriptCall {
  readonly script: string
  readonly env: Readonly<Record<string, string>>
  readonly input: Uint8Array
}

export interface ScriptResult {
  /** Undefined when a signal ended it. */
  readonly exitStatus: number | undefined
  readonly signal: string | undefined
  /** The last `SCRIPT_OUTPUT_BYTES_MAX` bytes of standard output and error together. */
  readonly output: Uint8Array
}

/** A script that runs. */
export interface RunningScript {
  /** Rejects when it could not be started. */
  readonly ended: Promise<ScriptResult>
  /** Signals the script and what it started, while it lives. */
  kill(signal: 'SIGTERM' | 'SIGKILL'): void
}

export interface EventHandlersOptions {
  readonly specs: readonly HandlerSpec[]
  readonly selfName: string
  /** The local member's tags, asked at each call. */
  readonly tags: () => Readonly<Record<string, string>>
  /** Starts a script; `runScript` of the driver. Must not throw: what fails is `ended`. */
  readonly spawn: (call: ScriptCall) => RunningScript
  readonly log: Log
  readonly clock: Clock
}

/** As Serf. */
export const SCRIPT_OUTPUT_BYTES_MAX = 8192

/**
 * Runs event handler scripts as Serf does, with one difference: Serf waits for each script before anything else goes on;
 * here each script has a queue of its own, so that a slow or failing one delays nothing but itself. Handlers with the same
 * script share its queue, since such scripts write the same file and two at once lose one's changes.
 * Feed it events that are already coalesced.
 */
export class EventHandlers {
  readonly #options: EventHandlersOptions
  #lanes: readonly Lane[]
  readonly #retired = new Set<Lane>()

  constructor(options: EventHandlersOptions) {
    this.#options = options
    this.#lanes = lanesOf(options.specs, options, [])
  }

  /** There is no handler: events need not come. */
  get isIdle(): boolean {
    return this.#lanes.length === 0
  }

  /** Queues `event` for every handler it matches and returns at once. */
  handle(event: SerfEvent): void {
    if (event.kind === 'conflict-lost') return
    for (const lane of this.#lanes) lane.handle(event)
  }

  /** New handlers from the next event on (SIGHUP); what is queued still runs. */
  replace(specs: readonly HandlerSpec[]): void {
    const before = this.#lanes
    this.#lanes = lanesOf(specs, this.#options, before)
    for (const lane of before) {
      if (this.#lanes.includes(lane)) continue
      this.#retired.add(lane)
      void lane.idle().then(() => this.#retired.delete(lane))
    }
  }

  /** Resolves when every script that was asked for has run. */
  async idle(): Promise<void> {
    await Promise.all(this.#allLanes().map(lane => lane.idle()))
  }

  /**
   * Takes no further events. Lets queued scripts run for `drainMs` (default 0), then drops the queues, signals what runs
   * with SIGTERM and, after `killMs` (default 1000), SIGKILL. Resolves when no script is left; idempotent.
   */
  async stop(options: { readonly drainMs?: number; readonly killMs?: number } = {}): Promise<void> {
    const lanes = this.#allLanes()
    this.#lanes = []
    for (const lane of lanes) this.#retired.add(lane)
    const { clock } = this.#options
    const drainMs = options.drainMs ?? 0
    const timers = [
      clock.after(drainMs, () => lanes.forEach(lane => lane.abandon('SIGTERM'))),
      clock.after(drainMs + (options.killMs ?? 1000), () => lanes.forEach(lane => lane.abandon('SIGKILL'))),
    ]
    await Promise.all(lanes.map(lane => lane.idle()))
    for (const timer of timers) timer.cancel()
    this.#retired.clear()
  }

  #allLanes(): Lane[] {
    return [...this.#lanes, ...this.#retired]
  }
}

/**
 * Events that may wait for one script; beyond that the newest are dropped and counted. Serf has room for 64; a script that
 * takes a second keeps up with an hour of a change each second.
 */
const QUEUED_EVENTS_MAX = 4096
const SLOW_MS = 1000

/** One script, its filters, and the events that wait for it. */
class Lane {
  readonly script: string
  filters: HandlerSpec['filters'] = []
  readonly #options: EventHandlersOptions
  #queue = new BoundedQueue<HandledEvent>(QUEUED_EVENTS_MAX)
  #running: RunningScript | undefined
  #work: Promise<void> | undefined
  #dropped = 0

  constructor(script: string, options: EventHandlersOptions) {
    this.script = script
    this.#options = options
  }

  handle(event: HandledEvent): void {
    for (const filter of this.filters) if (matchesFilter(filter, event)) this.#enqueue(event)
  }

  async idle(): Promise<void> {
    while (this.#work !== undefined) await this.#work
  }

  /** Forgets what waits and signals what runs. */
  abandon(signal: 'SIGTERM' | 'SIGKILL'): void {
    this.#queue = new BoundedQueue(QUEUED_EVENTS_MAX)
    this.#running?.kill(signal)
  }

  #enqueue(event: HandledEvent): void {
    if (!this.#queue.push(event) && this.#dropped++ === 0) {
      this.#options.log.error(
        { script: this.script, waiting: this.#queue.size },
        'script too slow, dropping its events',
      )
    }
    this.#work ??= this.#drain()
  }

  /** Never rejects. */
  async #drain(): Promise<void> {
    for (let event = this.#queue.shift(); event !== undefined; event = this.#queue.shift()) {
      try {
        await this.#run(event)
      } catch (failure) {
        this.#options.log.error({ script: this.script, reason: messageOf(failure) }, 'error invoking script')
      }
    }
    this.#work = undefined
    if (this.#dropped > 0) this.#options.log.warn({ script: this.script, dropped: this.#dropped }, 'script caught up')
    this.#dropped = 0
  }

  async #run(event: HandledEvent): Promise<void> {
    const { clock, log, selfName, spawn, tags } = this.#options
    const env = scriptEnvironment(event, { name: selfName, tags: tags() })
    this.#running = spawn({ script: this.script, env, input: scriptInput(event) })
    const slow = clock.after(SLOW_MS, () => log.warn({ script: this.script }, 'script slow, execution exceeding 1s'))
    try {
      await this.#report(event, await this.#running.ended)
    } finally {
      slow.cancel()
      this.#running = undefined
    }
  }

  async #report(event: HandledEvent, result: ScriptResult): Promise<void> {
    const { log } = this.#options
    const output = Buffer.from(result.output).toString()
    log.debug({ event: event.kind, script: this.script, output }, 'event script output')
    if (result.exitStatus !== 0) {
      const { exitStatus, signal } = result
      log.error({ script: this.script, event: event.kind, exitStatus, signal, output }, 'error invoking script')
      return
    }
    if (event.kind !== 'query' || result.output.length === 0) return
    try {
      await event.respond(result.output)
    } catch (failure) {
      log.warn({ query: event.name, script: this.script, reason: messageOf(failure) }, 'failed to respond to query')
    }
  }
}

/** One lane per distinct script, in the order of the list; those that exist already keep their queue. */
function lanesOf(specs: readonly HandlerSpec[], options: EventHandlersOptions, existing: readonly Lane[]): Lane[] {
  const lanes = new Map<string, Lane>()
  const filters = new Map<string, HandlerSpec['filters']>()
  for (const { script, filters: more } of specs) {
    const known = existing.find(lane => lane.script === script)
    lanes.set(script, lanes.get(script) ?? known ?? new Lane(script, options))
    filters.set(script, [...(filters.get(script) ?? []), ...more])
  }
  for (const [script, lane] of lanes) lane.filters = filters.get(script) ?? []
  return [...lanes.values()]
}
