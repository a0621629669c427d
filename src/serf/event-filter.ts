import { MusterError } from '../base/index.ts'
import { type ConflictLostEvent, MEMBER_EVENT_KINDS, type SerfEvent } from './events.ts'

/** What handlers and streams get to see: all but the agent's own affairs. */
export type HandledEvent = Exclude<SerfEvent, ConflictLostEvent>

/** One filter of a handler or stream: `*`, a kind, or `user:NAME` and `query:NAME`. */
export interface EventFilter {
  /** As written; an unknown kind is kept so that an error message can show it. */
  readonly kind: string
  /** Exact name of user events or queries; empty: all of them. */
  readonly name: string
}

/** A filter names a kind that does not exist. Nothing was installed. */
export class EventFilterError extends MusterError {
  readonly code = 'SERF_EVENT_FILTER'
  readonly filter: EventFilter

  constructor(filter: EventFilter) {
    super(`Unknown event kind '${describeFilter(filter)}'; known are *, ${KINDS.join(', ')}, user:NAME and query:NAME`)
    this.filter = filter
  }
}

const KINDS: readonly string[] = [...MEMBER_EVENT_KINDS, 'user', 'query']

/**
 * Reads `A,B,user:NAME`; an empty text is `*`. No spaces, no empty elements (serf-rpc 4.7).
 * @throws EventFilterError at the first filter with an unknown kind
 */
export function parseEventFilters(text: string): EventFilter[] {
  return (text === '' ? '*' : text).split(',').map(parseFilter)
}

/** `member-join`, `user:deploy`: as it stands in handler specifications and in `serf info` (there `KIND:` is added). */
export function describeFilter(filter: EventFilter): string {
  return filter.name === '' ? filter.kind : `${filter.kind}:${filter.name}`
}

/** Names are compared exactly. */
export function matchesFilter(filter: EventFilter, event: HandledEvent): boolean {
  if (filter.kind === '*') return true
  if (filter.kind !== event.kind) return false
  return filter.name === '' || ((event.kind === 'user' || event.kind === 'query') && event.name === filter.name)
}

function parseFilter(text: string): EventFilter {
  const named = /^(user|query):(.*)$/s.exec(text)
  const filter = { kind: named?.[1] ?? text, name: named?.[2] ?? '' }
  if (filter.kind !== '*' && !KINDS.includes(filter.kind)) throw new EventFilterError(filter)
  return filter
}
