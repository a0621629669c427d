import type { Log } from '../base/index.ts'

/** What a signal may ask of a running agent. */
export interface Signalled {
  stop(options: { readonly leave: boolean }): Promise<void>
  handover(): Promise<void>
}

interface SignalOptions {
  /** SIGINT stops without leaving. */
  readonly skipLeaveOnInterrupt: boolean
  /** Never throws. */
  readonly reload: (agent: Signalled) => Promise<void>
}

/**
 * The process's signals, from before the agent's start until its end. SIGTERM and SIGINT drain, leave and stop; a second one
 * stops at once. SIGUSR2 hands over: the agent ends, its services and HAProxy run on. SIGHUP reads the configuration again. What
 * comes during the start ends the start in the same way; a reload waits until it is up.
 */
export class Signals {
  /** How a start that is under way is given up. */
  readonly starting: { readonly signal: AbortSignal; readonly hurry: AbortSignal; keepsServices: boolean }
  /** What the process should end with: 1 when an ending has failed. */
  exitCode = 0
  readonly #log: Log
  readonly #options: SignalOptions
  readonly #giveUp = new AbortController()
  readonly #hurry = new AbortController()
  #agent: Signalled | undefined
  #asked = 0
  #leaves = true
  #reloads = false

  constructor(log: Log, options: SignalOptions) {
    this.#log = log
    this.#options = options
    this.starting = { signal: this.#giveUp.signal, hurry: this.#hurry.signal, keepsServices: false }
    process.on('SIGTERM', name => this.#end(name)).on('SIGINT', name => this.#end(name))
    process.on('SIGUSR2', () => this.#handOver())
    process.on('SIGHUP', () => this.#reload())
    // Serf prints metrics; Node would open its debugger to everybody on this host.
    process.on('SIGUSR1', () => log.info({}, 'SIGUSR1 prints no metrics here; what there is: muster status'))
  }

  /** The agent is up; what was asked for at the last moment of its start is done now. */
  attach(agent: Signalled): void {
    this.#agent = agent
    if (this.#giveUp.signal.aborted && this.starting.keepsServices) this.#act(agent.handover())
    else if (this.#giveUp.signal.aborted) this.#act(agent.stop({ leave: this.#leaves }))
    if (this.#hurry.signal.aborted) this.#act(agent.stop({ leave: false }))
    if (this.#reloads) this.#reload()
  }

  #end(name: NodeJS.Signals): void {
    const isFirst = this.#asked++ === 0
    const now = isFirst
      ? 'caught a signal; draining and leaving, a second one hurries'
      : 'caught a second signal; stopping now'
    this.#log.info({ signal: name }, now)
    this.#leaves = isFirst && !(name === 'SIGINT' && this.#options.skipLeaveOnInterrupt)
    if (this.#agent !== undefined) return this.#act(this.#agent.stop({ leave: this.#leaves }))
    this.#giveUp.abort(new Error(`${name} came before it was up`))
    if (!isFirst) this.#hurry.abort()
  }

  #handOver(): void {
    this.#log.info({}, 'caught SIGUSR2; handing over')
    if (this.#agent !== undefined) return this.#act(this.#agent.handover())
    if (!this.#giveUp.signal.aborted) this.starting.keepsServices = true // else they are being stopped already
    this.#giveUp.abort(new Error('SIGUSR2 came before it was up'))
  }

  #reload(): void {
    this.#reloads = this.#agent === undefined
    if (this.#agent !== undefined) void this.#options.reload(this.#agent)
  }

  #act(what: Promise<void>): void {
    what.catch((error: unknown) => {
      this.exitCode = 1
      this.#log.error({ error: String(error) }, 'ending failed')
    })
  }
}
