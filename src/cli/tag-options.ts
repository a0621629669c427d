import { UsageError } from './usage-error.ts'

/** `KEY=VALUE` arguments as a record. @throws UsageError for one without `=` or without a key */
export function tagsFrom(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map(text => {
      const split = text.indexOf('=')
      if (split <= 0) throw new UsageError(`"${text}" is not a tag; write KEY=VALUE`)
      return [text.slice(0, split), text.slice(split + 1)]
    }),
  )
}
