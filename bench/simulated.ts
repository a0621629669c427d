/**
 * One simulated ring in a process of its own: `tsx bench/simulated.ts PLAN`, a `SimulationPlan` as JSON; prints
 * `SimulationCost`s, one a line, each for the same number of virtual seconds. Needs Node's `--expose-gc`.
 */
import { Ring } from '../src/simulator/index.ts'

export interface SimulationPlan {
  readonly members: number
  /** Virtual seconds for each figure. */
  readonly seconds: number
  /** How many figures. */
  readonly figures: number
  /** Virtual seconds from one crash, leave or return to the next; 0: nothing happens. */
  readonly churnEverySeconds: number
  readonly serf: boolean
}

export interface SimulationCost {
  /** Virtual seconds for each second of this process's processor time. */
  readonly speed: number
  /** Of the whole process. */
  readonly residentMib: number
  /** Of the heap after a collection, with what is beside it, such as arrays of numbers. */
  readonly liveMib: number
}

const SEED = 20_261_121
const MIB = 2 ** 20

/** In turn: the next one crashes, comes back, the one after it leaves, comes back. The first one stays. */
function churn(ring: Ring, turn: number, members: number): void {
  const name = `m${2 + ((turn >> 1) % (members - 1))}`
  if (turn % 2 === 1) return ring.start(name).join(ring.member('m1').address)
  if (turn % 4 === 0) return ring.stop(name)
  ring.leave(name)
  ring.clock.after(5_000, () => ring.stop(name))
}

function run({ members, seconds, figures, churnEverySeconds, serf }: SimulationPlan): void {
  const ring = new Ring({ members, seed: SEED, formed: true, serf })
  let turn = 0
  const next = (): void => {
    churn(ring, turn++, members)
    ring.clock.after(churnEverySeconds * 1_000, next)
  }
  if (churnEverySeconds > 0) ring.clock.after(churnEverySeconds * 1_000, next)
  for (let figure = 0; figure < figures; figure++) {
    const before = process.cpuUsage()
    ring.clock.advance(seconds * 1_000)
    const { user, system } = process.cpuUsage(before)
    globalThis.gc?.()
    const { heapUsed, arrayBuffers, rss } = process.memoryUsage()
    const cost: SimulationCost = {
      speed: seconds / ((user + system) / 1e6),
      residentMib: rss / MIB,
      liveMib: (heapUsed + arrayBuffers) / MIB,
    }
    console.log(JSON.stringify(cost))
  }
}

run(JSON.parse(process.argv[2] ?? '') as SimulationPlan)
