import type { Address, LogFields } from '../base/index.ts'
import type { ConflictLostEvent, MemberEvent, UserEvent } from './events.ts'
import type { LTime } from './lamport.ts'
import type { SerfMember } from './member.ts'
import type { QueryMessage } from './messages.ts'

/** A query that reached this member and is meant for it. */
export interface ReceivedQuery {
  readonly message: QueryMessage
  readonly deadlineMs: number
  /** Set by the core with the first accepted answer. */
  answered: boolean
}

export interface QueryAnswer {
  readonly kind: 'ack' | 'response'
  readonly from: string
  readonly payload: Uint8Array
}

/** What the core asks of the world. */
export type SerfEffect =
  | { readonly kind: 'event'; readonly event: MemberEvent | UserEvent | ConflictLostEvent }
  /** For the application. */
  | { readonly kind: 'query'; readonly query: ReceivedQuery }
  /** For whoever owns the keyring: apply it, write its file, then answer. */
  | { readonly kind: 'key-query'; readonly query: ReceivedQuery }
  /** An internal query was seen; counts for the snapshot's query clock only. */
  | { readonly kind: 'internal-query'; readonly ltime: LTime }
  | { readonly kind: 'send'; readonly to: Address; readonly node: string; readonly body: Uint8Array }
  /** To each of these members directly, again until it is acked. */
  | { readonly kind: 'tell'; readonly nodes: readonly string[]; readonly body: Uint8Array }
  /** An intent has changed a status without an event: a member means to leave, or after all does not. */
  | { readonly kind: 'intent'; readonly member: SerfMember }
  /** Whether whoever claims our name is there, at that address; `rivalAnswered` if so. */
  | { readonly kind: 'ask-rival'; readonly rival: Address }
  /** A failed member, as memberlist's join takes it: `name/ip:port`. */
  | { readonly kind: 'reconnect'; readonly address: string }
  /** A failed member is pinged: it may be back, with or without knowing us. */
  | { readonly kind: 'greet'; readonly node: string; readonly to: Address }
  /** An answer to a query of our own. */
  | { readonly kind: 'answer'; readonly ltime: LTime; readonly answer: QueryAnswer }
  /** The deadline of a query of our own has passed. */
  | { readonly kind: 'answers-end'; readonly ltime: LTime }
  | { readonly kind: 'log'; readonly level: 'warn' | 'info'; readonly fields: LogFields; readonly sentence: string }

export function warned(sentence: string, fields: LogFields = {}): SerfEffect {
  return { kind: 'log', level: 'warn', fields, sentence }
}
