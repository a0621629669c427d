import { CodecError } from './codec-error.ts'
import { textToBytes } from './text.ts'
import { asBuffer, Float64, type MsgpackValue } from './values.ts'

/** old: strings and bytes alike as raw (fixraw, raw16, raw32). new: str8 and bin as well. */
export type Dialect = 'old' | 'new'

/** Deeper values are a defect or an attack; nothing of Serf's goes beyond 6. */
export const DEPTH_MAX = 32

/**
 * One value as msgpack. Plain records are written with keys in ascending byte order, as Go's codecs do; a `Map` in its own.
 * @throws CodecError for numbers that are not whole or beyond ±2^53, bigints beyond 64 bits, nesting beyond `DEPTH_MAX`
 */
export function encodeMsgpack(value: MsgpackValue, dialect: Dialect): Uint8Array {
  const writer = new MsgpackWriter(dialect)
  writer.value(value)
  return writer.finish()
}

/** Writes msgpack piece by piece; for messages whose shape is known. */
export class MsgpackWriter {
  readonly #isNew: boolean
  #bytes: Buffer
  #at = 0

  constructor(dialect: Dialect, bytesExpected = 256) {
    this.#isNew = dialect === 'new'
    this.#bytes = Buffer.allocUnsafe(bytesExpected)
  }

  /** What has been written: its own memory, never a pool's. */
  finish(): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(0, this.#at))
  }

  /** One byte as it is, such as a message's type. */
  byte(byte: number): void {
    this.#ensure(1)
    this.#bytes[this.#at++] = byte
  }

  /** Bytes as they are, without a header. */
  plain(bytes: Uint8Array): void {
    this.#ensure(bytes.length)
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  nil(): void {
    this.byte(0xc0)
  }

  bool(value: boolean): void {
    this.byte(value ? 0xc3 : 0xc2)
  }

  mapHeader(size: number): void {
    this.#header(size, 0x80, 15, 0, 0xde)
  }

  arrayHeader(size: number): void {
    this.#header(size, 0x90, 15, 0, 0xdc)
  }

  text(text: string): void {
    const length = text.length
    this.#ensure(length + 5)
    if (length < 32) {
      // Nearly every string here is short ASCII: write it at once, and step back if it was not.
      const start = this.#at
      this.#bytes[this.#at++] = 0xa0 | length
      let i = 0
      for (; i < length; i++) {
        const unit = text.charCodeAt(i)
        if (unit >= 0x80) break
        this.#bytes[this.#at++] = unit
      }
      if (i === length) return
      this.#at = start
    }
    const bytes = textToBytes(text)
    this.#header(bytes.length, 0xa0, 31, this.#isNew ? 0xd9 : 0, 0xda)
    this.plain(bytes)
  }

  /** Undefined gives nil: an absent byte slice. */
  bytes(bytes: Uint8Array | undefined): void {
    if (bytes === undefined) return this.nil()
    if (this.#isNew) this.#header(bytes.length, 0, -1, 0xc4, 0xc5)
    else this.#header(bytes.length, 0xa0, 31, 0, 0xda)
    this.plain(bytes)
  }

  /** The shortest form; unsigned unless negative. */
  int(value: number): void {
    if (!Number.isSafeInteger(value)) throw new CodecError(`${value} is not a whole number within 2^53`)
    this.#ensure(9)
    if (value < 0) return this.#negative(value)
    if (value < 0x80) this.#bytes[this.#at++] = value
    else if (value < 0x100) this.#put(0xcc, value, 1)
    else if (value < 0x10000) this.#put(0xcd, value, 2)
    else if (value < 0x1_0000_0000) this.#put(0xce, value, 4)
    else this.#long(0xcf, BigInt(value))
  }

  bigint(value: bigint): void {
    if (value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)) {
      return this.int(Number(value))
    }
    if (value < -(2n ** 63n) || value >= 2n ** 64n) throw new CodecError(`${value} does not fit 64 bits`)
    this.#ensure(9)
    this.#long(value < 0n ? 0xd3 : 0xcf, value)
  }

  float(value: number): void {
    this.#ensure(9)
    this.#bytes[this.#at] = 0xcb
    this.#bytes.writeDoubleBE(value, this.#at + 1)
    this.#at += 9
  }

  value(value: MsgpackValue, depth = 0): void {
    if (depth > DEPTH_MAX) throw new CodecError(`nested deeper than ${DEPTH_MAX}`)
    if (value === null) return this.nil()
    if (typeof value === 'string') return this.text(value)
    if (typeof value === 'number') return this.int(value)
    if (typeof value === 'boolean') return this.bool(value)
    if (typeof value === 'bigint') return this.bigint(value)
    if (value instanceof Uint8Array) return this.bytes(value)
    if (value instanceof Float64) return this.float(value.value)
    if (isArray(value)) return this.#array(value, depth)
    if (value instanceof Map) return this.#entries([...value], depth)
    this.#entries(Object.entries(value).sort(byKeyBytes), depth)
  }

  #array(items: readonly MsgpackValue[], depth: number): void {
    this.arrayHeader(items.length)
    for (const item of items) this.value(item, depth + 1)
  }

  #entries(entries: readonly (readonly [string, MsgpackValue])[], depth: number): void {
    this.mapHeader(entries.length)
    for (const [key, item] of entries) {
      this.text(key)
      this.value(item, depth + 1)
    }
  }

  /** `fix` for sizes to `fixMax`, else one byte after `wide8` (0: there is none), two after `wide16`, four after its next. */
  #header(size: number, fix: number, fixMax: number, wide8: number, wide16: number): void {
    this.#ensure(5)
    if (size <= fixMax) this.#bytes[this.#at++] = fix | size
    else if (wide8 !== 0 && size < 0x100) this.#put(wide8, size, 1)
    else if (size < 0x10000) this.#put(wide16, size, 2)
    else this.#put(wide16 + 1, size, 4)
  }

  #negative(value: number): void {
    if (value >= -0x20) this.#bytes[this.#at++] = value & 0xff
    else if (value >= -0x80) this.#put(0xd0, value & 0xff, 1)
    else if (value >= -0x8000) this.#put(0xd1, value & 0xffff, 2)
    else if (value >= -0x8000_0000) this.#put(0xd2, value >>> 0, 4)
    else this.#long(0xd3, BigInt(value))
  }

  #put(head: number, value: number, width: number): void {
    this.#bytes[this.#at++] = head
    this.#bytes.writeUIntBE(value, this.#at, width)
    this.#at += width
  }

  #long(head: number, value: bigint): void {
    this.#bytes[this.#at] = head
    this.#bytes.writeBigUInt64BE(BigInt.asUintN(64, value), this.#at + 1)
    this.#at += 9
  }

  #ensure(count: number): void {
    if (this.#at + count <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + count))
    larger.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = larger
  }
}

function isArray(value: MsgpackValue): value is readonly MsgpackValue[] {
  return Array.isArray(value)
}

/** UTF-8 keeps the order of code points, UTF-16 does not, so other than ASCII is compared as bytes. */
function byKeyBytes(a: readonly [string, MsgpackValue], b: readonly [string, MsgpackValue]): number {
  return Buffer.compare(asBuffer(textToBytes(a[0])), asBuffer(textToBytes(b[0])))
}
