import { asText, CodecError, decodeMsgpack, encodeMsgpack } from '../codec/index.ts'
import { WireRecord } from './record.ts'
import { ExpressionRefusedError, LinearRegex, PROGRAM_STEPS_MAX } from './regex.ts'
import type { Tags } from './tags.ts'

/** Whom a query is for; what is absent restricts nothing. */
export interface QueryFilters {
  readonly nodes?: readonly string[]
  /** Tag name to RE2 expression, not anchored; a missing tag counts as ''. */
  readonly tags?: Readonly<Record<string, string>>
}

const FilterType = { node: 0, tag: 1 } as const

/** One filter of node names (if any), then one per tag, as Serf writes them. */
export function encodeFilters(filters: QueryFilters): Uint8Array[] {
  const encoded: Uint8Array[] = []
  if (filters.nodes !== undefined && filters.nodes.length > 0) {
    encoded.push(withType(FilterType.node, encodeMsgpack([...filters.nodes], 'old')))
  }
  for (const [tag, expression] of Object.entries(filters.tags ?? {})) {
    encoded.push(withType(FilterType.tag, encodeMsgpack({ Expr: expression, Tag: tag }, 'old')))
  }
  return encoded
}

/** More than fit into a query that any agent sends; the rest would be a stranger using our time. */
const FILTERS_MAX = 128

/**
 * Whether a member of this name and these tags is meant. Malformed, unknown and empty filters match nobody (a real node
 * crashes on an empty one).
 */
export function filtersMatch(filters: readonly Uint8Array[], name: string, tags: Tags): boolean {
  const budget = { steps: PROGRAM_STEPS_MAX }
  return filters.length <= FILTERS_MAX && filters.every(filter => filterMatches(filter, name, tags, budget))
}

/** @param budget what all expressions of a query may have together: a hundred large ones would hold us for seconds */
function filterMatches(filter: Uint8Array, name: string, tags: Tags, budget: { steps: number }): boolean {
  try {
    if (filter[0] === FilterType.node) return decodeNames(filter).includes(name)
    if (filter[0] !== FilterType.tag) return false
    const r = new WireRecord(decodeMsgpack(filter, 1).value, ['Tag', 'Expr'])
    const tag = r.text('Tag')
    const expression = new LinearRegex(r.text('Expr'))
    budget.steps -= expression.steps
    return budget.steps >= 0 && expression.test(Object.hasOwn(tags, tag) ? (tags[tag] ?? '') : '')
  } catch (failure) {
    if (failure instanceof CodecError || failure instanceof ExpressionRefusedError) return false
    throw failure
  }
}

function decodeNames(filter: Uint8Array): string[] {
  const { value } = decodeMsgpack(filter, 1)
  if (value === null) return []
  if (!Array.isArray(value)) throw new CodecError('a node filter is a list of names')
  return value.map(name => asText(name))
}

function withType(type: number, body: Uint8Array): Uint8Array {
  const filter = new Uint8Array(body.length + 1)
  filter[0] = type
  filter.set(body, 1)
  return filter
}
