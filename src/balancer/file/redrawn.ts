import { type Structure, withServers } from './config-structure.ts'

/** HAProxy's file, as text and taken apart. */
export interface File {
  readonly text: string
  readonly structure: Structure
}

/**
 * The file with some of its server lines as they are by now.
 * @param part the same file with no servers but those, in their order
 * @returns undefined when they differ in more than these lines
 */
export function redrawn(file: File, part: File): File | undefined {
  const structure = withServers(file.structure, part.structure)
  const text = structure === undefined ? undefined : withLines(file.text, part.text)
  return structure === undefined || text === undefined ? undefined : { text, structure }
}

/** Titles of sections lead from one to the next, and are put in their own place like the lines of servers. */
function withLines(text: string, part: string): string | undefined {
  const pieces: string[] = []
  let done = 0
  for (const line of part.split('\n')) {
    const start = line.startsWith(' ') ? SERVER.exec(line)?.[0] : TITLE.test(line) ? `${line}\n` : undefined
    if (start === undefined) continue
    const at = text.indexOf(`\n${start}`, done)
    if (at < 0) return undefined
    pieces.push(text.slice(done, at + 1), line)
    done = text.indexOf('\n', at + 1)
  }
  return [...pieces, text.slice(done)].join('')
}

const SERVER = /^ +server \S+ /
const TITLE = /^[a-z]/
