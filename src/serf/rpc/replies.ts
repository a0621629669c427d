import { decodeRecord, type Fields, type Seq, seqField, textField } from './records.ts'
import { ValueScanner } from './scan.ts'

/** Something the agent sent, whole. */
export interface Reply {
  readonly seq: Seq
  /** '' when it worked. */
  readonly error: string
  /** Absent when this answer has none. */
  readonly body?: Fields
}

/**
 * The client's side of the stream without I/O: cuts it into replies. Nothing in the stream says whether a body follows a
 * header, so the owner says it for each header (serf-rpc 1.1, 5).
 */
export class ReplyReader {
  readonly #scanner = new ValueScanner(REPLY_BYTES_MAX)
  readonly #hasBody: (seq: Seq, error: string) => boolean
  #header: Reply | undefined

  constructor(hasBody: (seq: Seq, error: string) => boolean) {
    this.#hasBody = hasBody
  }

  receive(chunk: Uint8Array): void {
    this.#scanner.push(chunk)
  }

  /**
   * The next whole reply; undefined until it has arrived.
   * @throws CodecError when the stream is not RPC; it cannot go on after that
   */
  next(): Reply | undefined {
    for (let bytes = this.#scanner.take(); bytes !== undefined; bytes = this.#scanner.take()) {
      const fields = decodeRecord(bytes)
      if (this.#header !== undefined) {
        const reply = { ...this.#header, body: fields }
        this.#header = undefined
        return reply
      }
      const header = { seq: seqField(fields, 'Seq') ?? 0, error: textField(fields, 'Error') }
      if (!this.#hasBody(header.seq, header.error)) return header
      this.#header = header
    }
    return undefined
  }
}

/** About 20,000 members with full tags. */
export const REPLY_BYTES_MAX = 16 * 1024 * 1024
