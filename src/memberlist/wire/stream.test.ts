import fc from 'fast-check'
import { expect, test } from 'vitest'
import { seededRandom } from '../../base/index.ts'
import { CodecError, lzwCompress, MsgpackWriter } from '../../codec/index.ts'
import { Keyring } from '../keyring.ts'
import type { PushPull, StreamMessage } from '../messages.ts'
import { PacketRefusedError } from './packet.ts'
import { StreamReader, StreamRefusedError, sealStream } from './stream.ts'
import { encodeCompress, encodeMessage, encodeStreamMessage } from './encode.ts'

const random = seededRandom(2)
const PING: StreamMessage = { type: 'ping', seqNo: 5, node: 'a' }
const PUSH_PULL: PushPull = {
  type: 'pushPull',
  join: true,
  nodes: [1, 2, 3].map(n => ({
    name: `member-${n}`,
    addr: Uint8Array.of(10, 0, 0, n),
    port: 7946,
    meta: new Uint8Array(n * 100),
    incarnation: n,
    state: 0,
    vsn: [1, 5, 2, 2, 5, 5],
    vsnBytes: 6,
  })),
  userState: new Uint8Array(5000).fill(2),
}
const MESSAGES: StreamMessage[] = [
  PING,
  PUSH_PULL,
  { type: 'ack', seqNo: 5, payload: undefined },
  { type: 'err', error: 'no' },
  { type: 'user', body: Uint8Array.of(1, 2, 3) },
]

test('every message comes out as it went in, through every layer and in chunks of any size', () => {
  const options = fc.record({
    message: fc.constantFrom(...MESSAGES),
    compress: fc.boolean(),
    isKeyed: fc.boolean(),
    label: fc.option(fc.constantFrom('blue', 'ü'), { nil: undefined }),
    sendLabel: fc.boolean(),
    chunkBytes: fc.integer({ min: 1, max: 3000 }),
  })
  const ring = new Keyring([random.bytes(32)])
  fc.assert(
    fc.property(options, ({ message, compress, isKeyed, label, sendLabel, chunkBytes }) => {
      const o = { keyring: isKeyed ? ring : undefined, label }
      const bytes = sealStream(encodeStreamMessage(message), { ...o, compress, sendLabel, random })
      expect(readIn(new StreamReader({ ...o, expectLabel: sendLabel }), bytes, chunkBytes)).toEqual(message)
    }),
  )
})

test('a mismatch of keys is answered in words that the initiator can show', () => {
  const keyring = new Keyring([random.bytes(16)])
  const o = { compress: true, sendLabel: false, random }
  const clear = sealStream(encodeMessage(PING), o)
  const sealed = sealStream(encodeMessage(PING), { ...o, keyring })
  const foreign = sealStream(encodeMessage(PING), { ...o, keyring: new Keyring([random.bytes(16)]) })
  expect(answerTo(sealed)).toBe('Remote state is encrypted and encryption is not configured')
  expect(answerTo(clear, keyring)).toBe('Encryption is configured but remote state is not encrypted')
  expect(answerTo(foreign, keyring)).toBe('No installed keys could decrypt the message')
  expect(answerTo(Uint8Array.of(0x0a, 0xff, 0, 0, 0), keyring)).toMatch(/^Remote node state is larger than limit/)
  const reader = new StreamReader({ keyring, expectLabel: false, verifyIncoming: false })
  expect(reader.push(clear)).toEqual(PING)
})

test('a broken or empty compression is answered, an unknown type and a foreign label are not', () => {
  expect(answerTo(encodeCompress(Uint8Array.of(0)))).toBe('unexpected EOF')
  expect(answerTo(encodeCompress(lzwCompress(new Uint8Array(0))))).toBe('decompressed message is empty')
  expect(() => new StreamReader({ expectLabel: true }).push(Uint8Array.of(99))).toThrow('Received invalid msgType (99)')
  const labelled = new StreamReader({ expectLabel: true, label: 'blue' })
  expect(() => labelled.push(encodeMessage(PING))).toThrow('discarding stream with unacceptable label ""')
  expect(answerTo(Uint8Array.of(0xf4, 1, 0x78))).toBeUndefined()
})

test('claims beyond the limits are refused before anything arrives that would match them', () => {
  expect(() => push(pushPullHeader(1 << 20, 0))).toThrow('number of nodes in header (1048576) exceeds limit')
  expect(() => push(pushPullHeader(-1, 0))).toThrow('number of nodes in header (-1) exceeds limit')
  expect(() => push(pushPullHeader(0, 20_971_521))).toThrow('user state length (20971521) exceeds limit')
  expect(() => push(pushPullHeader(0, -5))).toThrow('user state length (-5) exceeds limit')
})

test('a message that ends early inside a compression does not wait for ever', () => {
  const short = encodeMessage(PUSH_PULL).subarray(0, 200)
  expect(() => push(encodeCompress(lzwCompress(short)))).toThrow(CodecError)
})

test('a reader that has given its message ignores the rest, and one without bytes knows it', () => {
  const reader = new StreamReader({ expectLabel: true })
  expect(reader.isEmpty).toBe(true)
  expect(reader.push(encodeMessage(PING))).toEqual(PING)
  expect([reader.push(encodeMessage(PING)), reader.isEmpty]).toEqual([undefined, false])
})

test('entries without versions are never passed on: they bar every join of a Serf ring', () => {
  const bad = { ...PUSH_PULL, nodes: PUSH_PULL.nodes.map((node, n) => (n === 1 ? { ...node, vsn: undefined } : node)) }
  expect(push(encodeMessage(bad))).toEqual({ ...PUSH_PULL, nodes: PUSH_PULL.nodes.filter((_, n) => n !== 1) })
  const [first] = PUSH_PULL.nodes
  const alive = { ...first, type: 'alive', node: 'x', vsn: undefined } as Parameters<typeof encodeMessage>[0]
  expect(() => encodeMessage(alive)).toThrow('carries no versions')
})

test('any bytes in any chunks are read or fail with one of two errors, never otherwise', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 150 }), fc.integer({ min: 1, max: 40 }), (bytes, chunkBytes) => {
      try {
        readIn(new StreamReader({ expectLabel: true }), bytes, chunkBytes)
      } catch (thrown) {
        expect(thrown instanceof CodecError || thrown instanceof PacketRefusedError).toBe(true)
      }
    }),
    { numRuns: 2000 },
  )
})

test('a big state in small segments takes time in proportion to its size', () => {
  const nodes = Array.from({ length: 4000 }, (_, n) => ({ ...PUSH_PULL.nodes[0], name: `m${n}` }))
  const bytes = encodeMessage({ ...PUSH_PULL, nodes: nodes as PushPull['nodes'], userState: new Uint8Array(1 << 20) })
  const found = readIn(new StreamReader({ expectLabel: false }), bytes, 100)
  expect(found?.type === 'pushPull' && found.nodes.length).toBe(4000)
})

function readIn(reader: StreamReader, bytes: Uint8Array, chunkBytes: number): StreamMessage | undefined {
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const message = reader.push(bytes.subarray(at, at + chunkBytes))
    if (message !== undefined) return message
  }
  return undefined
}

function push(bytes: Uint8Array): StreamMessage | undefined {
  return new StreamReader({ expectLabel: false }).push(bytes)
}

function answerTo(bytes: Uint8Array, keyring?: Keyring): string | undefined {
  try {
    new StreamReader({ keyring, expectLabel: true }).push(bytes)
  } catch (thrown) {
    if (thrown instanceof StreamRefusedError) return thrown.answer
    throw thrown
  }
  throw new Error('nothing was refused')
}

function pushPullHeader(nodes: number, userStateBytes: number): Uint8Array {
  const out = new MsgpackWriter('old')
  out.byte(6)
  out.value({ Join: true, Nodes: nodes, UserStateLen: userStateBytes })
  return out.finish()
}
