/** How names and what others have said stand in a sentence. */

/** `lb-1, lb-2 and lb-3`; after a handful, how many more. */
export function listed(names: readonly string[]): string {
  const shown =
    names.length > SHOWN_MAX ? [...names.slice(0, SHOWN_MAX - 1), `${names.length - SHOWN_MAX + 1} more`] : names
  return shown.length < 2 ? (shown[0] ?? 'nobody') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`
}

/** A stranger's text in quotes, on one line and not longer than a line. */
export function quoted(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return JSON.stringify(line.length > QUOTED_MAX ? `${line.slice(0, QUOTED_MAX)}…` : line)
}

/** The first line of what somebody else said at length. */
export function firstLine(text: string): string {
  const [line = ''] = text.split('\n')
  return line.length > LINE_MAX ? `${line.slice(0, LINE_MAX)}…` : line
}

const SHOWN_MAX = 5
const QUOTED_MAX = 80
const LINE_MAX = 300
