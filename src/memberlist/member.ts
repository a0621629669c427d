import { type Address, ipFromBytes } from '../base/index.ts'
import type { Alive, Versions } from './messages.ts'
import type { Suspicion } from './suspicion.ts'

export type MemberState = 'alive' | 'suspect' | 'dead' | 'left'

/** What a member says about itself. Never changed, only replaced: in a simulation all views share one record. */
export interface Announced {
  readonly name: string
  /** 4 or 16 bytes exactly as announced; compared and passed on unchanged. */
  readonly addr: Uint8Array
  /** `addr` as text; IPv4-mapped addresses read as plain IPv4. */
  readonly ip: string
  readonly port: number
  readonly meta: Uint8Array
  readonly vsn: Versions
}

/** One entry of our list. The object lives as long as the entry, and changes under the reader's hands. */
export interface Member extends Announced {
  readonly incarnation: number
  readonly state: MemberState
  /** On the core's own clock, which stands still while the process is suspended. */
  readonly stateChangedAtMs: number
}

/**
 * A member as this view has it: what it says about itself, and what we make of it. Two of them can speak of one member, so
 * they are compared by name.
 */
export interface Entry extends Member {
  announced: Announced
  incarnation: number
  /** To be changed by `enter` only. */
  readonly state: MemberState
  readonly stateChangedAtMs: number
  /** Runs exactly as long as the state is suspect. */
  suspicion: Suspicion | undefined
  /** It has not answered our own last probe. */
  isSilent: boolean
  /** Somebody at another address announces this name; it is heard if this one fails its next probe. */
  claim: Alive | undefined
  enter(state: MemberState, nowMs: number): void
}

/** Whoever holds an announcement, read like a member. */
export abstract class Announcer {
  abstract announced: Announced

  get name(): string {
    return this.announced.name
  }

  get addr(): Uint8Array {
    return this.announced.addr
  }

  get ip(): string {
    return this.announced.ip
  }

  get port(): number {
    return this.announced.port
  }

  get meta(): Uint8Array {
    return this.announced.meta
  }

  get vsn(): Versions {
    return this.announced.vsn
  }
}

/** memberlist's delegate limit; nothing sound announces more. */
export const META_BYTES_MAX = 512
/** Longer names are refused: a DNS name has at most 253, and each is kept for every entry. */
export const NAME_LENGTH_MAX = 512

/** Features a member promises by its highest understood protocol version. */
export const answersStreamPings = (member: Member): boolean => member.vsn[1] >= 3
export const sendsNacks = (member: Member): boolean => member.vsn[1] >= 4
export const understandsCrc = (member: Member): boolean => member.vsn[1] >= 5

export const isUp = (member: Member): boolean => member.state === 'alive' || member.state === 'suspect'

export function addressOf(member: Member): Address {
  return { ip: member.ip, port: member.port }
}

const ipTexts = new WeakMap<Uint8Array, string>()

/** `ipFromBytes`, remembered per array: in a simulation a thousand views share one announced address. */
export function ipTextOf(addr: Uint8Array): string | undefined {
  const known = ipTexts.get(addr)
  if (known !== undefined) return known
  const ip = ipFromBytes(addr)
  if (ip !== undefined) ipTexts.set(addr, ip)
  return ip
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

export function sameVersions(a: Versions, b: Versions): boolean {
  return a === b || a.every((version, i) => version === b[i])
}
