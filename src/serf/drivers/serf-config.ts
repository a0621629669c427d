import type { Address, Clock, Log, Random } from '../../base/index.ts'
import { type Keyring, PROFILES, type Profile } from '../../memberlist/index.ts'
import type { SerfCoreConfig } from '../core.ts'
import type { Tags } from '../tags.ts'

export interface SerfConfig {
  readonly name: string
  /** Port 0: any free one. */
  readonly bind: Address
  readonly advertise?: Address | undefined
  readonly profile: Profile
  /** At most 512 bytes encoded; they are in the very first alive. */
  readonly tags: Tags
  readonly keyring?: Keyring | undefined
  /** Where key queries that change the ring leave it. */
  readonly keyringPath?: string | undefined
  /** How long a removed key still opens what is sealed with it, for members that were away meanwhile. Default 0: not at all. */
  readonly keyGraceMs?: number | undefined
  readonly compress?: boolean | undefined
  /** Of Serf, announced to others; default 5. 4 differs in nothing else. */
  readonly protocol?: 4 | 5 | undefined
  /** Serf's snapshot file: known peers and clocks over a restart. */
  readonly snapshotPath?: string | undefined
  readonly rejoinAfterLeave?: boolean | undefined
  /** Default 30 s. */
  readonly reconnectIntervalMs?: number | undefined
  /** Default 24 h. */
  readonly reconnectTimeoutMs?: number | undefined
  /** Default 24 h. */
  readonly tombstoneTimeoutMs?: number | undefined
  /** Default 5 s. */
  readonly broadcastTimeoutMs?: number | undefined
  /** After a leave, we serve probes this long so that it spreads. Default 1 s. */
  readonly leavePropagateDelayMs?: number | undefined
  /** Default 512, at most 9216. */
  readonly userEventBytesMax?: number | undefined
  readonly queryBytesMax?: number | undefined
  readonly queryResponseBytesMax?: number | undefined
  /** A vote on who keeps our name when another node claims it; the loser's gossip stops. Default true. */
  readonly resolveConflicts?: boolean | undefined
  /** Serf's library option; its agent's key of that name has no effect. Default false. */
  readonly disableCoordinates?: boolean | undefined
}

export interface SerfDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

const HOUR_MS = 3_600_000
/** Serf's query_response_size_limit. */
export const RESPONSE_BYTES_MAX = 1024

/** With Serf's defaults filled in. */
export function coreConfig(config: SerfConfig, restored: SerfCoreConfig['restored']): SerfCoreConfig {
  const { retransmitMult, gossipIntervalMs } = PROFILES[config.profile]
  return {
    name: config.name,
    retransmitMult,
    gossipIntervalMs,
    reconnectIntervalMs: config.reconnectIntervalMs ?? 30_000,
    reconnectTimeoutMs: config.reconnectTimeoutMs ?? 24 * HOUR_MS,
    tombstoneTimeoutMs: config.tombstoneTimeoutMs ?? 24 * HOUR_MS,
    pruneDelayMs: (config.broadcastTimeoutMs ?? 5000) + (config.leavePropagateDelayMs ?? 1000),
    userEventBytesMax: config.userEventBytesMax ?? 512,
    queryBytesMax: config.queryBytesMax ?? 1024,
    queryResponseBytesMax: config.queryResponseBytesMax ?? RESPONSE_BYTES_MAX,
    resolveConflicts: config.resolveConflicts ?? true,
    disableCoordinates: config.disableCoordinates ?? false,
    ...(restored === undefined ? {} : { restored }),
  }
}
