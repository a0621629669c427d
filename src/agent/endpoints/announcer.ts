import { type Log, messageOf } from '../../base/index.ts'
import { encodeTags, type Engine } from '../../serf/index.ts'
import { type Endpoint, formatPoolTag, poolTag } from './endpoints.ts'

/** One endpoint of this node, and whether it should get traffic. */
export interface LocalEndpoint {
  readonly pool: string
  readonly port: number
  /** 0 to 256; 1 is not announced, being what everybody assumes. */
  readonly weight: number
  readonly state: 'down' | 'ready' | 'draining'
}

/** The node's own tags and, for each pool that it serves, one with the endpoints that are up; empty while none is. */
export function announcedTags(
  own: Readonly<Record<string, string>>,
  endpoints: readonly LocalEndpoint[],
): Record<string, string> {
  const tags: Record<string, string> = { ...own }
  for (const pool of new Set(endpoints.map(endpoint => endpoint.pool))) {
    tags[poolTag(pool)] = formatPoolTag(endpoints.filter(e => e.pool === pool && e.state !== 'down').map(toTag))
  }
  return tags
}

/**
 * Tags that fit while nothing is ready, and no longer when it is, would keep every later change from being announced: a dead
 * process would stay in traffic. So their longest form is looked at beforehand.
 * @param longest the node's endpoints, all draining
 * @throws TagsTooLargeError
 */
export function assertTagsFit(own: Readonly<Record<string, string>>, longest: readonly LocalEndpoint[]): void {
  encodeTags(announcedTags(own, longest))
}

function toTag({ port, weight, state }: LocalEndpoint): Pick<Endpoint, 'port' | 'weight' | 'readiness'> {
  return { port, weight: weight === 1 ? undefined : weight, readiness: state === 'draining' ? 'draining' : 'ready' }
}

/** Names of alive members, other than this node, with the tag `role=balancer`. */
export function aliveBalancers(serf: Engine): string[] {
  const self = serf.local().name
  const isBalancer = (tags: Readonly<Record<string, string>>) => tags['role'] === 'balancer'
  return serf
    .members()
    .filter(member => member.status === 'alive' && member.name !== self && isBalancer(member.tags))
    .map(member => member.name)
}

/** What the announcer needs of the cluster. */
export interface Announceable {
  setTags(tags: Record<string, string>, options: { tell: readonly string[] }): Promise<void>
  /** Names of alive balancers, who are told directly as well as by gossip. */
  balancers(): readonly string[]
}

/**
 * Keeps the ring's picture of this node equal to what runs. A change is announced at once, also while an earlier one is
 * still being gossiped: the newer replaces it in everybody's queue.
 */
export class Announcer {
  readonly #cluster: Announceable
  readonly #log: Log
  #announced: string

  /** @param initial the tags that are in the first alive */
  constructor(cluster: Announceable, initial: Record<string, string>, log: Log) {
    this.#cluster = cluster
    this.#log = log
    this.#announced = JSON.stringify(initial)
  }

  /** Announces `tags` unless they are already; resolves when the ring has been told, or could not be within its time. */
  async announce(tags: Record<string, string>): Promise<void> {
    const text = JSON.stringify(tags)
    if (text === this.#announced) return
    this.#announced = text
    try {
      await this.#cluster.setTags(tags, { tell: this.#cluster.balancers() })
    } catch (failure) {
      this.#log.warn(
        { reason: messageOf(failure) },
        'the tags could not be announced in time; gossip goes on with them',
      )
    }
  }
}
