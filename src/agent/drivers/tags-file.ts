import { writeFileAtomic } from '../../base/index.ts'

/** Serf's `-tags-file`: where tags that are set while running are kept, for this agent's next start or for Serf's. */
export class TagsFile {
  readonly #path: string
  /** One write after the other: each goes through the same temporary file. */
  #last: Promise<void> = Promise.resolve()

  constructor(path: string) {
    this.#path = path
  }

  /** @throws the system's error; the file is as before */
  keep(tags: Readonly<Record<string, string>>): Promise<void> {
    const written = this.#last.then(() => writeFileAtomic(this.#path, encodeTagsFile(tags)))
    this.#last = written.catch(() => undefined) // whoever asked for it is told
    return written
  }
}

/** As Go writes a map: sorted, indented by two, without a final newline, HTML's characters escaped. */
export function encodeTagsFile(tags: Readonly<Record<string, string>>): string {
  const sorted = Object.fromEntries(
    Object.entries(tags).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  )
  return JSON.stringify(sorted, undefined, 2).replace(
    /[<>&\u2028\u2029]/g,
    one => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
