/** What an agent answers to `GET /v1/status`: a plain record, the same in JSON. */
export interface AgentStatus {
  readonly node: string
  readonly pid: number
  readonly version: string
  /** How many members the ring has, by Serf's word for their state. */
  readonly members: Readonly<Record<'alive' | 'leaving' | 'left' | 'failed', number>>
  readonly services: readonly ServiceReport[]
  /** Only on balancers. */
  readonly balancer?: BalancerReport
  /** What an operator should know or do, in sentences. */
  readonly warnings?: readonly string[]
}

export interface ServiceReport {
  readonly name: string
  readonly state: string
  readonly pid?: number
  readonly restarts?: number
  readonly reason?: string
  readonly pool?: string
  readonly port?: number
}

export interface BalancerReport {
  readonly haproxy: {
    readonly pid?: number
    readonly version?: string
    readonly state: string
    readonly reloads: number
  }
  readonly pools: readonly PoolReport[]
  /** Endpoints and tags of members that were refused since the start; the log says which and why. */
  readonly refused?: number
  /** What the template lacks, and what it costs. */
  readonly advice: readonly string[]
}

export interface PoolReport {
  readonly name: string
  readonly servers: readonly ServerReport[]
}

export interface ServerReport {
  /** The member's name, never a slot's. */
  readonly name: string
  readonly address: string
  readonly state: string
  /** Why it is in that state, in words. */
  readonly reason: string
  readonly slot?: string
  readonly sessions?: number
}

export interface MemberReport {
  readonly name: string
  readonly address: string
  readonly status: string
  readonly tags: Readonly<Record<string, string>>
}

/** What the API asks of the agent. */
export interface ApiBackend {
  status(): Promise<AgentStatus>
  members(): Promise<readonly MemberReport[]>
  /** Ends the agent without leaving; children stay. Resolves when that has begun: the answer still has to go out. */
  handover(): Promise<void>
  version(): string
}
