import type { Escape, Job, JobResult } from './cases.ts'
import { CrewMember, type Outcome } from './crew.ts'
import type { Target } from './target.ts'

/** What a run of one target met. `accepted` and `refused` together are its cases: nothing else may happen to an input. */
export interface Report {
  readonly target: string
  readonly accepted: number
  readonly refused: number
  readonly slowest: { readonly nth: number; readonly ms: number }
  /** Between a thread's first stretch and its last, both after a collection; of the thread that grew most. */
  readonly heapGrowthBytes: number
  readonly ms: number
}

export interface FuzzOptions {
  readonly cases: number
  readonly seed: number
  readonly onProgress?: (done: number) => void
  /** Ends the run after the cases that are under way. */
  readonly signal?: AbortSignal
}

/** An input did what none may do; the message says how to replay it. */
export class FuzzFailure extends Error {
  constructor(target: string, seed: number, { nth, ...found }: Escape | { nth: number; what: string }) {
    const input = 'hex' in found ? `\nfrom ${found.sample}: ${found.hex}` : ''
    const replay = `replay: npm run fuzz -- --target ${target} --seed ${seed} --case ${nth}`
    super(`case ${nth} of ${target}: ${found.what}${input}\n${replay}`)
  }
}

/** Compiled code and the allocator's slack; a leak of 20 bytes an input shows in a million. */
const HEAP_GROWTH_BYTES_MAX = 16 << 20
/** Stretches a target is cut into for each thread; after each its heap is looked at. */
const STRETCHES = 8

/**
 * Runs a target's cases on all members of the crew.
 * @throws FuzzFailure when anything but an answer or a refusal comes out, when a case hangs, and when the heap does not stay flat
 */
export async function fuzz(target: Target, crew: readonly CrewMember[], o: FuzzOptions): Promise<Report> {
  const stretches = stretchesOf(target, crew.length, o)
  const startMs = performance.now()
  const results = await Promise.all(crew.map(member => runSome(member, stretches, target, o)))
  const all = results.flat()
  const slowest = all.reduce((worst, { slowest: one }) => (one.ms > worst.ms ? one : worst), { nth: 0, ms: 0 })
  const growth = Math.max(...results.map(some => (some.at(-1)?.heapBytes ?? 0) - (some[0]?.heapBytes ?? 0)))
  if (growth > HEAP_GROWTH_BYTES_MAX) {
    throw new Error(`${target.name}: the heap grew by ${growth} bytes in ${o.cases} cases of seed ${o.seed}`)
  }
  return {
    target: target.name,
    accepted: all.reduce((sum, { accepted }) => sum + accepted, 0),
    refused: all.reduce((sum, { refused }) => sum + refused, 0),
    slowest,
    heapGrowthBytes: growth,
    ms: performance.now() - startMs,
  }
}

/** All cases of a target, in stretches that begin with a state. */
function stretchesOf(target: Target, threads: number, { cases, seed }: FuzzOptions): Job[] {
  const states = Math.ceil(cases / target.stateCases / threads / STRETCHES)
  const count = Math.max(1, states) * target.stateCases
  const starts = Array.from({ length: Math.ceil(cases / count) }, (_, nth) => nth * count)
  return starts.map(from => ({ target: target.name, seed, from, count: Math.min(count, cases - from) }))
}

/** One member takes stretches until none is left, somebody failed, or the run is ended. */
async function runSome(member: CrewMember, stretches: Job[], target: Target, o: FuzzOptions): Promise<JobResult[]> {
  const results: JobResult[] = []
  for (let job = stretches.shift(); job !== undefined && o.signal?.aborted !== true; job = stretches.shift()) {
    const outcome = await member.run(job, o.signal).catch((failure: unknown) => {
      stretches.length = 0
      throw failure
    })
    if (isFailure(outcome)) {
      stretches.length = 0
      throw new FuzzFailure(target.name, o.seed, outcome)
    }
    results.push(outcome)
    o.onProgress?.(outcome.accepted + outcome.refused)
  }
  return results
}

function isFailure(outcome: Outcome): outcome is Exclude<Outcome, JobResult> {
  return 'what' in outcome
}
