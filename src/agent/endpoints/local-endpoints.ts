import type { Serves, ServiceStatus, Supervisor } from '../../supervisor/index.ts'
import type { LocalEndpoint } from './announcer.ts'
import type { ServiceConfig } from '../config/types.ts'

/** The endpoints of this node, as its services come and go: only what is ready is offered. */
export class LocalEndpoints {
  #configured: readonly LocalEndpoint[]
  /** By service: the process that is being drained. */
  readonly #draining = new Map<string, number>()
  /** By service: the process that is announced no more, although it runs. */
  readonly #withdrawn = new Map<string, number>()

  constructor(services: readonly ServiceConfig[]) {
    this.#configured = configuredOf(services)
  }

  /** What is configured from now on. */
  configure(services: readonly ServiceConfig[]): void {
    this.#configured = configuredOf(services)
  }

  /** From now on the service is announced as draining, as long as this process runs. */
  drain(service: string, pid: number): void {
    this.#draining.set(service, pid)
  }

  /** From now on the service is not announced, as long as this process runs: what is bound to it goes elsewhere, too. */
  withdraw(service: string, pid: number): void {
    this.#withdrawn.set(service, pid)
  }

  /** Every endpoint in the state that takes the most room in a tag. @param services default: what is configured now */
  longest(services?: readonly ServiceConfig[]): LocalEndpoint[] {
    const configured = services === undefined ? this.#configured : configuredOf(services)
    return configured.map(endpoint => ({ ...endpoint, state: 'draining' }))
  }

  /** What the processes that run serve, also where that is not what is configured now; and all pools that are configured. */
  current(statuses: readonly ServiceStatus[]): LocalEndpoint[] {
    const running = statuses.flatMap(({ name, state, pid, serves: given }) => {
      if (given === undefined) return []
      const serves = { ...given, weight: this.#weightOf(given) }
      if (pid !== undefined && this.#withdrawn.get(name) === pid) return [{ ...serves, state: 'down' as const }]
      const isDraining = pid !== undefined && this.#draining.get(name) === pid
      return [{ ...serves, state: stateOf(state, isDraining) }]
    })
    return [...running, ...this.#configured]
  }

  /** Of a process that was started with another one, too. */
  #weightOf({ pool, port, weight }: Serves): number {
    return this.#configured.find(one => one.pool === pool && one.port === port)?.weight ?? weight
  }
}

function configuredOf(services: readonly ServiceConfig[]): LocalEndpoint[] {
  return services.flatMap(service => {
    const serves = servesOf(service)
    return serves === undefined ? [] : [{ ...serves, state: 'down' as const }]
  })
}

/** The endpoint that a service is configured to offer. */
export function servesOf({ pool, port, weight }: ServiceConfig): Serves | undefined {
  return pool === undefined || port === undefined ? undefined : { pool, port, weight }
}

function stateOf(state: ServiceStatus['state'], isDraining: boolean): LocalEndpoint['state'] {
  if (state === 'stopping' && isDraining) return 'draining'
  if (state !== 'ready') return 'down'
  return isDraining ? 'draining' : 'ready'
}

/**
 * Waits until each service that an earlier agent left running has proved itself, so that the node's first alive carries its
 * endpoints and no balancer takes them out for a moment.
 * @param patienceMs for all of them together; one that is not ready by then is announced later
 */
export function adoptedAreReady(supervisor: Supervisor, wait: (ms: number) => Promise<void>, patienceMs = 1_000) {
  return settled(supervisor, status => status.adopted, wait(patienceMs))
}

/**
 * Waits until every service is ready, or has failed, before the ring is joined: a real Serf agent makes one event of a join
 * and a change of tags in the same second, and a hand-made balancer that only handles joins would never see the server.
 */
export function startedAreReady(supervisor: Supervisor, wait: (ms: number) => Promise<void>, patienceMs = 3_000) {
  return settled(supervisor, () => true, wait(patienceMs))
}

/** Resolves when no service that counts is starting any more, or with `tooLate`. */
async function settled(
  supervisor: Supervisor,
  counts: (status: ServiceStatus) => boolean,
  tooLate: Promise<void>,
): Promise<void> {
  const isPending = () => supervisor.services().some(status => status.state === 'starting' && counts(status))
  if (!isPending()) return
  let end = () => {}
  const changed = new Promise<void>(resolve => {
    end = supervisor.onChange(() => void (isPending() || resolve()))
  })
  await Promise.race([changed, tooLate])
  end()
}
