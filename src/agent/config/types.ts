import type { Address } from '../../base/index.ts'

/** Everything an agent needs to know, checked, with its defaults, and frozen. Durations are milliseconds. */
export interface AgentConfig {
  readonly node: NodeConfig
  readonly cluster: ClusterConfig
  readonly services: readonly ServiceConfig[]
  /** Present: this node balances, and carries the tag `role=balancer` unless another role was asked for. */
  readonly balancer?: BalancerSettings
  /** Serf's `[FILTER=]SCRIPT`, filters checked, in the order of the files and then the command line. */
  readonly handlers: readonly string[]
  readonly api: ApiSettings
  /** What must survive a restart; default `/var/lib/muster`. */
  readonly stateDir: string
  /** Sockets and locks; default `/run/muster`. */
  readonly runDir: string
  readonly logLevel: LogLevel
  readonly logFormat: 'text' | 'json'
  /** Lines go to syslog as well, under this facility's number. */
  readonly syslogFacility?: number
  /** Sentences for the log: accepted, but not as somebody who knows Serf would think. */
  readonly warnings: readonly string[]
  /** The files that were read, in their order. */
  readonly files: readonly string[]
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error'

export interface NodeConfig {
  /** Unique in the ring; default the host's name, or what the engine `serf` says. */
  readonly name: string
  /** The name was configured. */
  readonly isNamed: boolean
  /** Without the endpoints, which come and go with the services. */
  readonly tags: Readonly<Record<string, string>>
}

export interface ClusterConfig {
  /** `serf`: membership comes from the real agent at `rpc`; whatever else is about gossip has no effect. */
  readonly engine: 'muster' | 'serf'
  readonly bind: Address
  readonly advertise?: Address
  /** `-join`, `host[:port]`; a missing peer never ends the agent. */
  readonly join: readonly string[]
  /** `-retry-join`; the same in Muster as `join`, kept apart only because Serf does. */
  readonly retryJoin: readonly string[]
  /** Upper end of the backoff between tries to join; default 30 s, at least 1 s. */
  readonly retryIntervalMs: number
  /** Joins replay the user events that the ring remembers. */
  readonly replay: boolean
  /** Agents are looked for by mDNS; absent: they are not. */
  readonly discovery?: DiscoverySettings
  readonly profile: 'lan' | 'wan' | 'local'
  /** First is primary; 16, 24 or 32 bytes each. Absent: gossip is not encrypted. */
  readonly keyring?: readonly Uint8Array[]
  /** Where the keys came from, and where a rotation is written. */
  readonly keyringPath?: string
  /** How long a removed key still lets a member in that was away; default 0, not at all. */
  readonly keyGraceMs: number
  readonly snapshotPath: string
  readonly rejoinAfterLeave: boolean
  /** Serf's `-tags-file`: tags set while running are kept here. */
  readonly tagsPath?: string
  readonly compress: boolean
  /** Serf's protocol number, 2 to 5. */
  readonly protocol: number
  /** Serf's RPC: served here, undefined when switched off; with the engine `serf`, where that agent serves it. */
  readonly rpc: Address | undefined
  readonly rpcAuth?: string
  /** How long a leave or a forced leave waits to be gossiped; default 5 s, at least 1 s. */
  readonly broadcastTimeoutMs: number
  readonly reconnectIntervalMs: number
  readonly reconnectTimeoutMs: number
  readonly tombstoneTimeoutMs: number
  readonly userEventBytesMax: number
  readonly queryBytesMax: number
  readonly queryResponseBytesMax: number
  /** Whether a name conflict is put to the vote. */
  readonly resolveConflicts: boolean
  /** SIGINT stops without leaving. */
  readonly skipLeaveOnInterrupt: boolean
}

/** Serf's `-discover`. */
export interface DiscoverySettings {
  readonly cluster: string
  /** Absent: all network interfaces. */
  readonly interface?: string
  readonly ipv4: boolean
  readonly ipv6: boolean
}

/** What the supervisor runs, and the endpoint that it offers while it is ready. */
export interface ServiceConfig {
  readonly name: string
  /** Text goes to `/bin/sh -c 'exec …'`, a list is run as it is. */
  readonly command: string | readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly user?: string
  /** Present whenever there is a port. */
  readonly ready?: ReadyCheck
  readonly readyTimeoutMs: number
  readonly stopSignal: NodeJS.Signals
  readonly stopTimeoutMs: number
  /** How long balancers may take to let go of it before it is stopped all the same. */
  readonly drainTimeoutMs: number
  readonly restart: {
    readonly minMs: number
    readonly maxMs: number
    readonly stableMs: number
    readonly quarantineAfter: number
  }
  readonly logMaxBytes: number
  /** The pool it serves; absent: it is run but not announced. Present only together with `port`. */
  readonly pool?: string
  readonly port?: number
  /** Where it listens, for readiness; default the address of gossip, or 127.0.0.1 if that is a wildcard. */
  readonly ip: string
  /** 0 to 256; default 1. */
  readonly weight: number
}

export type ReadyCheck =
  | { readonly kind: 'tcp'; readonly ip: string; readonly port: number }
  | { readonly kind: 'http'; readonly ip: string; readonly port: number; readonly path: string; readonly host?: string }

export interface BalancerSettings {
  /** `slots`, `named`, or the absolute path of a Handlebars file. */
  readonly template: string
  /** The program; absent: `haproxy` is looked up in PATH and `/usr/sbin`. */
  readonly haproxy?: string
  /** The file that HAProxy reads. */
  readonly configPath: string
  /** The statistics page; undefined when switched off. */
  readonly stats: Address | undefined
  /** HAProxy's `maxconn`; absent: from the descriptor limit. */
  readonly maxConnections?: number
  readonly frontends: readonly FrontendSettings[]
  readonly pools: readonly PoolSettings[]
  /** The pool of plain Serf members (`role=backend`) that name none; always one of `pools`. */
  readonly plainPool: string
  /** What the template gets as `data`. */
  readonly data: Readonly<Record<string, unknown>>
}

export interface FrontendSettings {
  readonly name: string
  /** Addresses in HAProxy's form, `:80`, `10.0.0.1:80`, `[::]:80`. */
  readonly binds: readonly string[]
  readonly pool: string
}

export interface PoolSettings {
  readonly name: string
  /** Where a plain Serf member of the pool listens; default 3000. */
  readonly port: number
  readonly balance: string
  readonly check:
    | { readonly kind: 'tcp'; readonly intervalMs: number }
    | { readonly kind: 'http'; readonly path: string; readonly host?: string; readonly intervalMs: number }
  readonly sticky?: { readonly cookie: string; readonly key: string }
  readonly serverTimeoutMs: number
  readonly connectTimeoutMs: number
  /** How long a request waits for a server when there is none. */
  readonly queueTimeoutMs: number
  /** Per server; absent: no limit. */
  readonly maxConnections?: number
  /** The number of numbered servers to begin with, for the template `slots`; absent: 20. */
  readonly slots?: number
}

export interface ApiSettings {
  /** A unix socket, mode 0600, at most 96 bytes; default `<runDir>/agent.sock`. */
  readonly socketPath: string
  /** Also on TCP; off unless asked for. */
  readonly listen?: Address
}
