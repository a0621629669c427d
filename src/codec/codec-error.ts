import { MusterError } from '../base/index.ts'

/** Bytes that are not what they should be. Nothing was changed; whoever sent them is at fault, so drop them and count. */
export class CodecError extends MusterError {
  readonly code: string = 'CODEC_MALFORMED'
}

/**
 * The input ended inside a value. For a datagram that is malformed like anything else; a stream may wait.
 * `bytesMissing` is a lower bound (at least 1), so that a parser need not try again before that much has arrived.
 */
export class NeedMoreError extends CodecError {
  override readonly code = 'CODEC_NEED_MORE'
  readonly bytesMissing: number

  constructor(bytesMissing: number) {
    super('unexpected EOF')
    this.bytesMissing = bytesMissing
  }
}
