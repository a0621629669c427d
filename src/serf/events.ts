import type { LTime } from './lamport.ts'
import type { SerfMember } from './member.ts'

/** What can happen to members; the words that handlers, streams and filters use. */
export const MEMBER_EVENT_KINDS = [
  'member-join',
  'member-leave',
  'member-failed',
  'member-update',
  'member-reap',
] as const

export type MemberEventKind = (typeof MEMBER_EVENT_KINDS)[number]

/** One kind of change, for one member or, after coalescing, for several. */
export interface MemberEvent {
  readonly kind: MemberEventKind
  readonly members: readonly SerfMember[]
}

export interface UserEvent {
  readonly kind: 'user'
  readonly name: string
  /** Empty when there is none: the wire does not tell the two apart in effect. */
  readonly payload: Uint8Array
  readonly ltime: LTime
  /** The sender lets receivers keep only the newest event of this name within a few seconds. */
  readonly coalesce: boolean
}

export interface QueryEvent {
  readonly kind: 'query'
  readonly name: string
  readonly payload: Uint8Array
  readonly ltime: LTime
  readonly id: number
  /** Who asks; empty from agents before 0.9. */
  readonly sourceNode: string
  /** On the injected clock's `nowMs`; nobody listens for answers after it. */
  readonly deadlineMs: number
  /**
   * Answers the asker, once per agent.
   * @throws ResponseRefusedError when late or a second one, MessageTooLargeError (which does not use up the answer)
   */
  respond(payload: Uint8Array): Promise<void>
}

/** This agent lost the vote over its name: another node holds it. Its gossip has stopped; nothing else has. */
export interface ConflictLostEvent {
  readonly kind: 'conflict-lost'
  readonly name: string
  readonly responses: number
  /** How many of them knew the name at our address. */
  readonly matching: number
}

export type SerfEvent = MemberEvent | UserEvent | QueryEvent | ConflictLostEvent
