/** A line as HAProxy reads it. */
export interface Split {
  readonly words: readonly string[]
  /** What is quoted as it is written, behind ` # `: what quotes and backslashes make of a word is HAProxy's to say. */
  readonly quoted: string
}

/**
 * Words lie between spaces and tabs; a carriage return ends the line, and is a part of the word where there is more behind it. An
 * unbalanced quote keeps the rest of the line as one word.
 */
export function splitWords(raw: string): Split {
  const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw
  if (!QUOTING.test(line)) return { words: plainWords(line), quoted: '' } // nearly all of them, of which a pool of thousands has many
  if (line.includes('\0')) return { words: [line], quoted: '' } // HAProxy refuses it in a comment, too
  const found: readonly string[] = line.match(SPAN) ?? []
  const spans = found.includes('#') ? found.slice(0, found.indexOf('#')) : found
  const quoted = spans.filter(span => QUOTING.test(span) && !QUOTED_PLAINLY.test(span))
  return { words: spans.map(unquoted), quoted: quoted.length === 0 ? '' : ` # ${quoted.join(' ')}` }
}

const QUOTING = /["'\\\0]/
/** A word with its quotes, or the `#` that begins a comment. */
const SPAN = /(?:"(?:\\.?|[^"\\])*(?:"|$)|'[^']*(?:'|$)|\\.?|[^ \t"'\\#])+|#/gs
/** Quotes that change nothing. */
const QUOTED_PLAINLY = /^(?:"[^"'\\$# \t\r]*"|'[^"'\\$# \t\r]*')$/

function unquoted(span: string): string {
  return span.replace(/"((?:\\.?|[^"\\])*)"?|'([^']*)'?/gs, '$1$2')
}

function plainWords(line: string): string[] {
  const comment = line.indexOf('#')
  const words = (comment < 0 ? line : line.slice(0, comment)).split(BLANKS)
  return words.filter(word => word !== '')
}

const BLANKS = /[ \t]+/

/** The words of a line with one space between them, quoted where that would part them. */
export function plainLine(words: readonly string[]): string {
  return words.map(word => (word === '' || /[ \t\r"]/.test(word) ? JSON.stringify(word) : word)).join(' ')
}
