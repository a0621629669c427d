import { CodecError, NeedMoreError } from './codec-error.ts'
import { DEPTH_MAX } from './msgpack-writer.ts'
import { textFromBytes } from './text.ts'
import { asBuffer, type Decoded, Float64, Raw } from './values.ts'

/**
 * How many values one call may give: a byte can stand for an empty map of two hundred, so length alone bounds nothing.
 * Serf's state for 50,000 members with full event buffers stays below.
 */
export const VALUES_MAX = 1 << 18

/**
 * The value at `offset` and where it ends; bytes after it are not looked at. Reads both dialects, and all families.
 * Strings and bytes are views of the input.
 * @throws NeedMoreError when the input ends inside the value; CodecError for extension types, keys other than strings and
 *   integers, nesting beyond 32, more than `valuesMax` values
 */
export function decodeMsgpack(
  bytes: Uint8Array,
  offset = 0,
  options: { valuesMax?: number } = {},
): { value: Decoded; end: number } {
  const reader = new MsgpackReader(bytes, offset, options.valuesMax)
  const value = reader.value()
  return { value, end: reader.at }
}

/**
 * Reads msgpack piece by piece, with the tolerance of Go's codecs: nil is the zero value of any type, text and bytes come in
 * any family, integers in any width and sign that fits.
 */
export class MsgpackReader {
  /** Where the next value starts. */
  at: number
  readonly #bytes: Buffer
  #valuesLeft: number

  constructor(bytes: Uint8Array, at = 0, valuesMax = VALUES_MAX) {
    this.#bytes = asBuffer(bytes)
    this.at = at
    this.#valuesLeft = valuesMax
  }

  /** The next byte as it is. */
  byte(): number {
    if (this.at >= this.#bytes.length) throw new NeedMoreError(1)
    return this.#bytes[this.at++] as number
  }

  /** The next `length` bytes as they are: a view. */
  plain(length: number): Uint8Array {
    const start = this.#take(length)
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + start, length)
  }

  /** All that is left: a view. */
  rest(): Uint8Array {
    return this.plain(this.#bytes.length - this.at)
  }

  text(): string {
    const head = this.byte()
    if (head === 0xc0) return ''
    const length = this.#blobLength(head)
    if (length < 0) throw unexpected('string', head)
    const start = this.#take(length)
    return textFromBytes(this.#bytes, start, start + length)
  }

  /** A view of the input, or a copy when it came as an array of small integers. */
  bytes(): Uint8Array {
    const head = this.byte()
    if (head === 0xc0) return new Uint8Array(0)
    const length = this.#blobLength(head)
    if (length >= 0) return this.plain(length)
    if (!isArrayHead(head)) throw unexpected('byte string', head)
    const size = this.#arraySize(head)
    const bytes = new Uint8Array(size)
    for (let i = 0; i < size; i++) bytes[i] = this.uint(255)
    return bytes
  }

  bool(): boolean {
    const head = this.byte()
    if (head === 0xc3) return true
    if (head === 0xc2 || head === 0xc0) return false
    throw unexpected('boolean', head)
  }

  /** A whole number from 0 to `max`, which is at most 2^53 − 1. */
  uint(max: number): number {
    const head = this.byte()
    if (head < 0x80) {
      if (head <= max) return head
    } else if (head === 0xc0) return 0
    else {
      const value = this.#int(head)
      if (value === undefined) throw unexpected('integer', head)
      if (typeof value === 'number' && value >= 0 && value <= max) return value
    }
    throw new CodecError(`integer is not from 0 to ${max}`)
  }

  /** A whole number of either sign; those beyond 2^53 are refused. */
  int(): number {
    const head = this.byte()
    if (head === 0xc0) return 0
    const value = this.#int(head)
    if (value === undefined) throw unexpected('integer', head)
    if (typeof value === 'number') return value
    throw new CodecError('integer is beyond 2^53')
  }

  /**
   * A structure: calls `read` with the name of each field, and `read` must consume its value (`skip` for unknown ones). A
   * structure may also come as an array, in which case `order` gives the names; nil has no fields.
   */
  fields(order: readonly string[], read: (name: string) => void): void {
    const head = this.byte()
    if (head === 0xc0) return
    if (isMapHead(head)) {
      for (let left = this.#mapSize(head); left > 0; left--) read(this.text())
      return
    }
    if (!isArrayHead(head)) throw unexpected('map or array', head)
    const size = this.#arraySize(head)
    for (let i = 0; i < size; i++) {
      const name = order[i]
      if (name === undefined) this.skip()
      else read(name)
    }
  }

  /** Steps over one value of any kind, extensions too, without building it. */
  skip(depth = 0): void {
    if (depth > DEPTH_MAX) throw new CodecError(`nested deeper than ${DEPTH_MAX}`)
    const head = this.byte()
    if (head < 0x80 || head >= 0xe0 || head === 0xc0 || head === 0xc2 || head === 0xc3) return
    const blob = this.#blobLength(head)
    if (blob >= 0) this.#take(blob)
    else if (isArrayHead(head)) for (let left = this.#arraySize(head); left > 0; left--) this.skip(depth + 1)
    else if (isMapHead(head)) for (let left = 2 * this.#mapSize(head); left > 0; left--) this.skip(depth + 1)
    else this.#take(this.#scalarLength(head))
  }

  value(depth = 0): Decoded {
    if (depth > DEPTH_MAX) throw new CodecError(`nested deeper than ${DEPTH_MAX}`)
    if (--this.#valuesLeft < 0) throw new CodecError('too many values')
    const head = this.byte()
    if (head === 0xc0) return null
    if (head === 0xc2 || head === 0xc3) return head === 0xc3
    if (isArrayHead(head)) return this.#array(head, depth)
    if (isMapHead(head)) return this.#map(head, depth)
    if (head === 0xca) return new Float64(this.#bytes.readFloatBE(this.#take(4)))
    if (head === 0xcb) return new Float64(this.#bytes.readDoubleBE(this.#take(8)))
    const blob = this.#blobLength(head)
    if (blob >= 0) return head >= 0xc4 && head <= 0xc6 ? this.plain(blob) : new Raw(this.plain(blob))
    const int = this.#int(head)
    if (int === undefined) throw unexpected('value', head)
    return int
  }

  #array(head: number, depth: number): Decoded[] {
    const items: Decoded[] = []
    for (let left = this.#arraySize(head); left > 0; left--) items.push(this.value(depth + 1))
    return items
  }

  #map(head: number, depth: number): Map<string, Decoded> {
    const entries = new Map<string, Decoded>()
    for (let left = this.#mapSize(head); left > 0; left--) {
      const key = this.#key()
      entries.set(key, this.value(depth + 1))
    }
    return entries
  }

  #key(): string {
    const head = this.#bytes[this.at] ?? 0xa0
    const isInt = head < 0x80 || head >= 0xe0 || (head >= 0xcc && head <= 0xd3)
    return isInt ? String(this.int()) : this.text()
  }

  /** Length of a string or byte string, −1 when `head` starts something else. */
  #blobLength(head: number): number {
    if ((head & 0xe0) === 0xa0) return head & 0x1f
    if (head === 0xd9 || head === 0xc4) return this.byte()
    if (head === 0xda || head === 0xc5) return this.#bytes.readUInt16BE(this.#take(2))
    if (head === 0xdb || head === 0xc6) return this.#bytes.readUInt32BE(this.#take(4))
    return -1
  }

  #arraySize(head: number): number {
    const size =
      head < 0xa0
        ? head & 0x0f
        : head === 0xdc
          ? this.#bytes.readUInt16BE(this.#take(2))
          : this.#bytes.readUInt32BE(this.#take(4))
    this.#mustHold(size)
    return size
  }

  #mapSize(head: number): number {
    const size =
      head < 0x90
        ? head & 0x0f
        : head === 0xde
          ? this.#bytes.readUInt16BE(this.#take(2))
          : this.#bytes.readUInt32BE(this.#take(4))
    this.#mustHold(2 * size)
    return size
  }

  /** Undefined when `head` starts no integer. */
  #int(head: number): number | bigint | undefined {
    const bytes = this.#bytes
    if (head < 0x80) return head
    if (head >= 0xe0) return head - 0x100
    if (head === 0xcc) return this.byte()
    if (head === 0xcd) return bytes.readUInt16BE(this.#take(2))
    if (head === 0xce) return bytes.readUInt32BE(this.#take(4))
    if (head === 0xcf) return narrowed(bytes.readBigUInt64BE(this.#take(8)))
    if (head === 0xd0) return bytes.readInt8(this.#take(1))
    if (head === 0xd1) return bytes.readInt16BE(this.#take(2))
    if (head === 0xd2) return bytes.readInt32BE(this.#take(4))
    if (head === 0xd3) return narrowed(bytes.readBigInt64BE(this.#take(8)))
    return undefined
  }

  /** Bytes after the head of a number or an extension; reads an extension's length. */
  #scalarLength(head: number): number {
    if (head >= 0xcc && head <= 0xd3) return 1 << (head & 3)
    if (head === 0xca) return 4
    if (head === 0xcb) return 8
    if (head >= 0xd4 && head <= 0xd8) return 1 + (1 << (head - 0xd4))
    if (head === 0xc7) return 1 + this.byte()
    if (head === 0xc8) return 1 + this.#bytes.readUInt16BE(this.#take(2))
    if (head === 0xc9) return 1 + this.#bytes.readUInt32BE(this.#take(4))
    throw unexpected('value', head)
  }

  /** Steps over `length` bytes that must be there; returns where they start. */
  #take(length: number): number {
    this.#mustHold(length)
    const start = this.at
    this.at += length
    return start
  }

  #mustHold(length: number): void {
    const missing = this.at + length - this.#bytes.length
    if (missing > 0) throw new NeedMoreError(missing)
  }
}

function isMapHead(head: number): boolean {
  return (head & 0xf0) === 0x80 || head === 0xde || head === 0xdf
}

function isArrayHead(head: number): boolean {
  return (head & 0xf0) === 0x90 || head === 0xdc || head === 0xdd
}

function narrowed(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

function unexpected(wanted: string, head: number): CodecError {
  return new CodecError(`expected ${wanted}, found msgpack byte 0x${head.toString(16).padStart(2, '0')}`)
}
