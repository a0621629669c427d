import type { ConfiguringBackend } from './plan.ts'
import type { HistoryAsk, HistoryPage, HistoryPools } from './history.ts'
import type { WhyReport } from './why.ts'

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
    /** From before reloads, with what they still serve. */
    readonly oldWorkers?: readonly { readonly pid: number; readonly sessions: number; readonly ageMs: number }[]
  }
  readonly pools: readonly PoolReport[]
  /** Endpoints and tags of members that were refused since the start; the log says which and why. */
  readonly refused?: number
  /** Guards that act at this moment, in sentences. */
  readonly guards?: readonly string[]
  /** What somebody else changed, and what became of it, in sentences; the newest last. */
  readonly drifts?: readonly string[]
  /** What the template lacks, and what it costs. */
  readonly advice: readonly string[]
}

export interface PoolReport {
  readonly name: string
  /** Requests that were sent again since HAProxy's last start or reload, as of some seconds ago. */
  readonly retries?: number
  /** Requests that wait for a server. */
  readonly waiting?: number
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

/** Something that happened in the ring. */
export interface EventReport {
  /** Grows, also over restarts of the agent; not by one. */
  readonly index: number
  /** ISO 8601. */
  readonly at: string
  /** Serf's word: `member-join`, `user`, `query`… */
  readonly event: string
  readonly members?: readonly MemberReport[]
  /** Of user events and queries. */
  readonly name?: string
  readonly ltime?: number
  readonly payload?: string
}

export interface EventPage {
  /** In order; at most 512. */
  readonly events: readonly EventReport[]
  /** Ask for what comes after this next. */
  readonly last: number
  /** What was asked for is partly forgotten, or from before the agent's start. */
  readonly missed: boolean
}

/** A server that an operator has drained on every balancer, and what is left there. */
export interface DrainReport {
  /** As it was asked for: a member's name, a server's, or an address. */
  readonly server: string
  /** Absent: in every pool. */
  readonly pool?: string
  /** `root@lb-1` */
  readonly by: string
  /** ISO 8601. */
  readonly since: string
  readonly reason?: string
  /** How long whoever asked waits for it to be empty, ISO 8601. */
  readonly until?: string
  readonly forced: boolean
  readonly takenBack: boolean
  /** Requests and tunnels, on all balancers that have answered. */
  readonly sessions: number
  readonly oldestMs?: number
  /** Every balancer has confirmed, and nothing is left on any. */
  readonly done: boolean
  /** A pool without another live server: there it is in traffic all the same. */
  readonly heldBack?: string
  readonly balancers: readonly BalancerDrain[]
  /** Balancers that are alive and have not answered. */
  readonly silent: readonly string[]
}

export interface BalancerDrain {
  readonly name: string
  readonly sessions: number
  readonly oldestMs?: number
  /** Clients that are bound to the server came a moment ago. */
  readonly bound: boolean
  /** New clients still come. */
  readonly open: boolean
  readonly confirmed: boolean
}

export interface DrainList {
  readonly drains: readonly DrainReport[]
  /** These are not all; a server is told by its name. */
  readonly more?: true
  /** Balancers that have told what they hold; absent where nobody was asked for all. */
  readonly answered?: readonly string[]
  readonly silent: readonly string[]
}

/** What an operator wants drained. */
export interface DrainAsk {
  readonly server: string
  readonly pool?: string
  /** Who asks, as the operating system names them. */
  readonly user?: string
  readonly reason?: string
  /** In spite of the minimum number of servers; wants a reason. */
  readonly force: boolean
  /** How long whoever asks will wait, ms. */
  readonly waitMs?: number
}

/** What the API asks of the agent. */
export interface ApiBackend {
  /** What the files say by now, and what was in force before. */
  readonly configuring: ConfiguringBackend
  /**
   * @param since an index; undefined: from now on
   * @param waitMs how long to wait for the first one
   */
  events(since: number | undefined, waitMs: number): Promise<EventPage>
  status(): Promise<AgentStatus>
  members(): Promise<readonly MemberReport[]>
  /** What happened, or with `at` the pools as they were. */
  history(ask: HistoryAsk): Promise<HistoryPage | HistoryPools>
  /** Why it is as it is; without `what`, what on this node is not as it should be. @throws NotThereError when nobody knows it */
  why(what: string | undefined): Promise<WhyReport>
  /** @throws RefusedError, NotThereError */
  drain(ask: DrainAsk): Promise<DrainReport>
  /** @throws NotThereError */
  undrain(ask: Pick<DrainAsk, 'server' | 'pool' | 'user'>): Promise<DrainList>
  drains(target: Pick<DrainAsk, 'server' | 'pool'> | undefined): Promise<DrainList>
  /** Whether this node may leave now. @throws RefusedError where a pool would have too few servers left */
  mayLeave(ask: { readonly force: boolean; readonly reason?: string }): Promise<void>
  /** Ends the agent without leaving; children stay. Resolves when that has begun: the answer still has to go out. */
  handover(): Promise<void>
  version(): string
}
