import type { Server } from '../../balancer/index.ts'
import type { Log } from '../../base/index.ts'
import type { SerfMember } from '../../serf/index.ts'
import { type Endpoint, isHostLocal, readEndpoints } from './endpoints.ts'

/** Endpoints remembered of one member after it has taken them back; a stranger who changes his port for ever stays bounded. */
const WITHDRAWN_PER_MEMBER_MAX = 64
/** Members whose refusals are remembered, so that each is warned of once. */
const REFUSALS_MAX = 1024

export interface ServerViewConfig {
  /** The pool of plain members that name none, and where plain members of each pool listen. */
  readonly defaultPool: string
  readonly ports: Readonly<Record<string, number>>
  /** This node announces loopback itself, so that other loopback addresses mean the same machine. */
  readonly acceptsHostLocal: boolean
}

/**
 * Serf's members as the balancer's servers. It remembers what each member announced, since what a member *took back* must
 * leave the pool at once, while what merely vanished must not.
 */
export class ServerView {
  #config: ServerViewConfig
  readonly #log: Log
  /** By member, then by pool and endpoint. */
  readonly #announced = new Map<string, Map<string, Server>>()
  readonly #warned = new Set<string>()
  #refused = 0

  constructor(config: ServerViewConfig, log: Log) {
    this.#config = config
    this.#log = log
  }

  /** From the next reading on. */
  configure(config: ServerViewConfig): void {
    this.#config = config
  }

  /** How many readings had something to refuse, since the start. */
  get refused(): number {
    return this.#refused
  }

  /** Everything that members announce or have taken back, with what is believed of each member. */
  serversOf(members: readonly SerfMember[]): Server[] {
    const present = new Set(members.map(member => member.name))
    const reaped = [...this.#announced].filter(([name]) => !present.has(name))
    const servers = reaped.flatMap(([, before]) =>
      [...before.values()].map(s => ({ ...s, liveness: 'reaped' as const })),
    )
    for (const [name] of reaped) this.#announced.delete(name)
    return [...servers, ...members.flatMap(member => this.#serversOf(member))]
  }

  #serversOf(member: SerfMember): Server[] {
    const announced = new Map(this.#read(member).map(server => [keyOf(server), server]))
    const before = this.#announced.get(member.name)
    const takenBack = [...(before ?? [])]
      .filter(([key]) => !announced.has(key))
      .map(([key, server]) => [key, { ...server, liveness: 'withdrawn' as const }] as const)
      .slice(-WITHDRAWN_PER_MEMBER_MAX)
    const all = new Map<string, Server>([...takenBack, ...announced])
    if (all.size > 0) this.#announced.set(member.name, all)
    return [...all.values()]
  }

  #read(member: SerfMember): Server[] {
    const { endpoints, refused } = readEndpoints(member.tags, { pool: this.#config.defaultPool })
    for (const reason of refused) this.#refuse(member, reason)
    if (endpoints.length === 0) return []
    if (isHostLocal(member.ip) && !this.#config.acceptsHostLocal) {
      this.#refuse(member, `${member.ip} means another machine on every host`)
      return []
    }
    return endpoints.map(endpoint => this.#server(member, endpoint, endpoints))
  }

  #server(member: SerfMember, endpoint: Endpoint, all: readonly Endpoint[]): Server {
    const isAlone = all.filter(other => other.pool === endpoint.pool).length === 1
    const isPlainDefault = endpoint.readiness === 'plain' && member.tags['port'] === undefined
    const port = isPlainDefault ? (this.#config.ports[endpoint.pool] ?? endpoint.port) : endpoint.port
    return {
      pool: endpoint.pool,
      name: isAlone ? member.name : `${member.name}:${port}`,
      host: member.name,
      ip: member.ip,
      port,
      weight: endpoint.weight ?? 1,
      state: member.status === 'leaving' ? 'draining' : endpoint.readiness,
      liveness: member.status === 'left' || member.status === 'failed' ? member.status : 'alive',
    }
  }

  #refuse(member: SerfMember, reason: string): void {
    this.#refused++
    const key = JSON.stringify([member.name, reason])
    if (this.#warned.has(key) || this.#warned.size >= REFUSALS_MAX) return
    this.#warned.add(key)
    this.#log.warn({ member: member.name, reason }, "refused a member's tags; the rest of the pool is unchanged")
  }
}

function keyOf(server: Server): string {
  return `${server.pool} ${server.ip} ${server.port}`
}
