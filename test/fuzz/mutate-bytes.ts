import type { Random } from '../../src/base/index.ts'
import type { Sample } from './target.ts'

/** What a mutation may draw from. */
export interface Source {
  readonly random: Random
  readonly corpus: readonly Sample[]
}

export type Mutation = (bytes: Uint8Array, from: Source) => Uint8Array

export function chosen<T>(items: readonly T[], random: Random): T {
  return items[random.below(items.length)] as T
}

/** What may happen to any bytes. */
export const BYTE_MUTATIONS: readonly Mutation[] = [
  ...[flipBits, flipBits, cut, splice, double, extremeByte, extremeLength, insert],
]

function flipBits(bytes: Uint8Array, { random }: Source): Uint8Array {
  for (let times = 1 + random.below(4); times > 0 && bytes.length > 0; times--) {
    const at = random.below(bytes.length)
    bytes[at] = (bytes[at] as number) ^ (1 << random.below(8))
  }
  return bytes
}

export function cut(bytes: Uint8Array, { random }: Source): Uint8Array {
  const at = random.below(bytes.length + 1)
  return random.below(4) === 0 ? bytes.slice(at) : bytes.slice(0, at)
}

/** The head of one and the tail of another. */
export function splice(bytes: Uint8Array, { random, corpus }: Source): Uint8Array {
  const other = chosen(corpus, random).bytes
  const tail = other.subarray(random.below(other.length + 1))
  return Buffer.concat([bytes.subarray(0, random.below(bytes.length + 1)), tail])
}

/** Repeats a stretch in place: entries, layers and headers come twice. */
export function double(bytes: Uint8Array, { random }: Source): Uint8Array {
  const start = random.below(bytes.length + 1)
  const end = start + random.below(bytes.length - start + 1)
  return Buffer.concat([bytes.subarray(0, end), bytes.subarray(start)])
}

/** Bytes that begin something: layers, msgpack's long forms, numbers at their edges. */
const HEADS = [
  ...[0, 1, 6, 7, 8, 9, 0x0a, 0x0c, 0x0d, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc4, 0xc6, 0xc7, 0xc9],
  ...[0xca, 0xcb, 0xcf, 0xd0, 0xd3, 0xd4, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xf4, 0xff],
]

function extremeByte(bytes: Uint8Array, { random }: Source): Uint8Array {
  if (bytes.length > 0) bytes[random.below(bytes.length)] = chosen(HEADS, random)
  return bytes
}

/** A long form with a length of any size, from nothing to four gigabytes. */
function extremeLength(bytes: Uint8Array, { random }: Source): Uint8Array {
  const length = chosen([0, 1, 0x7f, 0xffff, 0x10000, 0x1400001, 0x7fff_ffff, 0xffff_ffff], random)
  const at = random.below(bytes.length + 1)
  const head = Buffer.alloc(5)
  head[0] = chosen([0xdb, 0xdd, 0xdf, 0xc6, 0xce, 0xd2, 0x0a], random)
  head.writeUInt32BE(length, 1)
  return Buffer.concat([bytes.subarray(0, at), head, bytes.subarray(Math.min(bytes.length, at + random.below(6)))])
}

export function insert(bytes: Uint8Array, { random }: Source): Uint8Array {
  const at = random.below(bytes.length + 1)
  return Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.below(8)), bytes.subarray(at)])
}
