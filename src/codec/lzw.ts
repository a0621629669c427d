import { CodecError } from './codec-error.ts'

/**
 * LZW as Go's compress/lzw writes it with least-significant-bit-first order and 8-bit literals: GIF's variant without
 * sub-blocks and without the leading code size. Widths run from 9 to 12 bits.
 */
const CLEAR = 256
const EOF = 257
const WIDTH_MIN = 9
const WIDTH_MAX = 12
const CODES = 1 << WIDTH_MAX
/** Open addressing over (prefix code, byte); four times the codes keeps the chains short. */
const SLOTS_MAX = CODES * 4

/** The very bytes Go's writer gives for `bytes` (so that a recorded packet can be rebuilt). */
export function lzwCompress(bytes: Uint8Array): Uint8Array {
  const out = new BitWriter(bytes.length)
  out.write(CLEAR, WIDTH_MIN)
  if (bytes.length === 0) {
    out.write(EOF, WIDTH_MIN)
    return out.finish()
  }
  const slots = new Int32Array(slotsFor(bytes.length)) // key << 12 | code; 0 is free, for no defined code is 0
  let width = WIDTH_MIN
  let hi = EOF
  let prefix = bytes[0] as number
  for (let i = 1; i < bytes.length; i++) {
    const byte = bytes[i] as number
    const key = (prefix << 8) | byte
    const slot = slotOf(slots, key)
    const found = slots[slot] as number
    if (found !== 0) {
      prefix = found & (CODES - 1)
      continue
    }
    out.write(prefix, width)
    prefix = byte
    hi++
    if (hi === 1 << width) width++
    if (hi === CODES - 1) {
      out.write(CLEAR, WIDTH_MAX)
      width = WIDTH_MIN
      hi = EOF
      slots.fill(0)
    } else {
      slots[slot] = (key << WIDTH_MAX) | hi
    }
  }
  out.write(prefix, width)
  hi++
  if (hi === 1 << width) width++
  if (hi === CODES - 1) {
    // Go clears here too: its last code passes through the same counter as every other.
    out.write(CLEAR, WIDTH_MAX)
    width = WIDTH_MIN
  }
  out.write(EOF, width)
  return out.finish()
}

/**
 * @param bytesMax refuses to produce more than this many bytes (a few bytes can stand for very many)
 * @throws CodecError when a code is undefined, the end code is missing or the result is too long; bytes after the end
 *   code are ignored, as Go does
 */
export function lzwDecompress(bytes: Uint8Array, bytesMax: number): Uint8Array {
  const prefixes = new Uint16Array(CODES)
  const suffixes = new Uint8Array(CODES)
  const lengths = new Uint16Array(CODES)
  let out = new Uint8Array(Math.min(bytesMax, Math.max(256, bytes.length * 3)))
  let length = 0
  let [hi, width, prev, full] = [EOF, WIDTH_MIN, -1, false]
  let [at, bits, bitCount] = [0, 0, 0]
  for (;;) {
    while (bitCount < width) {
      if (at >= bytes.length) throw new CodecError('unexpected EOF')
      bits |= (bytes[at++] as number) << bitCount
      bitCount += 8
    }
    const code = bits & ((1 << width) - 1)
    bits >>>= width
    bitCount -= width
    if (code === CLEAR) {
      ;[hi, width, prev, full] = [EOF, WIDTH_MIN, -1, false]
      continue
    }
    if (code === EOF) return out.subarray(0, length)
    const isNew = code === hi && prev >= 0 // the entry this very step defines
    if (code > hi || (code === hi && !isNew && !full)) throw new CodecError('lzw: invalid code')
    const chainLength = isNew ? lengthOf(prev) + 1 : lengthOf(code)
    if (length + chainLength > bytesMax) throw new CodecError(`decompressed size exceeds limit (${bytesMax})`)
    if (length + chainLength > out.length) out = grown(out, Math.min(bytesMax, 2 * (length + chainLength)))
    let end = length + chainLength - (isNew ? 1 : 0)
    let link = isNew ? prev : code
    while (link > EOF) {
      out[--end] = suffixes[link] as number
      link = prefixes[link] as number
    }
    out[--end] = link
    if (isNew) out[length + chainLength - 1] = link
    if (prev >= 0) {
      prefixes[hi] = prev
      suffixes[hi] = link
      lengths[hi] = lengthOf(prev) + 1
    }
    length += chainLength
    prev = code
    hi++
    if (hi >= 1 << width) {
      if (width < WIDTH_MAX) width++
      else {
        full = true // nothing more is defined until CLEAR; the last entry stays valid
        prev = -1
        hi--
      }
    }
  }

  function lengthOf(code: number): number {
    return code < CLEAR ? 1 : (lengths[code] as number)
  }
}

/** A power of two; small for the small packets that make up nearly all traffic. */
function slotsFor(bytes: number): number {
  let slots = 256
  while (slots < 4 * bytes && slots < SLOTS_MAX) slots *= 2
  return slots
}

function slotOf(slots: Int32Array, key: number): number {
  const mask = slots.length - 1
  let slot = (Math.imul(key, 0x9e3779b1) >>> 12) & mask
  for (;;) {
    const found = slots[slot] as number
    if (found === 0 || found >>> WIDTH_MAX === key) return slot
    slot = (slot + 1) & mask
  }
}

function grown(bytes: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(length)
  larger.set(bytes)
  return larger
}

/** Packs codes, the first in the low bits of the first byte. */
class BitWriter {
  #bytes: Uint8Array<ArrayBuffer>
  #length = 0
  #bits = 0
  #bitCount = 0

  constructor(bytesExpected: number) {
    this.#bytes = new Uint8Array(bytesExpected + (bytesExpected >> 1) + 16) // 12 bits a byte at worst
  }

  write(code: number, width: number): void {
    this.#bits |= code << this.#bitCount
    this.#bitCount += width
    while (this.#bitCount >= 8) {
      this.#bytes[this.#length++] = this.#bits & 0xff
      this.#bits >>>= 8
      this.#bitCount -= 8
    }
  }

  finish(): Uint8Array {
    if (this.#bitCount > 0) this.#bytes[this.#length++] = this.#bits & 0xff
    return this.#bytes.subarray(0, this.#length)
  }
}
