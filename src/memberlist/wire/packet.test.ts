import fc from 'fast-check'
import { expect, test } from 'vitest'
import { seededRandom } from '../../base/index.ts'
import { CodecError, crc32, lzwCompress } from '../../codec/index.ts'
import { Keyring } from '../keyring.ts'
import { openPacket, PacketRefusedError, sealPacket } from './packet.ts'
import { decodeMessage } from './decode.ts'
import { encodeCompress, encodeMessage } from './encode.ts'

const random = seededRandom(1)
const PING = encodeMessage({ type: 'ping', seqNo: 1, node: 'a' })
const NACK = encodeMessage({ type: 'nack', seqNo: 7 })
const plain = { crc: false, compress: false, random }

test('parts come out as they went in, through every layer', () => {
  const key = fc.constantFrom(16, 24, 32).map(length => new Keyring([random.bytes(length)]))
  const options = fc.record({
    crc: fc.boolean(),
    compress: fc.boolean(),
    keyring: fc.option(key, { nil: undefined }),
    label: fc.option(fc.string({ minLength: 1, maxLength: 40 }), { nil: undefined }),
  })
  const bodies = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 300 })
  fc.assert(
    fc.property(bodies, options, (wanted, o) => {
      const parts = wanted.map(body => encodeMessage({ type: 'user', body }))
      const found = sealPacket(parts, { ...o, random }).flatMap(packet => openPacket(packet, o))
      expect(found.map(hex)).toEqual(parts.map(hex))
    }),
  )
})

test('compression is kept only where it makes the packet smaller', () => {
  expect(sealPacket([NACK], { ...plain, compress: true })).toEqual([NACK])
  const long = encodeMessage({ type: 'user', body: new Uint8Array(500) })
  expect(sealPacket([long], { ...plain, compress: true })[0]?.[0]).toBe(9)
})

test('no compound has 128 parts or more, which old peers mis-read', () => {
  const packets = sealPacket(Array<Uint8Array>(300).fill(NACK), plain)
  expect(packets.map(packet => packet[1])).toEqual([127, 127, 46])
})

test('a message too long for a length slot travels alone', () => {
  const huge = encodeMessage({ type: 'user', body: new Uint8Array(65_536) })
  expect(sealPacket([NACK, huge, NACK], plain).map(packet => packet.length)).toEqual([9, 65_537, 9])
})

test('a wrong checksum is refused, and a checksum inside another layer is no message', () => {
  const [packet = NACK] = sealPacket([PING], { ...plain, crc: true })
  expect(openPacket(packet, {})).toEqual([PING])
  packet[9] = (packet[9] as number) ^ 1
  expect(() => openPacket(packet, {})).toThrow('Got invalid checksum for UDP packet')
  const inner = Uint8Array.of(0x0c, ...u32(crc32(PING)), ...PING)
  expect(() => openPacket(encodeCompress(lzwCompress(inner)), {})).toThrow('msg type (12) not supported')
})

test('compounds and compression may nest in any order, though no peer sends it', () => {
  const inner = Uint8Array.of(7, 1, 0, PING.length, ...PING)
  const zipped = encodeCompress(lzwCompress(inner))
  const outer = Uint8Array.of(7, 2, 0, zipped.length, 0, NACK.length, ...zipped, ...NACK)
  expect(openPacket(outer, {}).map(hex)).toEqual([PING, NACK].map(hex))
})

test('a compound cut short keeps its whole parts, and says how many it lost', () => {
  const [packet = NACK] = sealPacket([PING, NACK, NACK], plain)
  const lost: [number, string][] = []
  const found = openPacket(packet.subarray(0, packet.length - 10), { onDropped: (...what) => lost.push(what) })
  expect(found.map(hex)).toEqual([hex(PING)])
  expect(lost).toEqual([[2, 'Compound request had 2 truncated messages']])
})

test('empty and foreign parts of a compound are dropped, the others count', () => {
  const mixed = Uint8Array.of(7, 3, 0, 0, 0, 1, 0, NACK.length, 99, ...NACK)
  const lost: number[] = []
  expect(openPacket(mixed, { onDropped: count => lost.push(count) }).map(hex)).toEqual([hex(NACK)])
  expect(lost).toEqual([2])
})

test('what memberlist refuses is refused in its words', () => {
  const refused: [Uint8Array, string][] = [
    [Uint8Array.of(), 'UDP packet too short'],
    [Uint8Array.of(7), 'missing compound length byte'],
    [Uint8Array.of(7, 2, 0), 'truncated len slice'],
    [Uint8Array.of(6, 0x80), 'msg type (6) not supported'],
    [Uint8Array.of(0x0c, 1, 2), 'msg type (12) not supported'],
    [Uint8Array.of(0xf4, 0, 1), 'label header cannot be empty when present'],
    [Uint8Array.of(0xf4, 5, 1), 'cannot decode label; packet has been truncated'],
    [Uint8Array.of(0xf4, 1, 0x78, ...PING), 'discarding packet with unacceptable label "x"'],
    [encodeCompress(Uint8Array.of(0)), 'Failed to decompress payload: unexpected EOF'],
    [encodeCompress(lzwCompress(Uint8Array.of())), 'missing message type byte'],
    [Uint8Array.from(Buffer.from('0982a4416c676f01a3427566a0', 'hex')), 'Cannot decompress unknown algorithm 1'],
  ]
  for (const [packet, sentence] of refused) expect(() => openPacket(packet, {}), sentence).toThrow(sentence)
  expect(() => openPacket(PING, { label: 'blue' })).toThrow('unacceptable label ""')
})

test('packets under a key that is not ours, or in clear, are refused; both are read while encryption rolls in', () => {
  const keyring = new Keyring([random.bytes(32)])
  const [foreign = NACK] = sealPacket([PING], { ...plain, keyring: new Keyring([random.bytes(32)]) })
  expect(() => openPacket(foreign, { keyring })).toThrow('No installed keys could decrypt the message')
  expect(() => openPacket(PING, { keyring })).toThrow(PacketRefusedError)
  expect(openPacket(PING, { keyring, verifyIncoming: false })).toEqual([PING])
})

test('a secondary key still opens what an old primary sealed', () => {
  const [old, fresh] = [random.bytes(16), random.bytes(32)]
  const [packet = NACK] = sealPacket([PING], { ...plain, keyring: new Keyring([old]) })
  expect(openPacket(packet, { keyring: new Keyring([fresh, old]) }).map(hex)).toEqual([hex(PING)])
})

test('a small packet that decompresses without end, or nests without end, is refused', () => {
  const bomb = encodeCompress(lzwCompress(new Uint8Array(3 << 20).fill(8)))
  expect(bomb.length).toBeLessThan(65_507)
  expect(() => openPacket(bomb, {})).toThrow('exceeds limit')
  let nested = PING
  for (let i = 0; i < 20; i++) nested = encodeCompress(lzwCompress(nested))
  expect(() => openPacket(nested, {})).toThrow('nested deeper')
})

test('any packet opens and decodes, or fails with one of two errors, never otherwise', () => {
  const keyring = new Keyring([random.bytes(16)])
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.boolean(), (packet, isKeyed) => {
      try {
        for (const part of openPacket(packet, isKeyed ? { keyring, verifyIncoming: false } : {})) decodeMessage(part)
      } catch (thrown) {
        expect(thrown instanceof CodecError || thrown instanceof PacketRefusedError).toBe(true)
      }
    }),
    { numRuns: 2000 },
  )
})

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function u32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]
}
