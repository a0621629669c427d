import { randomBytes, randomInt } from 'node:crypto'

/** Randomness, injected so that a seed replays a whole run. */
export interface Random {
  /** Uniform in [0, 1). */
  float(): number
  /** Uniform integer in [0, limit); `limit` is an integer from 1 to 2^32. */
  below(limit: number): number
  /** `length` bytes. Only `systemRandom` gives bytes fit for keys and nonces. */
  bytes(length: number): Uint8Array
}

/** The operating system's generator. */
export const systemRandom: Random = {
  float: () => randomInt(2 ** 32) / 2 ** 32,
  below: limit => randomInt(limit),
  bytes: length => randomBytes(length),
}

/**
 * A generator that gives the same sequence for the same seed (sfc32, C. Doty-Humphrey, PractRand). Not for secrets.
 * @param seed any integer; its low 32 bits count
 */
export function seededRandom(seed: number): Random {
  let a = 0x9e3779b9
  let b = 0x243f6a88
  let c = seed | 0
  let counter = 1
  const next = (): number => {
    const sum = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return sum >>> 0
  }
  for (let round = 0; round < 15; round++) next() // the first outputs still show the seed
  return {
    float: () => next() / 2 ** 32,
    below: limit => Math.floor((next() / 2 ** 32) * limit),
    bytes: length => Uint8Array.from({ length }, () => next() & 0xff),
  }
}

/** Shuffles in place, uniformly (Fisher–Yates), and returns the same array. */
export function shuffle<T>(items: T[], random: Random): T[] {
  for (let last = items.length - 1; last > 0; last--) {
    const other = random.below(last + 1)
    const kept = items[last] as T
    items[last] = items[other] as T
    items[other] = kept
  }
  return items
}
