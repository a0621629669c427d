import type { PacketMessage, Source } from '../memberlist/index.ts'

/** Type byte and header of the map. */
const HEAD_BYTES = 2
/** `true` and `false`. */
const BOOL_BYTES = 1

/** How many bytes `encodeMessage` would make of it, at a fiftieth of the cost. */
export function partLength(message: PacketMessage): number {
  switch (message.type) {
    case 'ping':
      return HEAD_BYTES + key('Node') + text(message.node) + key('SeqNo') + uint(message.seqNo) + source(message)
    case 'indirectPing': {
      const { node, port, seqNo, target } = message
      const asked = key('Node') + text(node) + key('SeqNo') + uint(seqNo) + key('Nack') + BOOL_BYTES
      return HEAD_BYTES + asked + key('Port') + uint(port) + key('Target') + raw(target.length) + source(message)
    }
    case 'ack':
      return HEAD_BYTES + key('Payload') + orNil(message.payload) + key('SeqNo') + uint(message.seqNo)
    case 'nack':
      return HEAD_BYTES + key('SeqNo') + uint(message.seqNo)
    case 'suspect':
    case 'dead': {
      const { from, incarnation, node } = message
      return HEAD_BYTES + key('From') + text(from) + key('Incarnation') + uint(incarnation) + key('Node') + text(node)
    }
    case 'alive': {
      const { addr, incarnation, meta, node, port } = message
      const where = key('Addr') + raw(addr.length) + key('Port') + uint(port) + key('Vsn') + raw(6)
      const what = key('Incarnation') + uint(incarnation) + key('Node') + text(node) + key('Meta')
      return HEAD_BYTES + where + what + (meta.length === 0 ? 1 : raw(meta.length))
    }
    case 'user':
      return 1 + message.body.length
  }
}

function source({ sourceAddr, sourceNode, sourcePort }: Source): number {
  let bytes = 0
  if (sourceAddr?.length) bytes += key('SourceAddr') + raw(sourceAddr.length)
  if (sourceNode) bytes += key('SourceNode') + text(sourceNode)
  if (sourcePort) bytes += key('SourcePort') + uint(sourcePort)
  return bytes
}

const key = (name: string): number => name.length + 1
const text = (name: string): number => raw(Buffer.byteLength(name))
const orNil = (bytes: Uint8Array | undefined): number => (bytes === undefined ? 1 : raw(bytes.length))

function raw(length: number): number {
  if (length < 32) return length + 1
  return length < 0x10000 ? length + 3 : length + 5
}

function uint(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x100) return 2
  return value < 0x10000 ? 3 : 5
}
