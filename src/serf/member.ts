import type { Versions } from '../memberlist/index.ts'
import type { LTime } from './lamport.ts'
import type { Tags } from './tags.ts'

export type MemberStatus = 'none' | 'alive' | 'leaving' | 'left' | 'failed'

/** The status as a number on the wire is the place in this list. */
export const STATUSES: readonly MemberStatus[] = ['none', 'alive', 'leaving', 'left', 'failed']

/** A member as Serf sees it: a snapshot, never changed after it was handed out. */
export interface SerfMember {
  readonly name: string
  readonly addr: Uint8Array
  readonly ip: string
  readonly port: number
  readonly tags: Tags
  readonly status: MemberStatus
  readonly protocolMin: number
  readonly protocolMax: number
  readonly protocolCur: number
  readonly delegateMin: number
  readonly delegateMax: number
  readonly delegateCur: number
  /** Time of the newest intent applied to it. */
  readonly statusLTime: LTime
  /** When it failed or left, on the injected clock; 0 for one that did neither. */
  readonly leftAtMs: number
  /** How often it has failed of late; absent for a calm member. */
  readonly flaps?: number
  /** It is there, but has come and gone so often that it counts as failed until it has stayed for a while. */
  readonly held?: boolean
}

/** The version fields of a member; zeros when it sent none. */
export function versionFields(vsn: Versions | undefined) {
  const [protocolMin, protocolMax, protocolCur, delegateMin, delegateMax, delegateCur] = vsn ?? [0, 0, 0, 0, 0, 0]
  return { protocolMin, protocolMax, protocolCur, delegateMin, delegateMax, delegateCur }
}
