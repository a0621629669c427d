import { CodecError, MsgpackWriter } from '../../codec/index.ts'
import {
  type Alive,
  type IndirectPing,
  MessageType,
  type PacketMessage,
  type Ping,
  type PushNode,
  type PushPull,
  type Source,
  type StreamMessage,
} from '../messages.ts'

/**
 * A message with its type byte, in the form every release reads: old msgpack, keys ascending, unsigned integers, nil for
 * absent byte slices. A user message takes its packet form (the body up to the end); on streams use `encodeStreamMessage`.
 * @throws CodecError for an alive without versions: that must not be passed on, it blocks every push/pull of a Serf cluster.
 *   Entries of a push/pull without versions are left out for the same reason.
 */
export function encodeMessage(message: PacketMessage | StreamMessage): Uint8Array {
  const out = new MsgpackWriter('old', 192)
  out.byte(MessageType[message.type])
  switch (message.type) {
    case 'ping':
      encodePing(out, message)
      break
    case 'indirectPing':
      encodeIndirectPing(out, message)
      break
    case 'ack':
      out.mapHeader(2)
      bytesField(out, 'Payload', message.payload)
      uintField(out, 'SeqNo', message.seqNo)
      break
    case 'nack':
      out.mapHeader(1)
      uintField(out, 'SeqNo', message.seqNo)
      break
    case 'suspect':
    case 'dead':
      out.mapHeader(3)
      textField(out, 'From', message.from)
      uintField(out, 'Incarnation', message.incarnation)
      textField(out, 'Node', message.node)
      break
    case 'alive':
      encodeAlive(out, message)
      break
    case 'err':
      out.mapHeader(1)
      textField(out, 'Error', message.error)
      break
    case 'pushPull':
      encodePushPull(out, message)
      break
    case 'user':
      out.plain(message.body)
  }
  return out.finish()
}

/** As `encodeMessage`, but a user message takes its stream form: a header with the length, then the body. */
export function encodeStreamMessage(message: StreamMessage): Uint8Array {
  if (message.type !== 'user') return encodeMessage(message)
  const out = new MsgpackWriter('old', message.body.length + 20)
  out.byte(MessageType.user)
  out.mapHeader(1)
  uintField(out, 'UserMsgLen', message.body.length)
  out.plain(message.body)
  return out.finish()
}

/** LZW is the only algorithm there is; `buf` is a whole message after it. */
export function encodeCompress(buf: Uint8Array): Uint8Array {
  const out = new MsgpackWriter('old', buf.length + 20)
  out.byte(MessageType.compress)
  out.mapHeader(2)
  uintField(out, 'Algo', 0)
  bytesField(out, 'Buf', buf)
  return out.finish()
}

function encodePing(out: MsgpackWriter, ping: Ping): void {
  out.mapHeader(2 + sourceFields(ping))
  textField(out, 'Node', ping.node)
  uintField(out, 'SeqNo', ping.seqNo)
  encodeSource(out, ping)
}

function encodeIndirectPing(out: MsgpackWriter, ping: IndirectPing): void {
  out.mapHeader(5 + sourceFields(ping))
  out.text('Nack')
  out.bool(ping.nack)
  textField(out, 'Node', ping.node)
  uintField(out, 'Port', ping.port)
  uintField(out, 'SeqNo', ping.seqNo)
  encodeSource(out, ping)
  bytesField(out, 'Target', ping.target)
}

function sourceFields({ sourceAddr, sourcePort, sourceNode }: Source): number {
  return (sourceAddr?.length ? 1 : 0) + (sourceNode ? 1 : 0) + (sourcePort ? 1 : 0)
}

function encodeSource(out: MsgpackWriter, { sourceAddr, sourcePort, sourceNode }: Source): void {
  if (sourceAddr?.length) bytesField(out, 'SourceAddr', sourceAddr)
  if (sourceNode) textField(out, 'SourceNode', sourceNode)
  if (sourcePort) uintField(out, 'SourcePort', sourcePort)
}

function encodeAlive(out: MsgpackWriter, alive: Alive): void {
  if (alive.vsn === undefined) throw new CodecError(`alive message about '${alive.node}' carries no versions`)
  out.mapHeader(6)
  bytesField(out, 'Addr', alive.addr)
  uintField(out, 'Incarnation', alive.incarnation)
  bytesField(out, 'Meta', orAbsent(alive.meta))
  textField(out, 'Node', alive.node)
  uintField(out, 'Port', alive.port)
  bytesField(out, 'Vsn', Uint8Array.from(alive.vsn))
}

function encodePushPull(out: MsgpackWriter, message: PushPull): void {
  const nodes = message.nodes.filter(node => node.vsn !== undefined)
  out.mapHeader(3)
  out.text('Join')
  out.bool(message.join)
  uintField(out, 'Nodes', nodes.length)
  uintField(out, 'UserStateLen', message.userState.length)
  for (const node of nodes) encodePushNode(out, node)
  out.plain(message.userState)
}

function encodePushNode(out: MsgpackWriter, node: PushNode): void {
  out.mapHeader(7)
  bytesField(out, 'Addr', node.addr)
  uintField(out, 'Incarnation', node.incarnation)
  bytesField(out, 'Meta', orAbsent(node.meta))
  textField(out, 'Name', node.name)
  uintField(out, 'Port', node.port)
  uintField(out, 'State', node.state)
  bytesField(out, 'Vsn', Uint8Array.from(node.vsn ?? []))
}

/** Nil and empty mean the same; nil is what an agent without meta sends. */
function orAbsent(meta: Uint8Array): Uint8Array | undefined {
  return meta.length === 0 ? undefined : meta
}

function textField(out: MsgpackWriter, key: string, text: string): void {
  out.text(key)
  out.text(text)
}

function uintField(out: MsgpackWriter, key: string, value: number): void {
  out.text(key)
  out.int(value)
}

function bytesField(out: MsgpackWriter, key: string, bytes: Uint8Array | undefined): void {
  out.text(key)
  out.bytes(bytes)
}
