import { assert, messageOf, type Random } from '../../base/index.ts'
import { CodecError, lzwCompress, lzwDecompress, MsgpackReader, NeedMoreError } from '../../codec/index.ts'
import {
  concat,
  decryptPayload,
  ENCRYPTION_OVERHEAD_BYTES,
  encryptPayload,
  NONCE_BYTES,
  type OnRetired,
} from './encryption.ts'
import type { Keyring } from '../keyring.ts'
import { checkLabel, labelHeader, takeLabel } from './label.ts'
import { MessageType, type StreamMessage } from '../messages.ts'
import { PacketRefusedError } from './packet.ts'
import { StreamMessageParser } from './stream-message.ts'
import { decodeCompress } from './decode.ts'
import { encodeCompress } from './encode.ts'

/** memberlist's limit on an encrypted stream, checked before anything is read. */
export const STREAM_ENCRYPTED_BYTES_MAX = 20 << 20
/** memberlist's limit on what a stream decompresses to; ours also on what arrives in clear. */
export const STREAM_BYTES_MAX = 40 << 20

/** A stream to be closed. `answer` is the text of the err message that memberlist would send first; undefined: silently. */
export class StreamRefusedError extends PacketRefusedError {
  override readonly code = 'MEMBERLIST_STREAM_REFUSED'
  readonly answer: string | undefined

  constructor(message: string, options: { answer?: boolean; cause?: unknown } = {}) {
    super(message, options)
    this.answer = options.answer === true ? message : undefined
  }
}

export interface StreamSealOptions {
  /** On streams always used when on, even where it grows the message: so do peers. */
  readonly compress: boolean
  /** Absent or empty: in clear. */
  readonly keyring?: Keyring | undefined
  /** Instead of the ring's primary key. */
  readonly key?: Uint8Array | undefined
  readonly label?: string | undefined
  /** True for the initiator, which alone writes the label; it is authenticated in both directions. */
  readonly sendLabel: boolean
  readonly random: Random
}

/**
 * All bytes of one direction of a stream.
 * @param message with its type byte, from `encodeStreamMessage`
 * @throws CodecError when it is larger than a peer would read; nothing may be sent then
 */
export function sealStream(message: Uint8Array, o: StreamSealOptions): Uint8Array {
  assert(message.length > 0, 'an empty message kills peers')
  const header = labelHeader(o.label)
  const body = o.compress ? encodeCompress(lzwCompress(message)) : message
  const key = o.key ?? o.keyring?.primary
  if (key === undefined) return o.sendLabel ? concat([header, body]) : body
  const length = body.length + ENCRYPTION_OVERHEAD_BYTES
  if (length > STREAM_ENCRYPTED_BYTES_MAX) {
    throw new CodecError(`message of ${length} bytes is larger than limit (${STREAM_ENCRYPTED_BYTES_MAX})`)
  }
  const frame = new Uint8Array(FRAME_BYTES)
  frame[0] = MessageType.encrypt
  new DataView(frame.buffer).setUint32(1, length)
  const aad = concat([frame, header.subarray(2)])
  const sealed = encryptPayload(body, { key, nonce: o.random.bytes(NONCE_BYTES), aad })
  return concat(o.sendLabel ? [header, frame, sealed] : [frame, sealed])
}

export interface StreamReaderOptions {
  readonly keyring?: Keyring | undefined
  readonly label?: string | undefined
  /** True for the responder, which reads the initiator's label; the answer carries none. */
  readonly expectLabel: boolean
  /** False: a stream in clear is read although there are keys. Default true. */
  readonly verifyIncoming?: boolean | undefined
  readonly onRetired?: OnRetired | undefined
}

/** `0a` and a length. */
const FRAME_BYTES = 5
const BUFFER_BYTES_MIN = 4096

/**
 * One direction of a stream, in chunks of any size. Holds what has arrived and nothing in advance of it: a length that a
 * peer merely claims reserves no memory.
 */
export class StreamReader {
  readonly #o: StreamReaderOptions
  #bytes: Uint8Array = new Uint8Array(0)
  #length = 0
  /** Not worth parsing before this many bytes are there. */
  #wanted = 1
  /** Where the message starts once the label is off; undefined while it is not. */
  #start: number | undefined
  #parser: StreamMessageParser | undefined
  #isDone = false

  constructor(o: StreamReaderOptions) {
    this.#o = o
    if (!o.expectLabel) this.#start = 0
  }

  /** Nothing has arrived: a peer that closes now only looked whether somebody listens. */
  get isEmpty(): boolean {
    return this.#length === 0
  }

  /**
   * The message, once it is complete; undefined before that and after. What follows the message is ignored.
   * @throws StreamRefusedError or CodecError; the reader is of no use from then on
   */
  push(chunk: Uint8Array): StreamMessage | undefined {
    if (this.#isDone) return undefined
    this.#append(chunk)
    if (this.#length < this.#wanted) return undefined
    try {
      const message = this.#parse()
      this.#finish()
      return message
    } catch (thrown) {
      if (thrown instanceof NeedMoreError) {
        this.#wanted = this.#length + thrown.bytesMissing
        return undefined
      }
      this.#finish()
      throw thrown
    }
  }

  #parse(): StreamMessage {
    const start = this.#start ?? this.#takeLabel()
    const bytes = this.#bytes.subarray(start, this.#length)
    if (this.#parser !== undefined) return this.#parser.parse(bytes)
    const type = bytes[0]
    if (type === undefined) throw new NeedMoreError(1)
    if (type === MessageType.encrypt) return this.#parseEncrypted(bytes)
    if (this.#o.keyring?.primary !== undefined && this.#o.verifyIncoming !== false) {
      throw new StreamRefusedError('Encryption is configured but remote state is not encrypted', { answer: true })
    }
    if (type === MessageType.compress) {
      const plain = inflated(bytes)
      return whole(() => parseWhole(plain))
    }
    this.#parser = new StreamMessageParser()
    return this.#parser.parse(bytes)
  }

  #takeLabel(): number {
    const bytes = this.#bytes.subarray(0, this.#length)
    const { label, rest } = takeLabel(bytes, 'stream')
    if (!checkLabel(label, this.#o.label)) {
      throw new StreamRefusedError(`discarding stream with unacceptable label "${label}"`)
    }
    this.#start = bytes.length - rest.length
    return this.#start
  }

  #parseEncrypted(bytes: Uint8Array): StreamMessage {
    const { keyring, onRetired } = this.#o
    if (keyring?.primary === undefined) {
      throw new StreamRefusedError('Remote state is encrypted and encryption is not configured', { answer: true })
    }
    if (bytes.length < FRAME_BYTES) throw new NeedMoreError(FRAME_BYTES - bytes.length)
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1)
    if (length > STREAM_ENCRYPTED_BYTES_MAX) {
      throw new StreamRefusedError(`Remote node state is larger than limit (${length})`, { answer: true })
    }
    const end = FRAME_BYTES + length
    if (bytes.length < end) throw new NeedMoreError(end - bytes.length)
    const aad = concat([bytes.subarray(0, FRAME_BYTES), labelHeader(this.#o.label).subarray(2)])
    const plain = answering(() => decryptPayload(bytes.subarray(FRAME_BYTES, end), keyring, aad, onRetired))
    return whole(() => parseWhole(plain[0] === MessageType.compress ? inflated(plain) : plain))
  }

  #append(chunk: Uint8Array): void {
    const length = this.#length + chunk.length
    if (length > STREAM_BYTES_MAX) {
      this.#finish()
      throw new StreamRefusedError(`stream is larger than limit (${STREAM_BYTES_MAX})`)
    }
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(Math.min(STREAM_BYTES_MAX, Math.max(BUFFER_BYTES_MIN, 2 * length)))
      larger.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = larger
    }
    this.#bytes.set(chunk, this.#length)
    this.#length = length
  }

  /** Lets go of everything but the fact that something had arrived. */
  #finish(): void {
    this.#isDone = true
    this.#bytes = new Uint8Array(0)
    this.#parser = undefined
  }
}

/** What is left of a compress message; waits for the rest of its bytes, and answers what is wrong with them. */
function inflated(message: Uint8Array): Uint8Array {
  return answering(() => {
    const plain = lzwDecompress(decodeCompress(new MsgpackReader(message, 1)), STREAM_BYTES_MAX)
    if (plain.length === 0) throw new CodecError('decompressed message is empty')
    return plain
  })
}

function parseWhole(message: Uint8Array): StreamMessage {
  return new StreamMessageParser().parse(message)
}

/** Runs what gets an err message for an answer when it fails. */
function answering<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof CodecError) || cause instanceof NeedMoreError) throw cause
    throw new StreamRefusedError(messageOf(cause), { answer: true, cause })
  }
}

/** Runs what has all its bytes: an end inside a value is an error here, no reason to wait. */
function whole<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof NeedMoreError)) throw cause
    throw new CodecError(`Failed to read remote state: ${cause.message}`, { cause })
  }
}
