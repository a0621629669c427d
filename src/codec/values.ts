import { CodecError } from './codec-error.ts'
import { textFromBytes } from './text.ts'

/** A value to be written as a 64-bit float even when it is whole. */
export class Float64 {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

/** Bytes of the str family as they came: the old dialect uses it for text and for bytes, so the field's type decides. */
export class Raw {
  readonly bytes: Uint8Array
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  get text(): string {
    return textFromBytes(asBuffer(this.bytes), 0, this.bytes.length)
  }
}

/** What can be encoded. Whole numbers only; a fraction needs `Float64`. */
export type MsgpackValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Float64
  | readonly MsgpackValue[]
  | ReadonlyMap<string, MsgpackValue>
  | { readonly [key: string]: MsgpackValue }

/** What decoding gives. Integers beyond ±2^53 are bigint; floats are `Float64`, whole or not. */
export type Decoded = null | boolean | number | bigint | Float64 | Raw | Uint8Array | Decoded[] | Map<string, Decoded>

/** A field that may be absent: absent and nil both read as the zero value, as in Go. */
export type Field = Decoded | undefined

/** @throws CodecError unless str, bin, nil or absent (''). */
export function asText(field: Field): string {
  if (field instanceof Raw) return field.text
  if (field instanceof Uint8Array) return new Raw(field).text
  if (field === null || field === undefined) return ''
  throw new CodecError('expected a string')
}

/** Str, bin or an array of small integers; nil and absent give none. A view of the input where it can be. */
export function asBytes(field: Field): Uint8Array {
  if (field instanceof Raw) return field.bytes
  if (field instanceof Uint8Array) return field
  if (field === null || field === undefined) return new Uint8Array(0)
  if (Array.isArray(field)) return Uint8Array.from(field, byte => asUint(byte, 255))
  throw new CodecError('expected bytes')
}

/** A whole number from 0 to `max` (at most 2^53 − 1). */
export function asUint(field: Field, max = Number.MAX_SAFE_INTEGER): number {
  if (field === null || field === undefined) return 0
  if (typeof field === 'number' && field >= 0 && field <= max) return field
  throw new CodecError(`expected an integer from 0 to ${max}`)
}

/** A whole number from 0 to 2^64 − 1, such as a Lamport time. */
export function asBigUint(field: Field): bigint {
  if (field === null || field === undefined) return 0n
  if ((typeof field === 'number' || typeof field === 'bigint') && field >= 0) return BigInt(field)
  throw new CodecError('expected an integer from 0 to 2^64 - 1')
}

/** A whole number of either sign within ±(2^53 − 1). */
export function asInt(field: Field): number {
  if (field === null || field === undefined) return 0
  if (typeof field === 'number') return field
  throw new CodecError('expected an integer')
}

/** A float of either width, or a whole number. */
export function asFloat(field: Field): number {
  if (field === null || field === undefined) return 0
  if (field instanceof Float64) return field.value
  if (typeof field === 'number' || typeof field === 'bigint') return Number(field)
  throw new CodecError('expected a number')
}

export function asBool(field: Field): boolean {
  if (field === null || field === undefined) return false
  if (typeof field === 'boolean') return field
  throw new CodecError('expected a boolean')
}

export function asMap(field: Field): Map<string, Decoded> {
  if (field === null || field === undefined) return new Map()
  if (field instanceof Map) return field
  throw new CodecError('expected a map')
}

export function asArray(field: Field): Decoded[] {
  if (field === null || field === undefined) return []
  if (Array.isArray(field)) return field
  throw new CodecError('expected an array')
}

/** The same memory with Buffer's quicker methods. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
