import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Random } from '../../base/index.ts'
import { lzwCompress, lzwDecompress } from '../../codec/index.ts'
import { concat, encryptPayload } from './encryption.ts'
import { Keyring } from '../keyring.ts'
import { labelHeader } from './label.ts'
import type { PacketMessage, PushNode, StreamMessage, Versions } from '../messages.ts'
import { openPacket, sealPacket } from './packet.ts'
import { StreamReader, sealStream } from './stream.ts'
import { decodeMessage } from './decode.ts'
import { encodeMessage, encodeStreamMessage } from './encode.ts'

// Recorded from Serf 0.9.4 and 0.10.1 and from memberlist itself; every one was checked by two other decoders.

interface Bytes {
  hex: string
}
interface Fields {
  [name: string]: number | string | boolean | Bytes | number[] | null | undefined
}
interface Recorded {
  type: string
  fields?: Fields
  parts?: Recorded[]
  inner?: Recorded
  header?: { Join: boolean; UserMsgLen: number }
  nodes?: Fields[]
  user_state_hex?: string
  body_hex?: string
}
interface Sealed {
  version: 0 | 1
  nonce: string
}
interface Vector {
  name: string
  transport: 'udp' | 'tcp'
  direction: string
  hex: string
  key?: string
  label?: string
  decoded: {
    message: Recorded
    encryption?: Sealed
    encrypt?: Sealed
    plaintext_hex?: string
    decompressed_hex?: string
    crc?: { value: string }
    compress?: object
  }
}

const VECTORS = JSON.parse(
  readFileSync(new URL('../../../test/vectors/memberlist.json', import.meta.url), 'utf8'),
) as Vector[]

/** memberlist from 0.5.1 on writes these with signed whole numbers; we read them, and write what every release reads. */
const SIGNED = [
  'head-user-stream-200',
  'head-user-stream-compressed',
  'head-pushpull-int16-header',
  'head-pushpull-compressed',
]

test('there are a hundred recorded packets and streams', () => {
  expect(VECTORS).toHaveLength(100)
})

for (const vector of VECTORS) {
  test(`recorded ${vector.transport} ${vector.name} decodes to its fields`, () => {
    if (vector.transport === 'udp') {
      expect(openPacket(bytes(vector.hex), openOptions(vector)).map(decodeMessage)).toEqual(packetMessages(vector))
    } else {
      expect(readStream(vector, Number.POSITIVE_INFINITY)).toEqual(streamMessage(vector.decoded.message))
    }
  })

  if (SIGNED.includes(vector.name)) continue
  test(`recorded ${vector.transport} ${vector.name} is rebuilt byte for byte`, () => {
    const rebuilt = vector.transport === 'udp' ? rebuildPacket(vector) : rebuildStream(vector)
    expect(hex(rebuilt)).toBe(vector.hex)
  })
}

test('lengths that newer releases write signed are written unsigned, the form that all releases read', () => {
  for (const vector of VECTORS.filter(one => SIGNED.includes(one.name))) {
    const plain = vector.decoded.decompressed_hex ?? vector.hex
    const unsigned = plain.replace(/4c656ed100(..)/, '4c656ecc$1') // …Len, then int16 becomes uint8
    expect(unsigned).not.toBe(plain)
    expect(hex(encodeStreamMessage(streamMessage(vector.decoded.message)))).toBe(unsigned)
  }
})

test('a recorded stream decodes alike when it comes byte by byte', () => {
  for (const vector of VECTORS.filter(one => one.transport === 'tcp')) {
    expect(readStream(vector, 1), vector.name).toEqual(streamMessage(vector.decoded.message))
  }
})

test('every recorded compression is undone and redone to its very bytes', () => {
  for (const { lzw, plain } of compressions()) {
    expect(hex(lzwDecompress(lzw, 1 << 20))).toBe(hex(plain))
    expect(hex(lzwCompress(plain))).toBe(hex(lzw))
  }
})

function* compressions(): Generator<{ lzw: Uint8Array; plain: Uint8Array }> {
  for (const vector of VECTORS) {
    const outer = bytes(vector.decoded.plaintext_hex ?? vector.hex)
    const plainHex = vector.decoded.decompressed_hex
    const start = outer[0] === 0x0c ? 5 : 0
    if (outer[start] !== 9) continue
    const at = start + 12 // 09 82 a4"Algo" 00 a3"Buf"
    const head = outer[at] as number
    const lzw = outer.subarray(at + (head === 0xda ? 3 : 1))
    yield { lzw, plain: plainHex === undefined ? lzwDecompress(lzw, 1 << 20) : bytes(plainHex) }
  }
}

function rebuildPacket(vector: Vector): Uint8Array {
  const { encryption, crc, message } = vector.decoded
  const parts = packetMessages(vector).map(encodeMessage)
  const o = { crc: crc !== undefined, compress: message.type === 'compress', random: nonce(encryption) }
  if (encryption?.version !== 0) return only(sealPacket(parts, { ...openOptions(vector), ...o }))
  return encryptPayload(only(sealPacket(parts, o)), {
    key: bytes64(vector.key),
    nonce: bytes(encryption.nonce),
    aad: labelHeader(vector.label).subarray(2),
    version: 0,
  })
}

function rebuildStream(vector: Vector): Uint8Array {
  const { encrypt, compress, message } = vector.decoded
  const sendLabel = vector.direction.startsWith('initiator')
  const encoded = encodeStreamMessage(streamMessage(message))
  const o = { compress: compress !== undefined, sendLabel, random: nonce(encrypt) }
  if (encrypt?.version !== 0) return sealStream(encoded, { ...openOptions(vector), ...o })
  const body = sealStream(encoded, { ...o, sendLabel: false })
  const length = 29 + body.length + 16 - (body.length % 16)
  const frame = Uint8Array.of(0x0a, 0, 0, length >> 8, length & 0xff)
  const aad = concat([frame, labelHeader(vector.label).subarray(2)])
  return concat([
    frame,
    encryptPayload(body, { key: bytes64(vector.key), nonce: bytes(encrypt.nonce), aad, version: 0 }),
  ])
}

function readStream(vector: Vector, chunkBytes: number): StreamMessage | undefined {
  const expectLabel = vector.direction.startsWith('initiator')
  const reader = new StreamReader({ ...openOptions(vector), expectLabel })
  const input = bytes(vector.hex)
  for (let at = 0; at < input.length; at += chunkBytes) {
    const message = reader.push(input.subarray(at, Math.min(at + chunkBytes, input.length)))
    if (message !== undefined) return message
  }
  return undefined
}

function openOptions(vector: Vector): { keyring: Keyring | undefined; label: string | undefined } {
  return { keyring: vector.key === undefined ? undefined : new Keyring([bytes64(vector.key)]), label: vector.label }
}

function packetMessages(vector: Vector): PacketMessage[] {
  return flattened(vector.decoded.message).map(packetMessage)
}

function flattened(recorded: Recorded): Recorded[] {
  if (recorded.inner !== undefined) return flattened(recorded.inner)
  if (recorded.parts !== undefined) return recorded.parts.flatMap(flattened)
  return [recorded]
}

function packetMessage(recorded: Recorded): PacketMessage {
  const f = recorded.fields ?? {}
  switch (recorded.type) {
    case 'ping':
      return { type: 'ping', seqNo: number(f.SeqNo), node: text(f.Node), ...source(f) }
    case 'indirectPing':
      return {
        type: 'indirectPing',
        seqNo: number(f.SeqNo),
        target: fieldBytes(f.Target),
        port: number(f.Port),
        node: text(f.Node),
        nack: f.Nack === true,
        ...source(f),
      }
    case 'ackResp':
      return { type: 'ack', seqNo: number(f.SeqNo), payload: f.Payload ? fieldBytes(f.Payload) : undefined }
    case 'nackResp':
      return { type: 'nack', seqNo: number(f.SeqNo) }
    case 'suspect':
    case 'dead':
      return { type: recorded.type, incarnation: number(f.Incarnation), node: text(f.Node), from: text(f.From) }
    case 'alive':
      return { type: 'alive', node: text(f.Node), ...placed(f) }
    case 'user':
      return { type: 'user', body: bytes(recorded.body_hex ?? '') }
    default:
      throw new Error(`no packet carries ${recorded.type}`)
  }
}

function streamMessage(recorded: Recorded): StreamMessage {
  if (recorded.type === 'err') return { type: 'err', error: text(recorded.fields?.Error) }
  if (recorded.type !== 'pushPull') return packetMessage(recorded) as StreamMessage
  const nodes = (recorded.nodes ?? []).map(
    (f): PushNode => ({ name: text(f.Name), state: number(f.State), ...placed(f) }),
  )
  return {
    type: 'pushPull',
    join: recorded.header?.Join === true,
    nodes,
    userState: bytes(recorded.user_state_hex ?? ''),
  }
}

function placed(f: Fields) {
  const vsn = f.Vsn as unknown as Versions
  return {
    incarnation: number(f.Incarnation),
    addr: fieldBytes(f.Addr),
    port: number(f.Port),
    meta: fieldBytes(f.Meta),
    vsn,
    vsnBytes: vsn.length,
  }
}

function source(f: Fields) {
  return {
    ...(f.SourceAddr === undefined ? {} : { sourceAddr: fieldBytes(f.SourceAddr) }),
    ...(f.SourcePort === undefined ? {} : { sourcePort: number(f.SourcePort) }),
    ...(f.SourceNode === undefined ? {} : { sourceNode: text(f.SourceNode) }),
  }
}

function only(packets: Uint8Array[]): Uint8Array {
  expect(packets).toHaveLength(1)
  return packets[0] as Uint8Array
}

function nonce(sealed: Sealed | undefined): Random {
  return { float: () => 0, below: () => 0, bytes: () => bytes(sealed?.nonce ?? '') }
}

function number(field: Fields[string]): number {
  return typeof field === 'number' ? field : 0
}

function text(field: Fields[string]): string {
  return typeof field === 'string' ? field : ''
}

function fieldBytes(field: Fields[string]): Uint8Array {
  return field === null || field === undefined ? new Uint8Array(0) : bytes((field as Bytes).hex)
}

function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'))
}

function bytes64(text: string | undefined): Uint8Array {
  return new Uint8Array(Buffer.from(text ?? '', 'base64'))
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
