import { asBigUint, asBool, asBytes, asMap, asText, asUint, CodecError, type Decoded } from '../codec/index.ts'

/**
 * One msgpack record as Serf reads it: a map by field name in any order, or an array in declaration order (accepted,
 * never sent). What is missing or nil has the zero value; what is unknown is skipped.
 */
export class WireRecord {
  readonly #fields: ReadonlyMap<string, Decoded>

  /** @param names the fields in declaration order */
  constructor(value: Decoded | undefined, names: readonly string[]) {
    if (Array.isArray(value)) {
      const present = names.slice(0, value.length)
      this.#fields = new Map(present.map((name, at) => [name, value[at] as Decoded]))
    } else this.#fields = value === undefined || value === null ? new Map() : asMap(value)
  }

  get(name: string): Decoded | undefined {
    return this.#fields.get(name) ?? undefined
  }

  /** @throws CodecError when it is no whole number from 0 to `max` */
  uint(name: string, max: number): number {
    const value = this.get(name)
    return value === undefined ? 0 : asUint(value, max)
  }

  /** As `uint`, of 64 bits on the wire: what is beyond `max` counts as `max`. */
  cappedUint(name: string, max: number): number {
    const value = asBigUint(this.get(name))
    return value > BigInt(max) ? max : Number(value)
  }

  text(name: string): string {
    const value = this.get(name)
    return value === undefined ? '' : asText(value)
  }

  /** Empty when nil, empty or missing: Serf makes no difference. */
  bytes(name: string): Uint8Array {
    const value = this.get(name)
    return value === undefined ? new Uint8Array(0) : asBytes(value)
  }

  bool(name: string): boolean {
    const value = this.get(name)
    return value === undefined ? false : asBool(value)
  }

  list(name: string): readonly Decoded[] {
    const value = this.get(name)
    if (value === undefined) return []
    if (!Array.isArray(value)) throw new CodecError(`${name} is not a list`)
    return value
  }

  map(name: string): ReadonlyMap<string, Decoded> {
    const value = this.get(name)
    return value === undefined ? new Map() : asMap(value)
  }
}
