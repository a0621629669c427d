import type { ServiceStatus, Supervisor } from '../supervisor/index.ts'
import type { LocalEndpoint } from './announcer.ts'
import type { ServiceConfig } from './config/types.ts'

type Offering = ServiceConfig & { readonly pool: string; readonly port: number }

/** The endpoints of this node, as its services come and go: only what is ready is offered. */
export class LocalEndpoints {
  readonly #offerings: readonly Offering[]
  readonly #draining = new Set<string>()

  constructor(services: readonly ServiceConfig[]) {
    this.#offerings = services.filter((s): s is Offering => s.pool !== undefined && s.port !== undefined)
  }

  /** Whether stopping this service takes something out of a pool. */
  isOffered(service: string): boolean {
    return this.#offerings.some(offering => offering.name === service)
  }

  /** From now on the service is announced as draining, until it is ready again after a stop. */
  drain(service: string): void {
    this.#draining.add(service)
  }

  /** Takes back `drain`, for a service that has stopped. */
  undrain(service: string): void {
    this.#draining.delete(service)
  }

  portOf(service: string): number | undefined {
    return this.#offerings.find(offering => offering.name === service)?.port
  }

  /** Every endpoint in the state that takes the most room in a tag. */
  longest(): LocalEndpoint[] {
    return this.#offerings.map(({ pool, port, weight }) => ({ pool, port, weight, state: 'draining' }))
  }

  current(statuses: readonly ServiceStatus[]): LocalEndpoint[] {
    const states = new Map(statuses.map(status => [status.name, status.state]))
    return this.#offerings.map(({ name, pool, port, weight }) => ({
      pool,
      port,
      weight,
      state: stateOf(states.get(name), this.#draining.has(name)),
    }))
  }
}

function stateOf(state: ServiceStatus['state'] | undefined, isDraining: boolean): LocalEndpoint['state'] {
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
