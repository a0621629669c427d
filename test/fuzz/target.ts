import type { Random } from '../../src/base/index.ts'

/** One input of a corpus. */
export interface Sample {
  readonly name: string
  readonly bytes: Uint8Array
}

/** Reads one input as an agent would. True: read; false: refused, in the decoder's own words. Whatever is thrown has escaped. */
export type Run<S extends Sample> = (sample: S, bytes: Uint8Array, random: Random) => boolean | Promise<boolean>

/** One decoder under attack. */
export interface Target<S extends Sample = Sample> {
  readonly name: string
  /** What kind of mutations make sense. */
  readonly family: 'binary' | 'text'
  readonly corpus: readonly S[]
  /** Words of the format, for text; spliced in as they are. */
  readonly words?: readonly string[]
  /** Inputs are cut off here after mutation. Default 4096 bytes. */
  readonly bytesMax?: number
  /** Its part of all cases; what is quick gets more. */
  readonly share: number
  /** Cases of `npm test`, three seconds or less. */
  readonly casesInTest: number
  /** How many cases one state lives for; 1 when nothing is kept. A case is replayed from the start of its state. */
  readonly stateCases: number
  /** A fresh reader, with fresh state. */
  start(random: Random): Run<S>
}

/** Keeps the sample's type together with its reader's while targets of all kinds stand in one list. */
export function target<S extends Sample>(made: Target<S>): Target {
  return made as unknown as Target
}
