import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Random, seededRandom } from '../../src/base/index.ts'
import { mutated } from './mutate.ts'
import type { Target } from './target.ts'

/** What a thread says before it takes jobs. */
export const READY = 'ready'

/** What a thread and its watcher share: the number of the case that is under way, and 1 when it is to be the last. */
export const CASE = 0
export const OVER = 1

/** A stretch of a target's cases. Case `n` of a seed is the same in every run, whatever runs before it. */
export interface Job {
  readonly target: string
  readonly seed: number
  /** The first case, a multiple of the target's `stateCases` unless one case is replayed. */
  readonly from: number
  readonly count: number
}

export interface JobResult {
  readonly accepted: number
  readonly refused: number
  readonly slowest: { readonly nth: number; readonly ms: number }
  /** What is held after the last case, collected. */
  readonly heapBytes: number
}

/** Something escaped that is neither an answer nor a refusal. */
export interface Escape {
  readonly nth: number
  readonly sample: string
  readonly hex: string
  readonly what: string
}

/**
 * Runs cases one after the other. A state lives for `stateCases`; a stretch that starts inside one runs it from its start.
 * @param onCase is told the number of each case before it begins
 * @param isOver is asked before each case; what has been run until then is the result
 */
export async function runCases(
  target: Target,
  { seed, from, count }: Job,
  onCase: (nth: number) => void,
  isOver: () => boolean = () => false,
): Promise<JobResult | Escape> {
  let [accepted, refused, slowest] = [0, 0, { nth: from, ms: 0 }]
  const start = from - (from % target.stateCases)
  let run = target.start(stateRandom(seed, start))
  for (let nth = start; nth < from + count && !isOver(); nth++) {
    if (nth % target.stateCases === 0) run = target.start(stateRandom(seed, nth))
    onCase(nth)
    const random = caseRandom(seed, nth)
    const { sample, bytes } = mutated(target, random)
    const startMs = performance.now()
    try {
      const outcome = run(sample, bytes, random)
      if (typeof outcome === 'boolean' ? outcome : await outcome) accepted++
      else refused++
    } catch (failure) {
      const what = failure instanceof Error ? (failure.stack ?? failure.message) : String(failure)
      return { nth, sample: sample.name, hex: Buffer.from(bytes).toString('hex'), what }
    }
    let ms = performance.now() - startMs
    if (ms > SLOW_MS && target.stateCases === 1) ms = Math.min(ms, await timeOf(target, seed, nth))
    if (ms > slowest.ms) slowest = { nth, ms }
  }
  return { accepted, refused, slowest, heapBytes: heapBytes() }
}

/** From here on a case is taken twice: others may have had the processor. */
const SLOW_MS = 20

async function timeOf(target: Target, seed: number, nth: number): Promise<number> {
  const random = caseRandom(seed, nth)
  const { sample, bytes } = mutated(target, random)
  const run = target.start(stateRandom(seed, nth))
  const startMs = performance.now()
  await run(sample, bytes, random)
  return performance.now() - startMs
}

/** The input of a case, for whoever wants to see it. */
export function inputOf(target: Target, seed: number, nth: number): { sample: string; bytes: Uint8Array } {
  const { sample, bytes } = mutated(target, caseRandom(seed, nth))
  return { sample: sample.name, bytes }
}

/** Different for each case of a seed: the step is odd, so that it comes back to a number only after 2^32 cases. */
function caseRandom(seed: number, nth: number): Random {
  return seededRandom(Math.imul(seed, 0x85eb_ca6b) + Math.imul(nth, 0x9e37_79b1))
}

function stateRandom(seed: number, nth: number): Random {
  return caseRandom(~seed, nth)
}

/** After a collection, so that only what is held counts. */
function heapBytes(): number {
  setFlagsFromString('--expose_gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
