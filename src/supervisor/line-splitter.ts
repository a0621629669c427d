/** Longer lines are cut into several; what a service prints must not decide how much memory we use. */
export const LINE_BYTES_MAX = 16_384

const LF = 0x0a

/** Bytes in, lines out. Invalid UTF-8 becomes U+FFFD, a carriage return before the end of a line is dropped. */
export class LineSplitter {
  #pending: Buffer = Buffer.alloc(0)

  /** Bytes of the last line, which has no end yet; at most LINE_BYTES_MAX. */
  get pendingBytes(): number {
    return this.#pending.length
  }

  push(bytes: Uint8Array): string[] {
    const lines: string[] = []
    let rest = Buffer.concat([this.#pending, bytes])
    while (rest.length > 0) {
      const end = rest.subarray(0, LINE_BYTES_MAX + 1).indexOf(LF)
      if (end < 0 && rest.length <= LINE_BYTES_MAX) break
      const cut = end < 0 ? characterStart(rest, LINE_BYTES_MAX) : end
      lines.push(textOf(rest.subarray(0, cut)))
      rest = rest.subarray(end < 0 ? cut : cut + 1)
    }
    this.#pending = rest
    return lines
  }

  /** The unfinished line, if there is one: its writer is gone. */
  flush(): string[] {
    const rest = this.#pending
    this.#pending = Buffer.alloc(0)
    return rest.length === 0 ? [] : [textOf(rest)]
  }
}

/** The last start of a character at or before `at`; gives up after four bytes, which no UTF-8 character exceeds. */
function characterStart(bytes: Buffer, at: number): number {
  for (let back = 0; back < 4; back++) if (((bytes[at - back] as number) & 0xc0) !== 0x80) return at - back
  return at
}

function textOf(bytes: Buffer): string {
  const text = bytes.toString('utf8')
  return text.endsWith('\r') ? text.slice(0, -1) : text
}
