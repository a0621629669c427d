/** One event handler of Serf: when it runs, and what. */
export interface HandlerSpec {
  /** `*` for every event. */
  readonly kind: HandlerKind
  /** Only events or queries of exactly this name; empty: all. */
  readonly name: string
  readonly script: string
}

export const HANDLER_KINDS = [
  '*',
  'member-join',
  'member-leave',
  'member-failed',
  'member-update',
  'member-reap',
  'user',
  'query',
] as const
export type HandlerKind = (typeof HANDLER_KINDS)[number]

/**
 * Reads `[FILTER,…=]SCRIPT`, split at the first `=`; each filter becomes a handler of its own, as in Serf.
 * @returns a sentence in Serf's words when a filter is none
 */
export function parseHandlerSpec(text: string): HandlerSpec[] | string {
  const at = text.indexOf('=')
  const script = at < 0 ? text : text.slice(at + 1)
  const filters = at <= 0 ? ['*'] : text.slice(0, at).split(',')
  const specs: HandlerSpec[] = []
  for (const filter of filters) {
    const colon = filter.indexOf(':')
    const kind = HANDLER_KINDS.find(one => one === (colon < 0 ? filter : filter.slice(0, colon)))
    const takesName = kind === 'user' || kind === 'query'
    if (kind === undefined || (colon >= 0 && !takesName)) {
      return `Invalid event script: Event '${filter}' invoking '${script}'; a filter is one of ${HANDLER_KINDS.join(', ')}, user:NAME, query:NAME`
    }
    specs.push({ kind, name: colon < 0 ? '' : filter.slice(colon + 1), script })
  }
  return specs
}
