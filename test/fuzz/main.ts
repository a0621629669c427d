import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { inputOf, runCases } from './cases.ts'
import { CrewMember } from './crew.ts'
import { fuzz, type Report } from './fuzz.ts'
import type { Target } from './target.ts'
import { targets } from './targets.ts'

// npm run fuzz                                                 ten million cases over all decoders
// npm run fuzz -- --target rpc-server --cases 1000000 --seed 7      the seed replays the very same inputs
// npm run fuzz -- --target rpc-server --seed 7 --case 4711          one case, and what it is

const CASES = 10_000_000
const USAGE = `usage: npm run fuzz -- [--target NAME] [--cases N] [--seed N] [--seconds N] [--case N] [--threads N]
targets: ${targets.map(({ name }) => name).join(', ')}
         the beginning of a name is enough, and of several; without --target, all one after the other
example: npm run fuzz -- --target serf-json --seconds 60`

const values = valuesOf(process.argv.slice(2))
const wanted = targets.filter(({ name }) => values.target === undefined || name.startsWith(values.target))
const [cases, seed, threads] = [values.cases, values.seed, values.threads].map(Number) as [number, number, number]
const seconds = Number(values.seconds)
const numbers = [cases, seed, threads, Number(values.case ?? 0)]
if (wanted.length === 0 || numbers.some(n => !Number.isSafeInteger(n) || n < 0) || !(seconds > 0) || threads < 1) {
  console.error(USAGE)
  process.exit(2)
}
if (values.help) console.log(USAGE)
else
  process.exitCode = values.case === undefined ? await runAll() : await replay(wanted[0] as Target, Number(values.case))

/** Ends the process with 2 when it cannot read them. */
function valuesOf(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        target: { type: 'string' },
        cases: { type: 'string', default: String(CASES) },
        seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
        seconds: { type: 'string', default: 'Infinity' },
        case: { type: 'string' },
        threads: { type: 'string', default: String(availableParallelism()) },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (failure) {
    console.error(`${failure instanceof Error ? failure.message : String(failure)}\n${USAGE}`)
    return process.exit(2)
  }
}

/** Each target gets its share, whole states of it. */
async function runAll(): Promise<number> {
  const ending = new AbortController()
  const late = setTimeout(() => ending.abort(), Math.min(seconds * 1000, 2 ** 31 - 1))
  let isInterrupted = false
  process.once('SIGINT', () => {
    isInterrupted = true
    ending.abort()
    console.log('ending after the cases that are under way; once more to end at once')
    process.once('SIGINT', () => process.exit(130))
  })
  const crew = Array.from({ length: threads }, () => new CrewMember())
  const shares = wanted.reduce((sum, { share }) => sum + share, 0)
  const reports: Report[] = []
  console.log(`fuzzing ${wanted.length} decoders with ${cases} cases of seed ${seed} on ${threads} threads`)
  let done = 0
  const startMs = performance.now()
  const onProgress = (more: number) => {
    done += more
    if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${cases} `)
  }
  let failed = 0
  for (const target of wanted) {
    if (ending.signal.aborted) break
    const own = Math.ceil((cases * target.share) / shares)
    try {
      reports.push(await fuzz(target, crew, { cases: own, seed, onProgress, signal: ending.signal }))
      say(reports.at(-1) as Report)
    } catch (failure) {
      failed++
      console.error(failure instanceof Error ? failure.message : failure) // the other decoders are tried all the same
    }
  }
  clearTimeout(late)
  await Promise.all(crew.map(member => member.stop()))
  sumUp(reports, failed, (performance.now() - startMs) / 1000)
  if (failed > 0) return 1
  return isInterrupted ? 130 : 0
}

function say({ target, accepted, refused, slowest, heapGrowthBytes, ms }: Report): void {
  const perSecond = Math.round(((accepted + refused) / ms) * 1000)
  const heap = (heapGrowthBytes / 2 ** 20).toFixed(1)
  const counts = `${String(accepted).padStart(8)} read ${String(refused).padStart(8)} refused`
  const worst = `slowest ${slowest.ms.toFixed(0)} ms (case ${slowest.nth})`
  if (process.stderr.isTTY) process.stderr.write('\r')
  console.log(`${target.padEnd(18)} ${counts} ${String(perSecond).padStart(7)}/s  ${worst}  heap ${heap} MiB`)
}

function sumUp(reports: readonly Report[], failed: number, tookSeconds: number): void {
  const accepted = reports.reduce((sum, one) => sum + one.accepted, 0)
  const refused = reports.reduce((sum, one) => sum + one.refused, 0)
  const verdict = failed === 0 ? 'none escaped' : `${failed} decoders failed`
  const counts = `${accepted + refused} cases in ${tookSeconds.toFixed(0)} s: ${accepted} read, ${refused} refused`
  console.log(`${counts}, ${verdict}; seed ${seed}`)
}

/** Shows the input before it runs it: it may be the last thing that happens here. */
async function replay(target: Target, nth: number): Promise<number> {
  const { sample, bytes } = inputOf(target, seed, nth)
  console.log(`case ${nth} of ${target.name}, seed ${seed}: ${bytes.length} bytes, from ${sample}`)
  if (target.family === 'text') console.log(JSON.stringify(Buffer.from(bytes).toString()))
  console.log(Buffer.from(bytes).toString('hex'))
  const outcome = await runCases(target, { target: target.name, seed, from: nth, count: 1 }, () => {})
  if ('what' in outcome) console.error(`escaped: ${outcome.what}`)
  else console.log(outcome.slowest.ms.toFixed(1), 'ms;', outcome.accepted > 0 ? 'read' : 'refused')
  return 'what' in outcome ? 1 : 0
}
