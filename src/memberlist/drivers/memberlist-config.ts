import type { Address, Clock, Log, Random } from '../../base/index.ts'
import type { Change, Claim, Host, SwimConfig } from '../effects.ts'
import type { Keyring } from '../keyring.ts'
import type { Member } from '../member.ts'
import type { Versions } from '../messages.ts'
import { PROFILES, type Profile, type Timing } from '../profiles.ts'
import { framingBytes } from '../wire/packet.ts'
import { advertisedAddress } from './addresses.ts'

export interface MemberlistConfig {
  /** Unique in the ring. */
  readonly name: string
  /** Default of every Serf agent: 0.0.0.0, port 7946. Port 0: any free one. */
  readonly bind: Address
  /** What others are told; port 0: the bound one. */
  readonly advertise?: Address | undefined
  readonly profile: Profile
  /** At most 512 bytes. */
  readonly meta: Uint8Array
  /** To live with Serf: 1, 5, 2, 2, 5, 5. */
  readonly versions: Versions
  readonly keyring?: Keyring | undefined
  readonly label?: string | undefined
  /** Default true, as with Serf; peers read either. */
  readonly compress?: boolean | undefined
  readonly overrides?: Partial<Timing> | undefined
  /** Bound of our list; default 10 000. Names beyond are refused and counted. */
  readonly membersMax?: number | undefined
}

/** The floor above. Called synchronously, in the order of events; must not throw. */
export interface MemberlistHost extends Host {
  /** @param isStale it could be read with a retired key only */
  userMessage(body: Uint8Array, from: Address | undefined, isStale: boolean): void
  mergeState(state: Uint8Array, join: boolean): void
  changed(change: Change, member: Member): void
  conflict(existing: Member, other: Claim): void
  pingDone(member: Member, rttMs: number, payload: Uint8Array | undefined): void
  unknownPing?(from: Address, node?: string): void
  /** A packet could be read with a retired key only: its sender has missed a rotation. */
  staleKey?(from: Address, key: Uint8Array): void
}

export interface MemberlistDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly host: MemberlistHost
}

export interface JoinResult {
  /** How many addresses answered, and had their list merged. */
  readonly contacted: number
  /** Where they turned out to be: names lead to numbers. A driver that cannot tell leaves it out. */
  readonly answered?: readonly Address[]
  readonly errors: readonly { readonly address: string; readonly error: Error }[]
}

const MEMBERS_MAX = 10_000

export function timingOf({ profile, overrides }: MemberlistConfig): Timing {
  return { ...PROFILES[profile], ...overrides }
}

/** @throws NoAdvertiseAddressError */
export function coreConfig(config: MemberlistConfig, boundPort: number): SwimConfig {
  return {
    ...timingOf(config),
    ...advertisedAddress(config.bind, config.advertise, boundPort),
    name: config.name,
    meta: config.meta,
    vsn: config.versions,
    packetOverheadBytes: framingBytes(config),
    membersMax: config.membersMax ?? MEMBERS_MAX,
  }
}
