/** How fast simulated rings run, how large they may be, and whether they grow in a week. There is no peer to set beside them. */
import { resolve } from 'node:path'
import { Part } from '../test/parts.ts'
import type { Bench } from './bench.ts'
import type { SimulationCost, SimulationPlan } from './simulated.ts'

const SIMULATED = resolve(import.meta.dirname, 'simulated.ts')
/** What a ring may have, in MiB: so that the figures hold on a machine with 8 GB. */
const HEAP_MIB = 7_500
const DAY_S = 86_400

const IDLE = { figures: 1, churnEverySeconds: 0, serf: false }
const RINGS: readonly (SimulationPlan & { readonly title: string })[] = [
  { title: 'idle ring of 100', members: 100, seconds: 600, ...IDLE },
  { title: 'idle ring of 1,000', members: 1_000, seconds: 120, ...IDLE },
  { title: 'idle ring of 10,000', members: 10_000, seconds: 30, ...IDLE },
  { title: '1,000, one change every 10 s', members: 1_000, seconds: 120, ...IDLE, churnEverySeconds: 10 },
  { title: '100 with Serf, one every 10 s', members: 100, seconds: 300, ...IDLE, churnEverySeconds: 10, serf: true },
]
/** With Serf, since Serf's is the part that remembers. */
const WEEK: SimulationPlan = { members: 10, seconds: DAY_S, figures: 7, churnEverySeconds: 600, serf: true }

export async function simulatorTable(bench: Bench): Promise<void> {
  console.log(`\n${'simulated rings'.padEnd(42)}${['virtual s/s', 'members·s/s', 'MiB'].map(cell).join('')}`)
  for (const { title, ...plan } of RINGS) {
    bench.note(`${title}, ${plan.seconds} virtual seconds`)
    const [cost] = await costsOf(plan)
    if (cost === undefined) throw new Error(`the ${title} did not end`)
    const figures = [cost.speed, cost.speed * plan.members, cost.residentMib]
    console.log(`${title.padEnd(42)}${figures.map(figure => cell(figure.toFixed(figure < 10 ? 1 : 0))).join('')}`)
  }
  bench.note('a week of churn')
  const days = await costsOf(WEEK)
  bench.each('a week', days)
  const title = `heap in a week of churn, ring of ${WEEK.members}, MiB`
  console.log(`\n${title.padEnd(42)}${days.map((_, day) => cell(`day ${day + 1}`)).join('')}`)
  console.log(`${'after a collection'.padEnd(42)}${days.map(({ liveMib }) => cell(liveMib.toFixed(1))).join('')}`)
}

const cell = (text: string): string => text.padStart(13)

async function costsOf(plan: SimulationPlan): Promise<SimulationCost[]> {
  const flags = [...process.execArgv, '--expose-gc', `--max-old-space-size=${HEAP_MIB}`, '--max-semi-space-size=64']
  const part = new Part([process.execPath, ...flags, SIMULATED, JSON.stringify(plan)])
  const code = await part.exited
  if (code !== 0) throw new Error(`the simulation of ${plan.members} ended with ${code}: ${part.output.slice(-500)}`)
  const lines = part.output.split('\n').filter(line => line.startsWith('{'))
  return lines.map(line => JSON.parse(line) as SimulationCost)
}
