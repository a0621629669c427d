/** What is known at one moment, from all who know. Times are ages in ms, so that no two clocks are compared. */
import type { DrainReport, HistoryRecord } from '../../api/index.ts'
import type { CheckEvidence, GuardReport, ServerStatus, TrafficEvidence } from '../../balancer/index.ts'
import type { Endpoint } from '../endpoints/endpoints.ts'

/** What a question of the agent's own came to. */
export interface LookFacts {
  /** `GET /up`, `connecting to 10.0.0.7:3000` */
  readonly asked: string
  /** Undefined: it was good. In words. */
  readonly problem?: string
  /** Of HTTP. */
  readonly code?: number
  /** Its first characters, of HTTP. */
  readonly body?: string
  readonly tookMs: number
}

/** A server in a pool, as one balancer sees it. */
export interface ServerFacts {
  readonly balancer: string
  readonly pool: string
  /** The member's, or `member:port`. */
  readonly name: string
  readonly address: string
  readonly state: ServerStatus['state']
  readonly reason: string
  readonly weight: number
  readonly slot?: string
  /** HAProxy's words; undefined where it does not have it. */
  readonly status?: string
  readonly haproxyWeight?: number
  /** How long HAProxy has had it so. */
  readonly sinceMs?: number
  readonly downs?: number
  readonly check?: CheckEvidence
  readonly traffic?: TrafficEvidence
  readonly look?: LookFacts
  /** Somebody else changed it in HAProxy. */
  readonly drift?: { readonly outcome: string; readonly agoMs: number }
}

export interface MemberFacts {
  readonly name: string
  readonly address: string
  readonly status: string
  readonly tags: Readonly<Record<string, string>>
  readonly isSelf: boolean
  /** How long it has been so, as far as the journal goes back. */
  readonly sinceMs?: number
  /** How often it has failed of late. */
  readonly failures: number
  readonly isHeld: boolean
  readonly endpoints: readonly Endpoint[]
  /** What of it is refused by balancers, in words. */
  readonly refused: readonly string[]
  /** Another member that has announced one of its endpoints, too. */
  readonly rival?: { readonly name: string; readonly endpoint: string }
  /** It speaks with a gossip key that this node does not have. */
  readonly hasForeignKey: boolean
}

/** A service, as the agent beside it sees it. */
export interface ServiceFacts {
  readonly node: string
  readonly name: string
  readonly state: string
  readonly sinceMs: number
  readonly restarts: number
  readonly pid?: number
  readonly reason?: string
  readonly pool?: string
  readonly port?: number
  readonly lastLines: readonly string[]
  /** Its process was sent SIGSTOP, or is held by a debugger. */
  readonly isFrozen: boolean
  /** TCP ports on which its process listens; absent where nobody can tell. */
  readonly listens?: readonly number[]
  /** The agent's own question, where the service is to be ready. */
  readonly look?: LookFacts
}

export interface PoolFacts {
  readonly balancer: string
  readonly name: string
  readonly ready: number
  readonly servers: number
  readonly minServers: number
  /** Requests wait while it is empty, ms; 0: they do not. */
  readonly holdMs: number
}

/** The balancer of the node that is asked. */
export interface BalancerFacts {
  readonly version: string
  readonly haproxy: string
  readonly pid?: number
  readonly reloads: number
  /** What keeps the newest pool or configuration from being in force. */
  readonly problem?: string
  readonly drifts: readonly { readonly what: string; readonly outcome: string; readonly agoMs: number }[]
  /** What is wrong with the configuration in the files. */
  readonly configuration?: { readonly kind: 'template' | 'refused' | 'invalid'; readonly words: string }
  /** The generation that was gone back to. */
  readonly pinned?: number
  readonly advice: readonly string[]
}

export interface RingFacts {
  readonly alive: number
  readonly failed: readonly string[]
  /** Of those that have failed, how many did in the same half minute as most. */
  readonly failedTogether: number
  readonly left: number
  /** Alive ones. */
  readonly balancers: readonly string[]
  /** Gossip of this node has stopped. */
  readonly hasStopped: boolean
  /** It has addresses to join, and has found nobody. */
  readonly isAlone: boolean
  readonly warnings: readonly string[]
}

/** Everything about what was asked for; with nothing asked for, everything of this node. */
export interface Facts {
  readonly what?: string
  readonly node: string
  /** What was asked for is a service of this host, whatever else has its name. */
  readonly isService: boolean
  readonly isBalancer: boolean
  readonly members: readonly MemberFacts[]
  readonly servers: readonly ServerFacts[]
  readonly services: readonly ServiceFacts[]
  readonly pools: readonly PoolFacts[]
  readonly drains: readonly DrainReport[]
  /** Guards of this node's balancer that act now. */
  readonly guards: readonly GuardReport[]
  /** Wall clock, ms, for the age of drains and records. */
  readonly nowMs: number
  readonly records: readonly HistoryRecord[]
  readonly balancer?: BalancerFacts
  readonly ring: RingFacts
  /** Why nothing is put on record. */
  readonly journalProblem?: string
  readonly silent: readonly string[]
}
