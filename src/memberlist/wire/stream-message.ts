import { CodecError, MsgpackReader, NeedMoreError } from '../../codec/index.ts'
import { MessageType, type PushNode, type StreamMessage } from '../messages.ts'
import {
  decodeAck,
  decodeErr,
  decodePing,
  decodePushNode,
  decodePushPullHeader,
  decodeUserHeader,
  type PushPullHeader,
} from './decode.ts'

/** memberlist's limit on the host's state and on user messages. */
export const USER_STATE_BYTES_MAX = 20 << 20
/** memberlist allows 1048576, but an entry can be a single byte that costs us two hundred; no cluster comes near this. */
export const PUSH_NODES_MAX = 1 << 16

/**
 * One message of a stream, whose end only its own content tells. Remembers how far it came, so that a slow peer does not
 * make us read the same entries again with every segment.
 */
export class StreamMessageParser {
  #at = 1
  #header: PushPullHeader | undefined
  readonly #nodes: PushNode[] = []

  /**
   * @param bytes everything so far, from the type byte on; each call must begin with the bytes of the last
   * @throws NeedMoreError when the end is not there yet; CodecError
   */
  parse(bytes: Uint8Array): StreamMessage {
    const type = bytes[0]
    if (type === undefined) throw new NeedMoreError(1)
    const reader = new MsgpackReader(bytes, this.#at)
    if (type === MessageType.ping) return decodePing(reader)
    if (type === MessageType.ack) return decodeAck(reader)
    if (type === MessageType.err) return decodeErr(reader)
    if (type === MessageType.user) return parseUser(reader)
    if (type === MessageType.pushPull) return this.#parsePushPull(reader)
    throw new CodecError(`Received invalid msgType (${type})`)
  }

  #parsePushPull(reader: MsgpackReader): StreamMessage {
    const header = this.#header ?? checkHeader(decodePushPullHeader(reader))
    this.#header = header
    this.#at = reader.at
    while (this.#nodes.length < header.nodes) {
      this.#nodes.push(decodePushNode(reader))
      this.#at = reader.at
    }
    return { type: 'pushPull', join: header.join, nodes: this.#nodes, userState: reader.plain(header.userStateBytes) }
  }
}

function parseUser(reader: MsgpackReader): StreamMessage {
  const length = decodeUserHeader(reader)
  if (length < 0 || length > USER_STATE_BYTES_MAX) {
    throw new CodecError(`user message length (${length}) exceeds limit`)
  }
  return { type: 'user', body: reader.plain(length) }
}

function checkHeader(header: PushPullHeader): PushPullHeader {
  if (header.nodes < 0 || header.nodes > PUSH_NODES_MAX) {
    throw new CodecError(`number of nodes in header (${header.nodes}) exceeds limit`)
  }
  if (header.userStateBytes < 0 || header.userStateBytes > USER_STATE_BYTES_MAX) {
    throw new CodecError(`user state length (${header.userStateBytes}) exceeds limit`)
  }
  return header
}
