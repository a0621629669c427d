import { parseArgs } from 'node:util'
import { fuzzPackets } from './packets.ts'

// npm run fuzz -- --count 1000000 --seed 7        the seed replays the very same inputs

const { values } = parseArgs({
  options: { count: { type: 'string', default: '1000000' }, seed: { type: 'string' } },
})
const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed)
const count = Number(values.count)
if (!Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(seed)) {
  console.error('usage: npm run fuzz -- [--count N] [--seed N]')
  process.exit(2)
}
console.log(`fuzzing the readers of packets and streams: ${count} inputs, seed ${seed}`)
const startMs = performance.now()
try {
  const report = fuzzPackets({ count, seed, onProgress: done => console.log(`${done} of ${count}, seed ${seed}`) })
  const seconds = (performance.now() - startMs) / 1000
  console.log(
    `${report.count} inputs in ${seconds.toFixed(1)} s: ${report.accepted} read, ${report.refused} refused, none escaped; ` +
      `heap grew by ${(report.heapGrowthBytes / 2 ** 20).toFixed(1)} MiB, the slowest input took ${report.worstMs.toFixed(1)} ms`,
  )
} catch (failure) {
  console.error(failure instanceof Error ? failure.message : failure)
  console.error(`replay: npm run fuzz -- --count ${count} --seed ${seed}`)
  process.exit(1)
}
