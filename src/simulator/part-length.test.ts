import { expect, test } from 'vitest'
import { encodeMessage, type PacketMessage, type Versions } from '../memberlist/index.ts'
import { partLength } from './part-length.ts'

const VSN: Versions = [1, 5, 2, 2, 5, 5]
const UINTS = [0, 1, 127, 128, 255, 256, 65_535, 65_536, 0xffff_ffff]
const TEXTS = ['', 'm1', 'a name of thirty-one characters', 'ö', 'and one of more than thirty-one characters']

test('a part has the length that its bytes would have', () => {
  for (const uint of UINTS)
    for (const text of TEXTS)
      for (const message of messages(uint, text)) {
        expect(partLength(message), JSON.stringify(message)).toBe(encodeMessage(message).length)
      }
})

function messages(uint: number, text: string): PacketMessage[] {
  const bytes = new TextEncoder().encode(text)
  const port = uint & 0xffff
  const addr = new Uint8Array(4)
  const source = { sourceAddr: addr, sourcePort: port, sourceNode: text }
  return [
    { type: 'ping', seqNo: uint, node: text },
    { type: 'ping', seqNo: uint, node: text, ...source },
    { type: 'indirectPing', seqNo: uint, node: text, port, target: addr, nack: true, ...source },
    { type: 'ack', seqNo: uint, payload: undefined },
    { type: 'ack', seqNo: uint, payload: bytes },
    { type: 'nack', seqNo: uint },
    { type: 'suspect', incarnation: uint, node: text, from: 'm1' },
    { type: 'dead', incarnation: uint, node: 'm1', from: text },
    { type: 'alive', incarnation: uint, node: text, addr, port, meta: bytes, vsn: VSN, vsnBytes: 6 },
    { type: 'user', body: bytes },
  ]
}
