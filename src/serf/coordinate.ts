import type { Random } from '../base/index.ts'
import {
  asArray,
  asFloat,
  asMap,
  CodecError,
  type Decoded,
  decodeMsgpack,
  encodeMsgpack,
  Float64,
  type MsgpackValue,
} from '../codec/index.ts'

/**
 * Where a member stands in a space in which distance is round trip time: Vivaldi (Dabek, Cox, Kaashoek and Morris, 2004) with
 * a height for the access link and an adjustment for what no space can hold (Ledlie, Gardner and Seltzer, 2007).
 */
export interface Coordinate {
  /** Seconds, 8 dimensions. */
  readonly vec: readonly number[]
  /** How little it is to be trusted, from 0 to 1.5; no unit. */
  readonly error: number
  /** Seconds. */
  readonly adjustment: number
  /** Seconds, at least 10 µs. */
  readonly height: number
}

export const DIMENSIONS = 8
export const ERROR_MAX = 1.5
export const HEIGHT_MIN_S = 1e-5
/** Below this, two points are one. */
export const ZERO_S = 1e-6
const NANOS_PER_S = 1e9

/** Where everybody starts, and the centre of gravity. */
export const ORIGIN: Coordinate = {
  vec: Array.from({ length: DIMENSIONS }, () => 0),
  error: ERROR_MAX,
  adjustment: 0,
  height: HEIGHT_MIN_S,
}

/** Every component is a number and there are as many as in ours. */
export function isSound({ vec, error, adjustment, height }: Coordinate): boolean {
  return vec.length === DIMENSIONS && [...vec, error, adjustment, height].every(Number.isFinite)
}

/** Estimated round trip in seconds, in whole nanoseconds as Serf's durations; to itself it is not zero. */
export function distanceS(a: Coordinate, b: Coordinate): number {
  const raw = rawDistanceS(a, b)
  const adjusted = raw + a.adjustment + b.adjustment
  return Math.trunc((adjusted > 0 ? adjusted : raw) * NANOS_PER_S) / NANOS_PER_S
}

/** Without the adjustments. */
export function rawDistanceS(a: Coordinate, b: Coordinate): number {
  return lengthOf(between(a.vec, b.vec)) + a.height + b.height
}

/** `c` pushed away from `other` by so many seconds; negative pulls. */
export function pushed(c: Coordinate, seconds: number, other: Coordinate, random: Random): Coordinate {
  const { unit, apart } = direction(c.vec, other.vec, random)
  const vec = c.vec.map((x, i) => x + (unit[i] ?? 0) * seconds)
  if (apart <= ZERO_S) return { ...c, vec }
  return { ...c, vec, height: Math.max(((c.height + other.height) * seconds) / apart + c.height, HEIGHT_MIN_S) }
}

/** From `q` to `p`; a random one when they are in one place, so that they can part. */
function direction(p: readonly number[], q: readonly number[], random: Random): { unit: number[]; apart: number } {
  const way = between(p, q)
  const apart = lengthOf(way)
  if (apart > ZERO_S) return { unit: way.map(x => x / apart), apart }
  const drawn = p.map(() => random.float() - 0.5)
  const length = lengthOf(drawn)
  if (length > ZERO_S) return { unit: drawn.map(x => x / length), apart: 0 }
  return { unit: p.map((_, i) => (i === 0 ? 1 : 0)), apart: 0 }
}

function between(p: readonly number[], q: readonly number[]): number[] {
  return p.map((x, i) => x - (q[i] ?? 0))
}

function lengthOf(vec: readonly number[]): number {
  return Math.sqrt(vec.reduce((sum, x) => sum + x * x, 0))
}

/** The record of the wire, in acks as in RPC answers. */
export function coordinateRecord({ vec, error, adjustment, height }: Coordinate): { [field: string]: MsgpackValue } {
  return {
    Adjustment: new Float64(adjustment),
    Error: new Float64(error),
    Height: new Float64(height),
    Vec: vec.map(x => new Float64(x)),
  }
}

/**
 * May be unsound: any numbers, any count of dimensions up to 64.
 * @throws CodecError
 */
export function coordinateFromRecord(value: Decoded | undefined): Coordinate {
  const fields = asMap(value)
  const vec = asArray(fields.get('Vec'))
  if (vec.length > VEC_LENGTH_MAX) throw new CodecError(`a coordinate of ${vec.length} dimensions`)
  return {
    vec: vec.map(asFloat),
    error: asFloat(fields.get('Error')),
    adjustment: asFloat(fields.get('Adjustment')),
    height: asFloat(fields.get('Height')),
  }
}

const VEC_LENGTH_MAX = 64
const PAYLOAD_VERSION = 1

/** What rides on acks: a version byte and the record. */
export function encodePingPayload(coordinate: Coordinate): Uint8Array {
  return Uint8Array.of(PAYLOAD_VERSION, ...encodeMsgpack(coordinateRecord(coordinate), 'old'))
}

/** @throws CodecError, also for another version */
export function decodePingPayload(payload: Uint8Array): Coordinate {
  if (payload[0] !== PAYLOAD_VERSION) throw new CodecError(`unsupported ping version: ${payload[0] ?? '(none)'}`)
  return coordinateFromRecord(decodeMsgpack(payload, 1).value)
}
