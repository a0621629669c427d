import type { Address, LogFields } from '../base/index.ts'
import type { Member } from './member.ts'
import type { Ping } from './messages.ts'
import type { Timing } from './profiles.ts'

/** What the core asks of the world, in this order. A driver performs it; a simulator delays, reorders or loses it. */
export type Effect =
  /** One packet of these encoded messages. `node` names the member it is for, when there is one. */
  | {
      readonly kind: 'send'
      readonly to: Address
      readonly parts: readonly Uint8Array[]
      readonly crc: boolean
      readonly node: string | undefined
    }
  /** Ask over a stream, and report with `Swim.streamPingDone`. */
  | { readonly kind: 'stream-ping'; readonly to: Address; readonly ping: Ping; readonly timeoutMs: number }
  /** Exchange lists with a peer, and hand its answer to `Swim.merge`. */
  | { readonly kind: 'push-pull'; readonly peer: Address; readonly join: boolean; readonly node: string | undefined }
  | { readonly kind: 'changed'; readonly change: Change; readonly member: Member }
  | { readonly kind: 'user'; readonly body: Uint8Array; readonly from: Address }
  | { readonly kind: 'conflict'; readonly existing: Member; readonly other: Claim }
  | {
      readonly kind: 'ping-done'
      readonly member: Member
      readonly rttMs: number
      readonly payload: Uint8Array | undefined
    }
  | { readonly kind: 'unknown-ping'; readonly from: Address; readonly node: string }
  /** The announcement made with this ticket has been sent often enough, or was overtaken by a newer one. */
  | { readonly kind: 'announced'; readonly ticket: number }
  /** The word that we leave has been sent often enough. */
  | { readonly kind: 'left' }
  | {
      readonly kind: 'log'
      readonly level: 'debug' | 'info' | 'warn'
      readonly fields: LogFields
      readonly sentence: string
    }

export type Change = 'join' | 'leave' | 'update'

/** Where somebody else says that a member of this name is. */
export interface Claim {
  readonly addr: Uint8Array
  readonly ip: string
  readonly port: number
}

/** What the floor above contributes to packets; called synchronously, must not throw. */
export interface Host {
  /** Rides on every ack we send: Serf's network coordinate. */
  ackPayload(): Uint8Array | undefined
  /** Bodies of user messages, each charged with `overhead`, together within `budget` bytes. */
  broadcasts(overhead: number, budget: number): Uint8Array[]
  /** How many of them wait. While none do, and the core has none of its own, gossip rests and nobody is woken for it. */
  queued(): number
  /** Rides on every push/pull. */
  localState(join: boolean): Uint8Array
}

/** What the core knows about itself and the ring it runs in. */
export interface SwimConfig extends Timing {
  readonly name: string
  readonly addr: Uint8Array
  readonly port: number
  readonly meta: Uint8Array
  readonly vsn: readonly [number, number, number, number, number, number]
  /** Bytes that label and encryption add to each packet: 0 without both. */
  readonly packetOverheadBytes: number
  /** How many entries our list may have. */
  readonly membersMax: number
  /**
   * Lifeguard's buddy system: a suspect hears of the accusation with our next ping; default true. False is for studies, as
   * `awarenessMaxMultiplier: 1` (no LHA-Probe) and `suspicionMaxTimeoutMult: 1` (no LHA-Suspicion) are: plain SWIM.
   */
  readonly buddySystem?: boolean
}

/** What was dropped, and why; only ever counts up. */
export interface Counters {
  packetsRefused: number
  partsRefused: number
  aliveRefused: number
  membersRefused: number
  relaysRefused: number
  pingsForOthers: number
  mergesRefused: number
  refutations: number
  suspensions: number
  sendErrors: number
  streamsRefused: number
}

export const noCounts = (): Counters => ({
  packetsRefused: 0,
  partsRefused: 0,
  aliveRefused: 0,
  membersRefused: 0,
  relaysRefused: 0,
  pingsForOthers: 0,
  mergesRefused: 0,
  refutations: 0,
  suspensions: 0,
  sendErrors: 0,
  streamsRefused: 0,
})
