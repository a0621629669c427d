/**
 * memberlist: who is in the ring, byte for byte as HashiCorp's memberlist (SWIM with Lifeguard), so that Serf agents are
 * equals. A pure core that knows no socket, the wire it speaks, and a driver that runs it on UDP and TCP.
 */
export { type Alarm, Alarms } from './alarms.ts'
export { BroadcastQueue, retransmitLimit } from './broadcast-queue.ts'
export {
  AddressInUseError,
  BroadcastTimeoutError,
  ExchangeError,
  ListenError,
  NoAdvertiseAddressError,
  TargetError,
} from './drivers/errors.ts'
export { Memberlist, startMemberlist } from './drivers/memberlist.ts'
export type { JoinResult, MemberlistConfig, MemberlistDeps, MemberlistHost } from './drivers/memberlist-config.ts'
export type { Change, Claim, Counters, Effect, Host, SwimConfig } from './effects.ts'
export { Keyring, KeyringError } from './keyring.ts'
export {
  type Announced,
  Announcer,
  type Entry,
  isUp,
  type Member,
  type MemberState,
  META_BYTES_MAX,
  NAME_LENGTH_MAX,
  sameBytes,
  sameVersions,
} from './member.ts'
export { type MemberTable, PlainTable } from './member-table.ts'
export type * from './messages.ts'
export { openPacket, PACKET_BYTES_MAX, PacketRefusedError, sealPacket } from './wire/packet.ts'
export { PROFILES, type Profile, type Timing } from './profiles.ts'
export { sealStream, StreamReader, StreamRefusedError } from './wire/stream.ts'
export type { Suspicion } from './suspicion.ts'
export { type PartCodec, pushPullScale, Swim, type SwimDeps } from './swim.ts'

export { decodeMessage } from './wire/decode.ts'
export { encodeMessage, encodeStreamMessage } from './wire/encode.ts'
