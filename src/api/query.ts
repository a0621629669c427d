/** What a request says behind its question mark, read one by one. */

/** What was asked cannot be understood; the sentence says which part. */
export class QueryError extends Error {}

const WHAT_CHARACTERS_MAX = 256

/** A name or an address; undefined when absent or empty. @throws QueryError */
export function whatIn(query: URLSearchParams): string | undefined {
  const what = query.get('what') ?? ''
  if (what.length > WHAT_CHARACTERS_MAX) throw new QueryError(`what: at most ${WHAT_CHARACTERS_MAX} characters`)
  return what === '' ? undefined : what
}

/** Absent or empty: as if it were not there. */
export function textIn<K extends string>(query: URLSearchParams, name: K): { readonly [key in K]?: string } {
  const text = query.get(name)
  return text === null || text === '' ? {} : ({ [name]: text } as { readonly [key in K]?: string })
}

/**
 * What narrows a request down; empty is no narrower than absent, and would do more than was meant: an unset variable of a shell.
 * @throws QueryError when it is there and empty
 */
export function narrowedBy<K extends string>(query: URLSearchParams, name: K): { readonly [key in K]?: string } {
  if (query.get(name) === '') throw new QueryError(`${name}: it is empty; name one, or leave it out`)
  return textIn(query, name)
}

/** Of an operator; it goes into the journal, and by gossip to every balancer. */
const REASON_CHARACTERS_MAX = 200

/** What keeps it from being a reason, in words; undefined: it is one. */
export function reasonFault(reason: string): string | undefined {
  const isOne = reason !== '' && reason.length <= REASON_CHARACTERS_MAX && !/\p{C}/u.test(reason)
  return isOne ? undefined : `a reason is one line of 1 to ${REASON_CHARACTERS_MAX} characters, all of them to be seen`
}

/** @throws QueryError */
export function reasonIn(query: URLSearchParams): { readonly reason?: string } {
  const reason = query.get('reason')
  if (reason === null) return {}
  const fault = reasonFault(reason)
  if (fault !== undefined) throw new QueryError(`reason: ${fault}`)
  return { reason }
}

/** @throws QueryError */
export function wholeNumber(name: string, text: string): number {
  const value = Number(text)
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(value))
    throw new QueryError(`${name}: "${text}" is not a whole number`)
  return value
}
