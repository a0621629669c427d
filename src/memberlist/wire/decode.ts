import { messageOf } from '../../base/index.ts'
import { CodecError, MsgpackReader } from '../../codec/index.ts'
import {
  type Ack,
  type Alive,
  type Dead,
  type Err,
  type IndirectPing,
  MessageType,
  type Nack,
  type PacketMessage,
  type Ping,
  type PushNode,
  type Suspect,
  type Versions,
} from '../messages.ts'

/**
 * One part of a packet, as tolerant as Go's codecs: unknown fields are skipped, missing ones are zero, bytes after the
 * structure are ignored. Byte fields are copies, so that a datagram does not outlive its handling.
 * @throws CodecError in memberlist's words
 */
export function decodeMessage(part: Uint8Array): PacketMessage {
  const type = part[0]
  if (type === undefined) throw new CodecError('missing message type byte')
  if (type === MessageType.user) return { type: 'user', body: copyOf(part.subarray(1)) }
  const decoder = DECODERS[type]
  if (decoder === undefined) throw new CodecError(`msg type (${type}) not supported`)
  try {
    return decoder.decode(new MsgpackReader(part, 1))
  } catch (cause) {
    if (!(cause instanceof CodecError)) throw cause
    throw new CodecError(`Failed to decode ${decoder.what}: ${messageOf(cause)}`, { cause })
  }
}

export function decodePing(reader: MsgpackReader): Ping {
  let seqNo = 0
  let node = ''
  const source: { -readonly [K in keyof Ping]?: Ping[K] } = {}
  reader.fields(PING, name => {
    if (name === 'SeqNo') seqNo = reader.uint(U32_MAX)
    else if (name === 'Node') node = reader.text()
    else if (name === 'SourceAddr') source.sourceAddr = copyOf(reader.bytes())
    else if (name === 'SourcePort') source.sourcePort = reader.uint(U16_MAX)
    else if (name === 'SourceNode') source.sourceNode = reader.text()
    else reader.skip()
  })
  return { ...source, type: 'ping', seqNo, node }
}

export function decodeAck(reader: MsgpackReader): Ack {
  let seqNo = 0
  let payload: Uint8Array | undefined
  reader.fields(ACK, name => {
    if (name === 'SeqNo') seqNo = reader.uint(U32_MAX)
    else if (name === 'Payload') payload = copyOf(reader.bytes())
    else reader.skip()
  })
  return { type: 'ack', seqNo, payload: payload?.length === 0 ? undefined : payload }
}

export function decodeErr(reader: MsgpackReader): Err {
  let error = ''
  reader.fields(ERR, name => {
    if (name === 'Error') error = reader.text()
    else reader.skip()
  })
  return { type: 'err', error }
}

/** What stands before the entries of a push/pull. Any integers: the caller knows the limits. */
export interface PushPullHeader {
  readonly join: boolean
  readonly nodes: number
  readonly userStateBytes: number
}

export function decodePushPullHeader(reader: MsgpackReader): PushPullHeader {
  let join = false
  let nodes = 0
  let userStateBytes = 0
  reader.fields(PUSH_PULL, name => {
    if (name === 'Join') join = reader.bool()
    else if (name === 'Nodes') nodes = reader.int()
    else if (name === 'UserStateLen') userStateBytes = reader.int()
    else reader.skip()
  })
  return { join, nodes, userStateBytes }
}

export function decodePushNode(reader: MsgpackReader): PushNode {
  let [name, port, incarnation, state] = ['', 0, 0, 0]
  let [addr, meta, vsnBytes] = [NO_BYTES, NO_BYTES, NO_BYTES]
  reader.fields(PUSH_NODE, field => {
    if (field === 'Name') name = reader.text()
    else if (field === 'Addr') addr = copyOf(reader.bytes())
    else if (field === 'Port') port = reader.uint(U16_MAX)
    else if (field === 'Meta') meta = copyOf(reader.bytes())
    else if (field === 'Incarnation') incarnation = reader.uint(U32_MAX)
    else if (field === 'State') state = reader.int()
    else if (field === 'Vsn') vsnBytes = reader.bytes()
    else reader.skip()
  })
  return { name, addr, port, meta, incarnation, state, vsn: versionsOf(vsnBytes), vsnBytes: vsnBytes.length }
}

/** Length of the body that follows the header of a user message on a stream; any integer. */
export function decodeUserHeader(reader: MsgpackReader): number {
  let bodyBytes = 0
  reader.fields(USER, name => {
    if (name === 'UserMsgLen') bodyBytes = reader.int()
    else reader.skip()
  })
  return bodyBytes
}

/** The compressed bytes of a compress message: a view. */
export function decodeCompress(reader: MsgpackReader): Uint8Array {
  let algorithm = 0
  let buf: Uint8Array = NO_BYTES
  reader.fields(COMPRESS, name => {
    if (name === 'Algo') algorithm = reader.uint(255)
    else if (name === 'Buf') buf = reader.bytes()
    else reader.skip()
  })
  if (algorithm !== 0) throw new CodecError(`Cannot decompress unknown algorithm ${algorithm}`)
  return buf
}

const U16_MAX = 0xffff
const U32_MAX = 0xffff_ffff
const NO_BYTES: Uint8Array = new Uint8Array(0)

/** Orders of declaration, for a structure that comes as an array. */
const PING = ['SeqNo', 'Node', 'SourceAddr', 'SourcePort', 'SourceNode']
const INDIRECT_PING = ['SeqNo', 'Target', 'Port', 'Node', 'Nack', 'SourceAddr', 'SourcePort', 'SourceNode']
const ACK = ['SeqNo', 'Payload']
const NACK = ['SeqNo']
const ERR = ['Error']
const SUSPECT = ['Incarnation', 'Node', 'From']
const ALIVE = ['Incarnation', 'Node', 'Addr', 'Port', 'Meta', 'Vsn']
const PUSH_PULL = ['Nodes', 'UserStateLen', 'Join']
const PUSH_NODE = ['Name', 'Addr', 'Port', 'Meta', 'Incarnation', 'State', 'Vsn']
const USER = ['UserMsgLen']
const COMPRESS = ['Algo', 'Buf']

interface Decoder {
  readonly what: string
  decode(reader: MsgpackReader): PacketMessage
}

const DECODERS: Readonly<Record<number, Decoder>> = {
  [MessageType.ping]: { what: 'ping request', decode: decodePing },
  [MessageType.indirectPing]: { what: 'indirect ping request', decode: decodeIndirectPing },
  [MessageType.ack]: { what: 'ack response', decode: decodeAck },
  [MessageType.nack]: { what: 'nack response', decode: decodeNack },
  [MessageType.suspect]: { what: 'suspect message', decode: reader => decodeAccusation(reader, 'suspect') },
  [MessageType.alive]: { what: 'alive message', decode: decodeAlive },
  [MessageType.dead]: { what: 'dead message', decode: reader => decodeAccusation(reader, 'dead') },
}

function decodeIndirectPing(reader: MsgpackReader): IndirectPing {
  let [seqNo, port, node, nack] = [0, 0, '', false]
  let target = NO_BYTES
  const source: { -readonly [K in keyof Ping]?: Ping[K] } = {}
  reader.fields(INDIRECT_PING, name => {
    if (name === 'SeqNo') seqNo = reader.uint(U32_MAX)
    else if (name === 'Target') target = copyOf(reader.bytes())
    else if (name === 'Port') port = reader.uint(U16_MAX)
    else if (name === 'Node') node = reader.text()
    else if (name === 'Nack') nack = reader.bool()
    else if (name === 'SourceAddr') source.sourceAddr = copyOf(reader.bytes())
    else if (name === 'SourcePort') source.sourcePort = reader.uint(U16_MAX)
    else if (name === 'SourceNode') source.sourceNode = reader.text()
    else reader.skip()
  })
  return { ...source, type: 'indirectPing', seqNo, target, port, node, nack }
}

function decodeNack(reader: MsgpackReader): Nack {
  let seqNo = 0
  reader.fields(NACK, name => {
    if (name === 'SeqNo') seqNo = reader.uint(U32_MAX)
    else reader.skip()
  })
  return { type: 'nack', seqNo }
}

function decodeAccusation(reader: MsgpackReader, type: 'suspect' | 'dead'): Suspect | Dead {
  let [incarnation, node, from] = [0, '', '']
  reader.fields(SUSPECT, name => {
    if (name === 'Incarnation') incarnation = reader.uint(U32_MAX)
    else if (name === 'Node') node = reader.text()
    else if (name === 'From') from = reader.text()
    else reader.skip()
  })
  return { type, incarnation, node, from }
}

function decodeAlive(reader: MsgpackReader): Alive {
  let [incarnation, node, port] = [0, '', 0]
  let [addr, meta, vsnBytes] = [NO_BYTES, NO_BYTES, NO_BYTES]
  reader.fields(ALIVE, name => {
    if (name === 'Incarnation') incarnation = reader.uint(U32_MAX)
    else if (name === 'Node') node = reader.text()
    else if (name === 'Addr') addr = copyOf(reader.bytes())
    else if (name === 'Port') port = reader.uint(U16_MAX)
    else if (name === 'Meta') meta = copyOf(reader.bytes())
    else if (name === 'Vsn') vsnBytes = reader.bytes()
    else reader.skip()
  })
  return { type: 'alive', incarnation, node, addr, port, meta, vsn: versionsOf(vsnBytes), vsnBytes: vsnBytes.length }
}

function versionsOf(bytes: Uint8Array): Versions | undefined {
  if (bytes.length !== 6) return undefined
  const [pMin = 0, pMax = 0, pCur = 0, dMin = 0, dMax = 0, dCur = 0] = bytes
  return [pMin, pMax, pCur, dMin, dMax, dCur]
}

/** Always a plain Uint8Array, even of a Buffer. */
function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes)
}
