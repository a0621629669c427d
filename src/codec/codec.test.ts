import { crc32 as zlibCrc32 } from 'node:zlib'
import { decode as oracleDecode, encode as oracleEncode } from '@msgpack/msgpack'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  asBigUint,
  asBool,
  asBytes,
  asFloat,
  asMap,
  asText,
  asUint,
  CodecError,
  crc32,
  type Decoded,
  decodeMsgpack,
  encodeMsgpack,
  Float64,
  lzwCompress,
  lzwDecompress,
  MsgpackReader,
  type MsgpackValue,
  NeedMoreError,
  Raw,
  textFromBytes,
  textToBytes,
} from './index.ts'

test('CRC-32 has the check value of its catalogue and agrees with zlib', () => {
  expect(crc32(Buffer.from('123456789'))).toBe(0xcbf43926)
  expect(crc32(new Uint8Array(0))).toBe(0)
  if (typeof zlibCrc32 === 'function') {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), bytes => crc32(bytes) === zlibCrc32(bytes)))
  }
})

test('the old dialect writes text and bytes alike as raw, the new one as str and bin', () => {
  expect(written('x'.repeat(31), 'old')[0]).toBe(0xbf)
  expect(written('x'.repeat(32), 'old').slice(0, 3)).toEqual([0xda, 0, 32])
  expect(written('x'.repeat(65_536), 'old').slice(0, 5)).toEqual([0xdb, 0, 1, 0, 0])
  expect(written(Uint8Array.of(7), 'old')).toEqual([0xa1, 7])
  expect(written('x'.repeat(32), 'new').slice(0, 2)).toEqual([0xd9, 32])
  expect(written(Uint8Array.of(7), 'new')).toEqual([0xc4, 1, 7])
  expect(written(new Uint8Array(300), 'new').slice(0, 3)).toEqual([0xc5, 1, 44])
  expect(written(new Uint8Array(70_000), 'new').slice(0, 5)).toEqual([0xc6, 0, 1, 0x11, 0x70])
})

test('integers take their shortest form, unsigned unless negative', () => {
  const forms: [number | bigint, string][] = [
    [0, '00'],
    [127, '7f'],
    [128, 'cc80'],
    [256, 'cd0100'],
    [65_536, 'ce00010000'],
    [2 ** 40, 'cf0000010000000000'],
    [2n ** 64n - 1n, 'cfffffffffffffffff'],
    [-1, 'ff'],
    [-33, 'd0df'],
    [-129, 'd1ff7f'],
    [-32_769, 'd2ffff7fff'],
    [-(2n ** 63n), 'd38000000000000000'],
  ]
  for (const [value, hex] of forms) {
    expect(Buffer.from(encodeMsgpack(value, 'old')).toString('hex')).toBe(hex)
    expect(decodeMsgpack(Buffer.from(hex, 'hex')).value).toBe(value)
  }
})

test('what has no faithful form is refused rather than bent', () => {
  for (const bad of [1.5, Number.NaN, 2 ** 53, 2n ** 64n, -(2n ** 63n) - 1n]) {
    expect(() => encodeMsgpack(bad, 'old')).toThrow(CodecError)
  }
  let deep: MsgpackValue = []
  for (let i = 0; i < 100; i++) deep = [deep]
  expect(() => encodeMsgpack(deep, 'old')).toThrow(CodecError)
})

test('records are written in ascending order of key bytes, maps in their own', () => {
  expect(written({ b: 1, a: 2, B: 3 }, 'old')).toEqual([0x83, 0xa1, 0x42, 3, 0xa1, 0x61, 2, 0xa1, 0x62, 1])
  const map = new Map([
    ['b', 1],
    ['a', 2],
  ])
  expect(written(map, 'old')).toEqual([0x82, 0xa1, 0x62, 1, 0xa1, 0x61, 2])
})

test('a key called __proto__ is a key like any other', () => {
  const { value } = decodeMsgpack(encodeMsgpack(new Map([['__proto__', 1]]), 'old'))
  expect([...asMap(value)]).toEqual([['__proto__', 1]])
})

const dialect = fc.constantFrom('old' as const, 'new' as const)
const value: fc.Arbitrary<MsgpackValue> = fc.letrec<{ value: MsgpackValue }>(tie => ({
  value: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.integer(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
    fc.double().map(float => new Float64(float)),
    fc.string({ unit: 'binary', maxLength: 70 }),
    fc.uint8Array({ maxLength: 70 }),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(fc.string({ maxLength: 20 }), tie('value'), { maxKeys: 20 }),
  ),
})).value

test('any value survives the way to bytes and back, in both dialects', () => {
  fc.assert(
    fc.property(value, dialect, (wanted, chosen) => {
      const bytes = encodeMsgpack(wanted, chosen)
      const found = decodeMsgpack(bytes)
      expect(found.end).toBe(bytes.length)
      expect(plain(found.value)).toEqual(flat(wanted))
    }),
  )
})

test('the new dialect is read alike by @msgpack/msgpack, and its bytes are read here', () => {
  const common = fc.letrec<{ value: MsgpackValue }>(tie => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constant(null),
      fc.boolean(),
      fc.maxSafeInteger(),
      fc.string({ unit: 'grapheme', maxLength: 70 }),
      fc.uint8Array({ maxLength: 70 }),
      fc.array(tie('value'), { maxLength: 8 }),
      fc.dictionary(
        fc.string({ maxLength: 20 }).filter(key => key !== '__proto__'),
        tie('value'),
        { maxKeys: 8, noNullPrototype: true },
      ),
    ),
  })).value
  fc.assert(
    fc.property(common, wanted => {
      const ours = encodeMsgpack(wanted, 'new')
      const theirs = oracleEncode(wanted, { sortKeys: false })
      expect(oracleDecode(ours)).toEqual(wanted)
      expect(plain(decodeMsgpack(theirs).value)).toEqual(flat(wanted))
      expect(ours.length).toBe(theirs.length)
    }),
  )
})

test('any bytes decode or fail with CodecError, never otherwise', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      onlyCodecErrors(() => decodeMsgpack(bytes))
      onlyCodecErrors(() => new MsgpackReader(bytes).skip())
      onlyCodecErrors(() => lzwDecompress(bytes, 5000))
    }),
    { numRuns: 2000 },
  )
})

test('a value cut short asks for more, and never for more than there will be', () => {
  fc.assert(
    fc.property(
      value,
      dialect,
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (wanted, chosen, share) => {
        const bytes = encodeMsgpack(wanted, chosen)
        const cut = Math.floor(bytes.length * share)
        for (const read of [
          () => decodeMsgpack(bytes.subarray(0, cut)),
          () => new MsgpackReader(bytes.subarray(0, cut)).skip(),
        ]) {
          const missing = missingBytes(read)
          expect(missing).toBeGreaterThan(0)
          expect(missing).toBeLessThanOrEqual(bytes.length - cut)
        }
      },
    ),
  )
})

test('skipping a value ends where decoding it does', () => {
  fc.assert(
    fc.property(value, dialect, (wanted, chosen) => {
      const bytes = encodeMsgpack(wanted, chosen)
      const reader = new MsgpackReader(bytes)
      reader.skip()
      expect(reader.at).toBe(bytes.length)
    }),
  )
})

test('a claimed length reserves nothing, and depth and count are bounded', () => {
  expect(() => decodeMsgpack(Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff))).toThrow(NeedMoreError)
  expect(() => decodeMsgpack(Uint8Array.of(0xc6, 0xff, 0xff, 0xff, 0xff))).toThrow(NeedMoreError)
  expect(() => decodeMsgpack(new Uint8Array(1000).fill(0x91))).toThrow('nested deeper')
  const many = new Uint8Array(5 + 300_000).fill(0x80)
  many.set([0xdd, 0, 4, 0x93, 0xe0])
  expect(() => decodeMsgpack(many)).toThrow('too many values')
})

test('fields are read with the tolerance of Go: absent and nil are zero, families do not matter', () => {
  expect([asText(undefined), asText(null), asText(Uint8Array.of(97)), asText(new Raw(Uint8Array.of(98)))]).toEqual([
    '',
    '',
    'a',
    'b',
  ])
  expect([...asBytes([1, 2, 255])]).toEqual([1, 2, 255])
  expect([asUint(null, 9), asBool(null), asFloat(7), asBigUint(7), asFloat(new Float64(1.5))]).toEqual([
    0,
    false,
    7,
    7n,
    1.5,
  ])
  for (const wrong of [() => asUint(10, 9), () => asUint(-1, 9), () => asUint(new Float64(1), 9), () => asText(5)]) {
    expect(wrong).toThrow(CodecError)
  }
})

test('names that are no UTF-8 stay apart, and turn back into their bytes (PEP 383)', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), bytes => {
      const text = textFromBytes(Buffer.from(bytes), 0, bytes.length)
      expect([...textToBytes(text)]).toEqual([...bytes])
    }),
    { numRuns: 1000 },
  )
  expect(textFromBytes(Buffer.from('\ufffd'), 0, 3)).toBe('\ufffd')
})

test('LZW gives back what it took, whatever it was', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 3000 }),
    fc.array(fc.constantFrom(1, 2, 3), { maxLength: 20_000 }).map(items => Uint8Array.from(items)),
  )
  fc.assert(
    fc.property(bytes, wanted => {
      expect(Buffer.compare(lzwDecompress(lzwCompress(wanted), wanted.length), wanted)).toBe(0)
    }),
  )
})

test('LZW passes through full tables, where widths change and the table is cleared', () => {
  for (const length of [0, 1, 2, 254, 255, 256, 3837, 3838, 3839, 3840, 7676, 100_000]) {
    const wanted = Uint8Array.from({ length }, (_, i) => (i * i * 31 + (i >> 3)) & 0xff)
    expect(Buffer.compare(lzwDecompress(lzwCompress(wanted), length), wanted), `${length} bytes`).toBe(0)
  }
})

test('LZW that never clears its full table is read to the end, last entry included', () => {
  // Literals define an entry each; 4095 is the last, and every code from then on has twelve bits and defines nothing.
  const out: number[] = []
  let [bits, bitCount, width, hi] = [0, 0, 9, 257]
  const write = (code: number) => {
    bits |= code << bitCount
    for (bitCount += width; bitCount >= 8; bitCount -= 8) {
      out.push(bits & 0xff)
      bits >>>= 8
    }
    if (hi < 4095 && ++hi === 1 << width) width++
  }
  const wanted = Array.from({ length: 4000 }, (_, i) => i % 251)
  for (const literal of wanted) write(literal)
  write(4095)
  write(258)
  write(257)
  out.push(bits & 0xff, 0)
  expect([...lzwDecompress(Uint8Array.from(out), 5000)].slice(0, 4000)).toEqual(wanted)
  expect(lzwDecompress(Uint8Array.from(out), 5000)).toHaveLength(4004)
})

test('LZW without its end code, with an undefined code or beyond the bound is refused', () => {
  const packed = lzwCompress(new Uint8Array(1000))
  expect(() => lzwDecompress(packed.subarray(0, packed.length - 2), 1000)).toThrow('unexpected EOF')
  expect(() => lzwDecompress(packed, 999)).toThrow('exceeds limit')
  expect(() => lzwDecompress(Uint8Array.of(0xff, 0xff, 0xff), 999)).toThrow('lzw: invalid code')
})

function written(value: MsgpackValue, chosen: 'old' | 'new'): number[] {
  return [...encodeMsgpack(value, chosen)]
}

function onlyCodecErrors(act: () => unknown): void {
  try {
    act()
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(CodecError)
  }
}

function missingBytes(read: () => unknown): number {
  try {
    read()
  } catch (thrown) {
    if (thrown instanceof NeedMoreError) return thrown.bytesMissing
    throw thrown
  }
  return 0
}

/** Both sides in one form: bytes as hex, whole numbers as bigint, maps as sorted entries. */
function plain(value: Decoded): unknown {
  if (value instanceof Raw) return hex(value.bytes)
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Map)
    return sorted([...value].map(([key, item]) => [hex(textToBytes(key)), plain(item)] as const))
  return scalar(value)
}

function flat(value: MsgpackValue): unknown {
  if (typeof value === 'string') return hex(textToBytes(value))
  if (Array.isArray(value)) return value.map(flat)
  if (isRecord(value)) {
    return sorted(Object.entries(value).map(([key, item]) => [hex(textToBytes(key)), flat(item)] as const))
  }
  return scalar(value)
}

function isRecord(value: MsgpackValue): value is { readonly [key: string]: MsgpackValue } {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array) && !(value instanceof Float64)
}

function scalar(value: unknown): unknown {
  if (value instanceof Uint8Array) return hex(value)
  if (value instanceof Float64) return ['float', value.value]
  return typeof value === 'number' ? BigInt(value) : value
}

function sorted(entries: (readonly [string, unknown])[]): (readonly [string, unknown])[] {
  return entries.sort(([a], [b]) => (a < b ? -1 : 1))
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
