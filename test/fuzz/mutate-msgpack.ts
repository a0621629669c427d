import type { Random } from '../../src/base/index.ts'
import { encodeMsgpack, Float64, type MsgpackValue } from '../../src/codec/index.ts'
import type { Source } from './mutate-bytes.ts'

/** One value inside a buffer, wherever it stands. */
interface Span {
  readonly start: number
  readonly end: number
  /** In a map: key and value together start here. */
  readonly entryStart: number
  /** Of the map or list around it; undefined at the top. */
  readonly parent: Span | undefined
  readonly kind: 'map' | 'list' | 'blob' | 'int' | 'other'
}

/**
 * Changes a message where its values are, so that all around stays well-formed: a value becomes another of any type, or
 * one from elsewhere; an entry comes twice or not at all; counts and lengths lie; lists lie in one another too deeply.
 */
export function spliceValues(bytes: Uint8Array, { random, corpus }: Source): Uint8Array {
  const spans = spansOf(bytes, random.below(3) === 0 ? 0 : 1)
  const span = spans[random.below(spans.length || 1)]
  if (span === undefined) return bytes
  switch (random.below(8)) {
    case 0:
    case 1:
      return replaced(bytes, span.start, span.end, EXTREMES[random.below(EXTREMES.length)] as Uint8Array)
    case 2:
      return replaced(bytes, span.start, span.end, valueFrom(bytes, spans, random))
    case 3: {
      const other = (corpus[random.below(corpus.length)] as { bytes: Uint8Array }).bytes
      return replaced(bytes, span.start, span.end, valueFrom(other, spansOf(other, random.below(2)), random))
    }
    case 4:
      return recounted(bytes, span, 1)
    case 5:
      return recounted(bytes, span, -1)
    case 6:
      return lying(bytes, span, random)
    default:
      return random.below(2) === 0 ? wrapped(bytes, span, random) : otherForm(bytes, span, random)
  }
}

/** Everything that Go's codecs, ours or a person would not expect in a field. */
const EXTREMES: readonly Uint8Array[] = [
  ...([null, true, false, 0, -1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32 - 1, 2 ** 32] as const),
  ...([2 ** 53 - 1, 2n ** 53n, 2n ** 63n - 1n, 2n ** 64n - 1n, -(2n ** 63n)] as const),
  ...[Number.NaN, Number.POSITIVE_INFINITY, -0, 1e308, 5e-324].map(float => new Float64(float)),
  ...['', '\0', '\n', ' ', '__proto__', 'constructor', 'toString', '..', '*', '(', '\ud800', '🦫'.repeat(20)],
  ...['a'.repeat(31), 'a'.repeat(32), 'a'.repeat(255), 'a'.repeat(256), 'x'.repeat(600)],
  ...[[], {}, [[]], [{}], [null], { __: [] }, new Map([['__proto__', 1 as MsgpackValue]])],
  ...[new Uint8Array(0), new Uint8Array(4), new Uint8Array(16), new Uint8Array(5), Uint8Array.of(0xff)],
].map(value => encodeMsgpack(value as MsgpackValue, 'new'))
const DEEP = [31, 33, 40, 1000]
const COUNTS = [0, 1, 15, 16, 0xffff, 0x1_0000, 0x7fff_ffff, 0xffff_ffff]
/** A message of more values is changed in its first ones. */
const SPANS_MAX = 256

function replaced(bytes: Uint8Array, start: number, end: number, by: Uint8Array): Uint8Array {
  return Buffer.concat([bytes.subarray(0, start), by, bytes.subarray(end)])
}

function valueFrom(bytes: Uint8Array, spans: readonly Span[], random: Random): Uint8Array {
  const span = spans[random.below(spans.length || 1)]
  return span === undefined ? Uint8Array.of(0xc0) : bytes.slice(span.start, span.end)
}

/** The entry once more, or gone, and the count of what holds it as it should be then, where it fits into its one byte. */
function recounted(bytes: Uint8Array, { parent, entryStart, end }: Span, by: 1 | -1): Uint8Array {
  if (parent === undefined) return bytes
  const head = bytes[parent.start] as number
  const count = (head & 0x0f) + by
  const isShort = head >= 0x80 && head <= 0x9f && count >= 0 && count <= 15
  const out =
    by === 1
      ? Buffer.concat([bytes.subarray(0, end), bytes.subarray(entryStart)])
      : Buffer.concat([bytes.subarray(0, entryStart), bytes.subarray(end)])
  if (isShort) out[parent.start] = head + by
  return out
}

/** The same contents under another count or length. */
function lying(bytes: Uint8Array, { start, end, kind }: Span, random: Random): Uint8Array {
  if (kind === 'int' || kind === 'other') return bytes
  const head = Buffer.alloc(5)
  head[0] = kind === 'map' ? 0xdf : kind === 'list' ? 0xdd : 0xdb
  head.writeUInt32BE(COUNTS[random.below(COUNTS.length)] as number, 1)
  return replaced(bytes, start, Math.min(end, start + 1), head)
}

/** In so many lists or maps of one. */
function wrapped(bytes: Uint8Array, { start, end }: Span, random: Random): Uint8Array {
  const depth = DEEP[random.below(DEEP.length)] as number
  const around = random.below(2) === 0 ? Buffer.alloc(depth, 0x91) : Buffer.alloc(2 * depth, Buffer.of(0x81, 0xa0))
  return replaced(
    bytes,
    start,
    start,
    random.below(2) === 0 ? around : Buffer.concat([around, bytes.slice(start, end)]),
  )
}

/** A text as bytes, a number in nine bytes: forms that other encoders write. */
function otherForm(bytes: Uint8Array, { start, end, kind }: Span, random: Random): Uint8Array {
  const head = bytes[start] as number
  if (kind === 'blob' && head >= 0xa0 && head <= 0xbf) {
    return replaced(bytes, start, start + 1, Uint8Array.of(random.below(2) === 0 ? 0xc4 : 0xd9, head & 0x1f))
  }
  if (kind !== 'int') return bytes
  const long = Buffer.alloc(9)
  long[0] = random.below(2) === 0 ? 0xcf : 0xd3
  long[8] = bytes[end - 1] as number
  return replaced(bytes, start, end, long)
}

/** Values one after the other from `start`, and those in them, as far as they make sense. */
function spansOf(bytes: Uint8Array, start: number): Span[] {
  const spans: Span[] = []
  let at = start
  while (at < bytes.length && spans.length < SPANS_MAX) {
    const end = walk(bytes, at, undefined, at, spans, 0)
    if (end === undefined) break
    at = end
  }
  return spans
}

/** Where the value at `at` ends; undefined when it does not. */
function walk(
  bytes: Uint8Array,
  at: number,
  parent: Span | undefined,
  entryStart: number,
  spans: Span[],
  depth: number,
): number | undefined {
  const head = headAt(bytes, at)
  if (head === undefined || depth > 8 || spans.length >= SPANS_MAX) return undefined
  const span = { start: at, end: at + head.bytes, entryStart, parent, kind: head.kind }
  spans.push(span)
  if (head.children === 0) return span.end > bytes.length ? undefined : span.end
  let end = span.end
  let entry = end
  for (let nth = 0; nth < head.children; nth++) {
    if (head.kind !== 'map' || nth % 2 === 0) entry = end
    const next = walk(bytes, end, span, entry, spans, depth + 1)
    if (next === undefined) return undefined
    end = next
  }
  span.end = end
  return end
}

function headAt(bytes: Uint8Array, at: number): { bytes: number; children: number; kind: Span['kind'] } | undefined {
  const head = bytes[at]
  if (head === undefined) return undefined
  const length = (width: number) => {
    let value = 0
    for (let i = 1; i <= width; i++) value = value * 256 + (bytes[at + i] ?? 0)
    return value
  }
  if (head <= 0x7f || head >= 0xe0) return { bytes: 1, children: 0, kind: 'int' }
  if (head <= 0x8f) return { bytes: 1, children: 2 * (head & 15), kind: 'map' }
  if (head <= 0x9f) return { bytes: 1, children: head & 15, kind: 'list' }
  if (head <= 0xbf) return { bytes: 1 + (head & 31), children: 0, kind: 'blob' }
  if (head >= 0xcc && head <= 0xd3) return { bytes: 1 + (1 << (head & 3)), children: 0, kind: 'int' }
  if (head === 0xc4 || head === 0xd9) return { bytes: 2 + length(1), children: 0, kind: 'blob' }
  if (head === 0xc5 || head === 0xda) return { bytes: 3 + length(2), children: 0, kind: 'blob' }
  if (head === 0xc6 || head === 0xdb) return { bytes: 5 + length(4), children: 0, kind: 'blob' }
  if (head === 0xdc) return { bytes: 3, children: length(2), kind: 'list' }
  if (head === 0xdd) return { bytes: 5, children: length(4), kind: 'list' }
  if (head === 0xde) return { bytes: 3, children: 2 * length(2), kind: 'map' }
  if (head === 0xdf) return { bytes: 5, children: 2 * length(4), kind: 'map' }
  if (head === 0xca) return { bytes: 5, children: 0, kind: 'other' }
  if (head === 0xcb) return { bytes: 9, children: 0, kind: 'other' }
  return { bytes: 1, children: 0, kind: 'other' }
}
