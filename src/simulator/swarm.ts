import { shuffle } from '../base/index.ts'
import { Ring } from './ring.ts'

export interface Step {
  readonly step: string
  /** Until all agreed again, in virtual time. */
  readonly tookMs: number
}

/** What one seed made happen, and how long the ring took to agree again after each step. */
export interface Outcome {
  readonly steps: readonly Step[]
  /** Undefined: it always agreed in time. */
  readonly failure?: string
}

/** Longer than a suspicion in a ring of a thousand (72 s), two reconnect rounds and a push/pull. */
const CONVERGE_MS = 5 * 60_000

/** What runs in each member: memberlist alone, or Serf above it. */
export type Core = 'memberlist' | 'serf'

export interface Swarm {
  readonly members: number
  readonly seed: number
  readonly core: Core
}

/**
 * Join, news, loss, crashes, leaves, a partition of half and its healing, restarts: drawn from the seed, in random
 * order; with Serf also user events, on both sides of a cut too, and the return of those who crashed or left.
 */
export function swarm({ members, seed, core }: Swarm, onStep?: (step: Step) => void): Outcome {
  const ring = new Ring({ members, seed, serf: core === 'serf' })
  const steps: Step[] = []
  const acts = [crash, leave, partition, restart, news, partition]
  const plan = shuffle(core === 'serf' ? [...acts, event, comeBack, event] : acts, ring.random)
  for (const act of [joinAll, lossOf(0.05), ...plan, lossOf(0), news]) {
    const step = act(ring)
    const tookMs = ring.runUntil(ring.converged, CONVERGE_MS)
    if (tookMs === undefined) return { steps, failure: `after "${step}": ${ring.discord()}` }
    steps.push({ step, tookMs })
    onStep?.({ step, tookMs })
  }
  return { steps }
}

type Act = (ring: Ring) => string

const joinAll: Act = ring => {
  ring.joinAll()
  return 'all join the first'
}

const lossOf =
  (share: number): Act =>
  ring => {
    ring.network.loss = share
    return `loss of ${share * 100} %`
  }

const crash: Act = ring => {
  const gone = some(ring, 0.1)
  for (const name of gone) ring.stop(name)
  return `${gone.length} crash`
}

const leave: Act = ring => {
  const gone = some(ring, 0.1)
  for (const name of gone) ring.leave(name)
  ring.clock.advance(5000) // Serf too stays a while after its word, so that it is passed on
  for (const name of gone) ring.stop(name)
  return `${gone.length} leave`
}

const partition: Act = ring => {
  const half = some(ring, 0.5)
  const forMs = 1000 + ring.random.float() * 120_000
  ring.network.cut(half)
  ring.clock.advance(forMs / 2)
  const others = ring.running.map(({ name }) => name).filter(name => !half.includes(name))
  for (const [from] of [half, others]) if (from !== undefined) ring.userEvent(from)
  ring.clock.advance(forMs / 2)
  ring.network.heal()
  return `${half.length} cut off for ${Math.round(forMs / 1000)} s, healed`
}

const restart: Act = ring => {
  const again = some(ring, 0.1)
  const seed = ring.running.find(({ name }) => !again.includes(name))
  for (const name of again) {
    const member = ring.start(name)
    if (seed !== undefined) member.join(seed.address)
  }
  return `${again.length} restart`
}

const news: Act = ring => {
  const [name, ...told] = some(ring, 0.1)
  if (name === undefined) return 'no news'
  ring.setTags(name, { news: String(ring.random.below(1000)) }, told.slice(0, 3))
  return 'one has news'
}

const event: Act = ring => {
  const [name] = some(ring, 0)
  if (name !== undefined) ring.userEvent(name)
  return 'one sends a user event'
}

const comeBack: Act = ring => {
  const again = shuffle([...ring.gone], ring.random).slice(0, 10)
  for (const name of again) {
    const [seed] = ring.running // in a small ring all can be gone: then the first to come back
    const member = ring.start(name)
    if (seed !== undefined) member.join(seed.address)
  }
  return `${again.length} come back`
}

/** A share of those running, at least one. */
function some(ring: Ring, share: number): string[] {
  const names = ring.running.map(({ name }) => name)
  return shuffle(names, ring.random).slice(0, Math.max(1, Math.floor(names.length * share)))
}
