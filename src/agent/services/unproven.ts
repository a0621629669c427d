import { type Log, MusterError } from '../../base/index.ts'
import type { ServiceStatus, Supervisor } from '../../supervisor/index.ts'

/** What was started before is not ready. What serves was left as it is. */
export class NotReadyError extends MusterError {
  readonly code = 'AGENT_SERVICE_NOT_READY'
}

/** What waits, and what it waits for. */
interface Held {
  readonly left: readonly string[]
  readonly unready: readonly ServiceStatus[]
}

/**
 * The services that were started in place of others, or beside them, and have not been seen ready yet. While there are any, nothing
 * that serves is taken away: what keeps one from starting would keep the next one, too, until none was left.
 */
export class Unproven {
  readonly #deps: { readonly supervisor: Supervisor; readonly log: Log }
  readonly #names = new Set<string>()
  readonly #held = new Set<Held>()

  constructor(deps: { readonly supervisor: Supervisor; readonly log: Log }) {
    this.#deps = deps
  }

  /** It is being started. */
  add(name: string): void {
    this.#names.add(name)
  }

  /** It is gone. */
  delete(name: string): void {
    this.#names.delete(name)
  }

  /** Those that are not ready, but this one. */
  names(but: string): string[] {
    return this.#open(new Set([but])).map(({ name }) => name)
  }

  /** What an operator should know, in sentences. */
  warnings(): string[] {
    return [...this.#held].map(({ left, unready }) => {
      const why = unready.map(({ name, reason }) => (reason === undefined ? name : `${name} (${reason})`))
      return `the change of ${left.join(', ')} waits and is not done: not ready as configured now: ${why.join(', ')}; it goes on when that is, or with another configuration`
    })
  }

  /**
   * Resolves when each of them is ready, however long that takes, or the signal is aborted.
   * @param but not waited for: these are to be replaced or ended themselves
   * @param left what is not done before: named in the log and in the warnings as soon as one has failed
   */
  async ready(but: ReadonlySet<string>, left: readonly string[], signal: AbortSignal): Promise<void> {
    let held: Held | undefined
    const isOver = () => {
      const open = this.#open(but)
      const unready = open.filter(({ state }) => FAILED.has(state))
      if (held === undefined && unready.length > 0 && left.length > 0) {
        held = { left, unready }
        this.#held.add(held)
        const names = unready.map(({ name }) => name)
        const what =
          'what was started is not ready; nothing else is taken away before it is, or is configured otherwise'
        this.#deps.log.warn({ services: names, reason: unready[0]?.reason, left }, what)
      }
      return open.length === 0
    }
    try {
      await until(isOver, listener => this.#deps.supervisor.onChange(listener), signal)
    } finally {
      if (held !== undefined) this.#held.delete(held)
    }
  }

  #open(but: ReadonlySet<string>): ServiceStatus[] {
    const statuses = this.#deps.supervisor.services().filter(({ name }) => this.#names.has(name))
    const ready = statuses.filter(({ state }) => state === 'ready').map(({ name }) => name)
    for (const name of ready) this.#names.delete(name)
    if (ready.length > 0) this.#deps.log.info({ services: ready }, 'what runs is what is configured')
    return statuses.filter(({ name }) => this.#names.has(name) && !but.has(name))
  }
}

const FAILED: ReadonlySet<string> = new Set(['backoff', 'quarantined', 'stopped'])

/** Resolves when it is over, asked at once and with every change, or the signal is aborted. */
function until(
  isOver: () => boolean,
  onChange: (listener: () => void) => () => void,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted || isOver()) return Promise.resolve()
  return new Promise(resolve => {
    const end = () => {
      stop()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const stop = onChange(() => void (isOver() && end()))
    signal.addEventListener('abort', end, { once: true })
  })
}
