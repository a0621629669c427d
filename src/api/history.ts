import { QueryError, whatIn, wholeNumber } from './query.ts'

/** Of records: of members, of this host's services, changes applied to HAProxy, operators' commands, guards, the agent. */
export const HISTORY_KINDS = ['member', 'service', 'receipt', 'command', 'guard', 'check', 'agent'] as const

export type HistoryKind = (typeof HISTORY_KINDS)[number]

/** Which records, or the pools of which time. Times are milliseconds since 1970. */
export interface HistoryAsk {
  /** The pools as they were then; nothing else counts then but `what`. */
  readonly at?: number
  readonly sinceMs?: number
  readonly untilMs?: number
  readonly kinds?: readonly HistoryKind[]
  /** A name or an address. */
  readonly what?: string
  readonly limit?: number
  /** The oldest records after this index, rather than the newest. */
  readonly after?: number
  /** Records before this index. */
  readonly before?: number
}

/** A record, with what its kind has. */
export interface HistoryRecord {
  /** Grows for ever, also over restarts; it decides the order, since clocks go back. */
  readonly index: number
  /** ISO 8601. */
  readonly at: string
  readonly kind: HistoryKind
  readonly [more: string]: unknown
}

export interface HistoryPage {
  /** By index. */
  readonly records: readonly HistoryRecord[]
  /** There are more; ask with `before` the first of these, or `after` the last. */
  readonly more: boolean
  /** ISO 8601: nothing is known of before. */
  readonly begins?: string
  /** How many damaged records were passed over. */
  readonly damaged: number
  /** Why nothing is put on record at the moment. */
  readonly problem?: string
}

export interface HistoryServer {
  readonly pool: string
  readonly server: string
  readonly address: string
  readonly state: string
  readonly weight: number
  /** ISO 8601, of its last change. */
  readonly since: string
  readonly reason: string
}

/** The pools as they were. */
export interface HistoryPools {
  readonly at: string
  /** False: the journal does not go back so far. */
  readonly known: boolean
  readonly servers: readonly HistoryServer[]
  /** How the agent was last heard of before. */
  readonly agent?: { readonly event: string; readonly at: string }
  /** False: part of what this is made from is damaged, and servers may be missing. */
  readonly whole: boolean
  readonly begins?: string
}

const LIMIT_MAX = 1000

/** @throws QueryError */
export function historyAskOf(query: URLSearchParams): HistoryAsk {
  const ask: { -readonly [key in keyof HistoryAsk]: HistoryAsk[key] } = {}
  const [at, since, until] = (['at', 'since', 'until'] as const).map(name => timeIn(query, name))
  if (at !== undefined) ask.at = at
  if (since !== undefined) ask.sinceMs = since
  if (until !== undefined) ask.untilMs = until
  for (const name of ['after', 'before', 'limit'] as const) {
    const text = query.get(name)
    if (text !== null) ask[name] = wholeNumber(name, text)
  }
  if (ask.limit !== undefined && (ask.limit < 1 || ask.limit > LIMIT_MAX))
    throw new QueryError(`limit: ${ask.limit} is not 1 to ${LIMIT_MAX}`)
  const what = whatIn(query)
  if (what !== undefined) ask.what = what
  const kinds = query.get('kind') ?? ''
  if (kinds !== '') ask.kinds = kinds.split(',').map(kindOf)
  return ask
}

function kindOf(text: string): HistoryKind {
  const kind = HISTORY_KINDS.find(one => one === text)
  if (kind === undefined) throw new QueryError(`kind: "${text}" is none of ${HISTORY_KINDS.join(', ')}`)
  return kind
}

/** Milliseconds since 1970, or ISO 8601 with its zone. */
function timeIn(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null || text === '') return undefined
  if (/^\d{1,16}$/.test(text)) return wholeNumber(name, text)
  const ms = /^\d{4}-\d\d-\d\dT[\d:.]{5,20}(?:Z|[+-]\d\d:?\d\d)$/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(ms))
    throw new QueryError(`${name}: "${text}" is no time; write 2026-11-21T12:03:07Z, or milliseconds`)
  return Math.max(0, ms)
}
