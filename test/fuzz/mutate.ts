import type { Random } from '../../src/base/index.ts'
import { BYTE_MUTATIONS, chosen, type Mutation } from './mutate-bytes.ts'
import { spliceValues } from './mutate-msgpack.ts'
import { mutateText } from './mutate-text.ts'
import type { Sample, Target } from './target.ts'

const BYTES_MAX = 4096
/** Half of all changes know where values are. */
const MUTATIONS: readonly Mutation[] = [...BYTE_MUTATIONS, ...BYTE_MUTATIONS.map(() => spliceValues)]

/** A sample of the target's corpus, and its bytes after one to four mutations. */
export function mutated(target: Target, random: Random): { sample: Sample; bytes: Uint8Array } {
  const { corpus } = target
  const sample = chosen(corpus, random)
  let bytes: Uint8Array = Uint8Array.from(sample.bytes)
  for (let times = 1 + random.below(1 + random.below(4)); times > 0; times--) {
    if (target.family === 'text') bytes = mutateText(bytes, target.words ?? [], { random, corpus })
    else bytes = chosen(MUTATIONS, random)(bytes, { random, corpus })
  }
  return { sample, bytes: Uint8Array.from(bytes.subarray(0, target.bytesMax ?? BYTES_MAX)) }
}
