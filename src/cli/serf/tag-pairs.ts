import { type Console, say } from './console.ts'

/** `key=value` arguments as a record; undefined when one has no `=` or no key, which has been said. */
export function tagPairs(console: Console, texts: readonly string[]): Record<string, string> | undefined {
  const tags: Record<string, string> = {}
  for (const text of texts) {
    const split = text.indexOf('=')
    if (split <= 0) {
      say(console, `Error: Invalid tag: '${text}'`)
      return undefined
    }
    tags[text.slice(0, split)] = text.slice(split + 1)
  }
  return tags
}
