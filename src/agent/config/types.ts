import type { FileSettings } from './schema.ts'
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
  /** Of the journal on disk, at least 1 MiB; absent: 64 MiB. */
  readonly journalMaxBytes?: number
  readonly logLevel: LogLevel
  readonly logFormat: 'text' | 'json'
  /** Lines go to syslog as well, under this facility's number. */
  readonly syslogFacility?: number
  /** Sentences for the log: accepted, but not as somebody who knows Serf would think. */
  readonly warnings: readonly string[]
  /** The files that were read, in their order. */
  readonly files: readonly string[]
  /** What was written, in the shape of `muster.yaml`, and where: `muster.yaml:12:3`, `-join`, `MUSTER_…`. */
  readonly origin?: {
    readonly settings: FileSettings
    readonly whereIs: (path: string) => string | undefined
  }
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
  /** What happens at that time if a balancer has given no answer: `wait` until it does or has failed. */
  readonly silentBalancer: 'proceed' | 'wait'
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
  /** Workers that still have connections from before a reload: at most so many, and none older. */
  readonly oldWorkers: { readonly max: number; readonly maxAgeMs: number }
  /** Files are read again when they change, without a signal. */
  readonly watch: boolean
  /** What becomes of changes that somebody else made to HAProxy or its file. */
  readonly drift: 'restore' | 'adopt'
}

export interface FrontendSettings {
  readonly name: string
  /** Addresses in HAProxy's form, `:80`, `10.0.0.1:80`, `[::]:80`; none only where `tls` has some. */
  readonly binds: readonly string[]
  /** Where goes what no route takes; absent: 503. */
  readonly pool?: string
  /** The first that fits counts. */
  readonly routes: readonly RouteSettings[]
  /** The same as that of all its pools. */
  readonly mode: 'http' | 'tcp'
  readonly tls?: TlsSettings
  /** What came without TLS is sent to the first TLS address. */
  readonly redirectToHttps: boolean
  /** Connections begin with the PROXY protocol. */
  readonly acceptProxy: boolean
}

/** At least one of `hosts` and `path` is there. */
export interface RouteSettings {
  /** In lower case, without port; `*.example.org` stands for every name below. Empty: any. */
  readonly hosts: readonly string[]
  /** A prefix of whole segments, without a slash at its end. */
  readonly path?: string
  readonly pool: string
}

export interface TlsSettings {
  readonly binds: readonly string[]
  /** Absolute paths of PEM files or directories of them: certificate, chain and key. */
  readonly certificates: readonly string[]
  readonly minVersion: '1.2' | '1.3'
}

export interface PoolSettings {
  readonly name: string
  readonly mode: 'http' | 'tcp'
  /** Where a plain Serf member of the pool listens; default 3000. */
  readonly port: number
  readonly balance: string
  readonly check: CheckSettings
  /** Absent: a client may come to another server with each request. */
  readonly sticky?: StickySettings
  /** The PROXY protocol to its servers; absent: not. */
  readonly sendProxy?: 'v1' | 'v2'
  /** TLS to its servers; absent: not. `ca` is an absolute path, or `@system-ca`. */
  readonly serverTls?: { readonly verify: 'none' | 'required'; readonly ca?: string }
  readonly retries: RetrySettings
  /** Requests wait while no server lives; 0 ms: they do not. Never in a TCP pool. */
  readonly hold: { readonly timeMs: number; readonly requests: number }
  /** A server that comes takes its full share only after this; 0: at once. */
  readonly slowStartMs: number
  /** An operator who leaves fewer servers than this in traffic is refused; 0: no such guard. */
  readonly minServers: number
  /** Slow servers get less to do. */
  readonly outliers: boolean
  readonly serverTimeoutMs: number
  readonly connectTimeoutMs: number
  /** How long a request waits for a server when there is none. */
  readonly queueTimeoutMs: number
  /** Per server; absent: no limit. */
  readonly maxConnections?: number
  /** How many may wait for each server; absent: no limit. */
  readonly maxQueue?: number
  /** The number of numbered servers to begin with, for the template `slots`; absent: 20. */
  readonly slots?: number
}

export type CheckSettings = {
  readonly intervalMs: number
  /** A check that takes longer has failed. */
  readonly timeoutMs: number
  /** So many failures in a row take a server out, */
  readonly fall: number
  /** so many good ones bring it back. */
  readonly rise: number
  /** Absent: the server's own port. */
  readonly port?: number
} & (
  | { readonly kind: 'tcp' }
  | {
      readonly kind: 'http'
      readonly path: string
      readonly host?: string
      /** `200`, `200-299`, `200,301-302`; absent: 200 to 399. */
      readonly expect?: string
    }
)

export type StickySettings =
  | { readonly kind: 'cookie'; readonly cookie: string; readonly key: string }
  | { readonly kind: 'header'; readonly header: string }
  | { readonly kind: 'source' }

export interface RetrySettings {
  readonly attempts: number
  /** Words of HAProxy's `retry-on`; a connection that cannot be made is always one of them. */
  readonly on: readonly string[]
  /** Methods that may be executed twice are repeated as well. */
  readonly unsafe: boolean
}

export interface ApiSettings {
  /** A unix socket, mode 0600, at most 96 bytes; default `<runDir>/agent.sock`. */
  readonly socketPath: string
  /** Also on TCP; off unless asked for. */
  readonly listen?: Address
}
