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

/** @throws QueryError */
export function wholeNumber(name: string, text: string): number {
  const value = Number(text)
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(value))
    throw new QueryError(`${name}: "${text}" is not a whole number`)
  return value
}
