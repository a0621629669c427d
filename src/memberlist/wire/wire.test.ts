import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CodecError, encodeMsgpack, type MsgpackValue } from '../../codec/index.ts'
import type { PacketMessage } from '../messages.ts'
import { decodeMessage } from './decode.ts'
import { encodeMessage } from './encode.ts'

const u16 = fc.integer({ min: 0, max: 0xffff })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const name = fc.string({ unit: 'grapheme', maxLength: 60 })
const bytes = fc.uint8Array({ maxLength: 60 })
const some = { minLength: 1, maxLength: 16 }
const source = fc.record(
  {
    sourceAddr: fc.uint8Array(some),
    sourcePort: fc.integer({ min: 1, max: 0xffff }),
    sourceNode: fc.string({ unit: 'grapheme', ...some }),
  },
  { requiredKeys: [], noNullPrototype: true },
)
const byte = fc.integer({ min: 0, max: 255 })
const message: fc.Arbitrary<PacketMessage> = fc.oneof(
  fc.tuple(u32, name, source).map(([seqNo, node, s]): PacketMessage => ({ type: 'ping', seqNo, node, ...s })),
  fc.tuple(u32, bytes, u16, name, fc.boolean(), source).map(
    ([seqNo, target, port, node, nack, s]): PacketMessage => ({
      type: 'indirectPing',
      seqNo,
      target,
      port,
      node,
      nack,
      ...s,
    }),
  ),
  fc
    .tuple(u32, fc.option(fc.uint8Array(some), { nil: undefined }))
    .map(([seqNo, payload]): PacketMessage => ({ type: 'ack', seqNo, payload })),
  u32.map((seqNo): PacketMessage => ({ type: 'nack', seqNo })),
  fc
    .tuple(fc.constantFrom('suspect' as const, 'dead' as const), u32, name, name)
    .map(([type, incarnation, node, from]): PacketMessage => ({ type, incarnation, node, from })),
  fc.tuple(u32, name, bytes, u16, bytes, fc.tuple(byte, byte, byte, byte, byte, byte)).map(
    ([incarnation, node, addr, port, meta, vsn]): PacketMessage => ({
      type: 'alive',
      incarnation,
      node,
      addr,
      port,
      meta,
      vsn,
      vsnBytes: 6,
    }),
  ),
  bytes.map((body): PacketMessage => ({ type: 'user', body })),
)

test('any message survives the way to bytes and back', () => {
  fc.assert(
    fc.property(message, wanted => {
      expect(decodeMessage(encodeMessage(wanted))).toEqual(wanted)
    }),
  )
})

test('no message ever carries str8 or bin, which old agents refuse', () => {
  const long = 'n'.repeat(200)
  const head = encodeMessage({ type: 'suspect', incarnation: 1, node: long, from: long })
  expect(head.includes(0xd9) || head.includes(0xc4)).toBe(false)
})

test('unknown fields are skipped, missing ones are zero, and bytes after the end are ignored', () => {
  const ping = part(0, { SeqNo: 9, Extra: [{ deep: [1, 2, { x: 'y' }] }], node: 'other' })
  expect(decodeMessage(Uint8Array.of(...ping, 1, 2, 3))).toEqual({ type: 'ping', seqNo: 9, node: '' })
})

test('nil is the zero value of every field', () => {
  const nils = { Incarnation: null, Node: null, Addr: null, Port: null, Meta: null, Vsn: null }
  const none = new Uint8Array(0)
  const zero = { incarnation: 0, node: '', addr: none, port: 0, meta: none, vsn: undefined, vsnBytes: 0 }
  expect(decodeMessage(part(4, nils))).toEqual({ type: 'alive', ...zero })
})

test('a structure sent as an array is read in the order of declaration', () => {
  expect(decodeMessage(part(3, [7, 'node', 'from', 'more']))).toEqual({
    type: 'suspect',
    incarnation: 7,
    node: 'node',
    from: 'from',
  })
})

test('bytes may come as an array of small integers, text as bin or str8, integers signed', () => {
  const alive = decodeMessage(part(4, { Addr: [10, 0, 0, 1], Node: Buffer.from('x'), Port: 80 }, 'new'))
  expect(alive).toMatchObject({ node: 'x', addr: Uint8Array.of(10, 0, 0, 1), port: 80 })
  expect(decodeMessage(Buffer.from('0b81a55365714e6fd100c8', 'hex'))).toEqual({ type: 'nack', seqNo: 200 })
})

test('Vsn of other than six bytes is no version, and its length is told', () => {
  expect(decodeMessage(part(4, { Node: 'x', Vsn: Uint8Array.of(1, 5, 2) }))).toMatchObject({
    vsn: undefined,
    vsnBytes: 3,
  })
})

test('values that do not fit their field are refused in the words of memberlist', () => {
  const bad: [number, MsgpackValue, string][] = [
    [0, { SeqNo: 2 ** 32 }, 'Failed to decode ping request'],
    [0, { SeqNo: -1 }, 'Failed to decode ping request'],
    [4, { Port: 65_536 }, 'Failed to decode alive message'],
    [5, 'text', 'Failed to decode dead message'],
    [1, { Nack: 1 }, 'Failed to decode indirect ping request'],
  ]
  for (const [type, value, sentence] of bad) expect(() => decodeMessage(part(type, value))).toThrow(sentence)
  expect(() => decodeMessage(Uint8Array.of(6, 0x80))).toThrow('msg type (6) not supported')
  expect(() => decodeMessage(new Uint8Array(0))).toThrow(CodecError)
})

test('what is decoded does not share memory with the packet', () => {
  const packet = Buffer.from(part(4, { Node: 'x', Meta: Uint8Array.of(1, 2, 3), Addr: Uint8Array.of(1, 1, 1, 1) }))
  const alive = decodeMessage(packet)
  packet.fill(0)
  expect(alive).toMatchObject({ meta: Uint8Array.of(1, 2, 3), addr: Uint8Array.of(1, 1, 1, 1) })
})

function part(type: number, value: MsgpackValue, dialect: 'old' | 'new' = 'old'): Uint8Array {
  return Uint8Array.of(type, ...encodeMsgpack(value, dialect))
}
