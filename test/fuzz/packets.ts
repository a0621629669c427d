import { readFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { assert, type Random, seededRandom } from '../../src/base/index.ts'
import { CodecError } from '../../src/codec/index.ts'
import { decodeMessage, Keyring, openPacket, PacketRefusedError, StreamReader } from '../../src/memberlist/index.ts'

/** What a run met. `accepted` and `refused` together are `count`: nothing else may happen to a packet. */
export interface FuzzReport {
  readonly count: number
  readonly accepted: number
  readonly refused: number
  /** Between the first tenth and the end, both after a collection. */
  readonly heapGrowthBytes: number
  /** The longest that one input took. */
  readonly worstMs: number
}

export interface FuzzOptions {
  readonly count: number
  readonly seed: number
  readonly onProgress?: (done: number) => void
}

/** Something escaped that is neither an answer nor a refusal; `hex` and the seed replay it. */
export class FuzzFailure extends Error {
  constructor(sample: Sample, seed: number, nth: number, cause: unknown) {
    const what = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
    super(`input ${nth} of seed ${seed} (${sample.transport}, from ${sample.name}) broke the reader: ${what}
hex: ${Buffer.from(sample.bytes).toString('hex')}`)
  }
}

/**
 * Mutates recorded packets and streams, `count` times from `seed`, and reads them as an agent would: flipped bits, cuts,
 * splices of two, doubled stretches, extreme lengths, foreign keys, changed plaintext under a valid seal.
 * @throws FuzzFailure when anything but CodecError or PacketRefusedError comes out, and when the heap does not stay flat
 */
export function fuzzPackets(o: FuzzOptions): FuzzReport {
  const random = seededRandom(o.seed)
  const corpus = readCorpus()
  let [accepted, worstMs, heapBefore] = [0, 0, 0]
  for (let nth = 0; nth < o.count; nth++) {
    const sample = mutated(corpus, random)
    const startMs = performance.now()
    try {
      if (isAccepted(sample, random)) accepted++
    } catch (cause) {
      throw new FuzzFailure(sample, o.seed, nth, cause)
    }
    worstMs = Math.max(worstMs, performance.now() - startMs)
    if (nth === Math.floor(o.count / 10)) heapBefore = heapBytes()
    if (nth % PROGRESS_EVERY === PROGRESS_EVERY - 1) o.onProgress?.(nth + 1)
  }
  const heapGrowthBytes = heapBytes() - heapBefore
  assert(heapGrowthBytes < HEAP_GROWTH_BYTES_MAX, `heap grew by ${heapGrowthBytes} bytes (seed ${o.seed})`)
  return { count: o.count, accepted, refused: o.count - accepted, heapGrowthBytes, worstMs }
}

const PROGRESS_EVERY = 50_000
/** Compiled code and the allocator's slack; a leak of 20 bytes an input shows in a million. */
const HEAP_GROWTH_BYTES_MAX = 16 << 20

interface Sample {
  readonly name: string
  readonly transport: 'udp' | 'tcp'
  readonly expectLabel: boolean
  readonly keyring: Keyring | undefined
  readonly label: string | undefined
  readonly bytes: Uint8Array
}

interface Recorded {
  name: string
  transport: 'udp' | 'tcp'
  direction: string
  hex: string
  key?: string
  label?: string
  decoded: { plaintext_hex?: string; decompressed_hex?: string }
}

/** Every recorded input, and in clear what lies under each seal, so that mutations reach the inner layers. */
function readCorpus(): Sample[] {
  const file = new URL('../vectors/memberlist.json', import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as Recorded[]).flatMap(samplesOf)
}

function samplesOf(recorded: Recorded): Sample[] {
  const { name, transport, label, decoded } = recorded
  const sealed: Sample = {
    name,
    transport,
    expectLabel: transport === 'tcp' && recorded.direction.startsWith('initiator'),
    keyring: recorded.key === undefined ? undefined : new Keyring([Buffer.from(recorded.key, 'base64')]),
    label,
    bytes: Buffer.from(recorded.hex, 'hex'),
  }
  const inner = [decoded.plaintext_hex, decoded.decompressed_hex].filter(hex => hex !== undefined)
  return [
    sealed,
    ...inner.map(hex => ({ ...sealed, keyring: undefined, label: undefined, bytes: Buffer.from(hex, 'hex') })),
  ]
}

function isAccepted(sample: Sample, random: Random): boolean {
  try {
    return sample.transport === 'udp' ? readPacket(sample) : readStream(sample, random)
  } catch (thrown) {
    if (thrown instanceof CodecError || thrown instanceof PacketRefusedError) return false
    throw thrown
  }
}

function readPacket({ bytes, keyring, label }: Sample): boolean {
  for (const part of openPacket(bytes, { keyring, label })) decodeMessage(part)
  return true
}

/** In up to four chunks, as a slow or a malicious peer would send it. */
function readStream({ bytes, keyring, label, expectLabel }: Sample, random: Random): boolean {
  const reader = new StreamReader({ keyring, label, expectLabel })
  const chunkBytes = Math.max(1, Math.ceil(bytes.length / (1 + random.below(4))))
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    if (reader.push(bytes.subarray(at, at + chunkBytes)) !== undefined) return true
  }
  return false
}

type Mutation = (bytes: Uint8Array, random: Random, corpus: readonly Sample[]) => Uint8Array

const MUTATIONS: readonly Mutation[] = [flipBits, flipBits, cut, splice, double, extremeByte, extremeLength, insert]

function mutated(corpus: readonly Sample[], random: Random): Sample {
  const sample = chosen(corpus, random)
  let bytes = Uint8Array.from(sample.bytes)
  for (let times = 1 + random.below(3); times > 0; times--) {
    bytes = Uint8Array.from(chosen(MUTATIONS, random)(bytes, random, corpus))
  }
  const lottery = random.below(32)
  if (lottery === 0) return { ...sample, bytes, keyring: new Keyring([random.bytes(16), random.bytes(32)]) }
  if (lottery === 1) return { ...sample, bytes, label: 'other' }
  if (lottery === 2) return { ...sample, bytes, transport: sample.transport === 'udp' ? 'tcp' : 'udp' }
  return { ...sample, bytes }
}

function flipBits(bytes: Uint8Array, random: Random): Uint8Array {
  for (let times = 1 + random.below(4); times > 0 && bytes.length > 0; times--) {
    const at = random.below(bytes.length)
    bytes[at] = (bytes[at] as number) ^ (1 << random.below(8))
  }
  return bytes
}

function cut(bytes: Uint8Array, random: Random): Uint8Array {
  return random.below(4) === 0
    ? bytes.subarray(random.below(bytes.length + 1))
    : bytes.subarray(0, random.below(bytes.length + 1))
}

function splice(bytes: Uint8Array, random: Random, corpus: readonly Sample[]): Uint8Array {
  const other = chosen(corpus, random).bytes
  const tail = other.subarray(random.below(other.length + 1))
  return Buffer.concat([bytes.subarray(0, random.below(bytes.length + 1)), tail])
}

/** Repeats a stretch in place: entries, layers and headers come twice. */
function double(bytes: Uint8Array, random: Random): Uint8Array {
  const start = random.below(bytes.length + 1)
  const end = start + random.below(bytes.length - start + 1)
  return Buffer.concat([bytes.subarray(0, end), bytes.subarray(start)])
}

/** Bytes that begin something: layers, msgpack's long forms, numbers at their edges. */
const HEADS = [
  0, 1, 6, 7, 8, 9, 0x0a, 0x0c, 0x0d, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc4, 0xc6, 0xc7, 0xc9,
  0xca, 0xcb, 0xcf, 0xd0, 0xd3, 0xd4, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xf4, 0xff,
]

function extremeByte(bytes: Uint8Array, random: Random): Uint8Array {
  if (bytes.length > 0) bytes[random.below(bytes.length)] = chosen(HEADS, random)
  return bytes
}

/** A long form with a length of any size, from nothing to four gigabytes. */
function extremeLength(bytes: Uint8Array, random: Random): Uint8Array {
  const length = chosen([0, 1, 0x7f, 0xffff, 0x10000, 0x1400001, 0x7fff_ffff, 0xffff_ffff], random)
  const at = random.below(bytes.length + 1)
  const head = Buffer.alloc(5)
  head[0] = chosen([0xdb, 0xdd, 0xdf, 0xc6, 0xce, 0xd2, 0x0a], random)
  head.writeUInt32BE(length, 1)
  return Buffer.concat([bytes.subarray(0, at), head, bytes.subarray(Math.min(bytes.length, at + random.below(6)))])
}

function insert(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length + 1)
  return Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.below(8)), bytes.subarray(at)])
}

function chosen<T>(items: readonly T[], random: Random): T {
  return items[random.below(items.length)] as T
}

/** After a collection, so that only what is held counts. */
function heapBytes(): number {
  setFlagsFromString('--expose_gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
