import { PROFILES } from '../../memberlist/index.ts'
import type { Cost, Spread, SpreadKind } from '../report.ts'
import { Ring } from '../ring.ts'
import type { Core } from '../swarm.ts'
import { Witness } from '../witness.ts'

/** One ring of the study. With Serf's core a user event is sent; with memberlist's one joins, one leaves, one crashes. */
export interface ScaleRun {
  readonly members: number
  readonly core: Core
  readonly seed: number
}

export interface ScaleResult extends ScaleRun {
  /** Per member and second while nothing happens. */
  readonly idle: Cost
  readonly spreads: readonly Spread[]
}

/** The announcements of the start are through. */
const CALM_MS = 10_000
const IDLE_MS = 30_000
/** The longest suspicion among 10,000 is 96 s. */
const SPREAD_MS_MAX = 150_000
const STEP_MS = 200

/** A formed ring: what it costs while nothing happens, and how long each kind of news takes to reach everybody. */
export function runScale({ members, core, seed }: ScaleRun, onProgress?: (share: number) => void): ScaleResult {
  const ring = new Ring({ members, seed, serf: core === 'serf', formed: true })
  const witness = new Witness(ring, true)
  ring.clock.advance(CALM_MS)
  witness.sample()
  ring.clock.advance(IDLE_MS)
  const idle = witness.sample()
  const acts = core === 'serf' ? [event] : [join, leave, crash]
  for (const [i, act] of acts.entries()) {
    onProgress?.((i + 1) / (acts.length + 1))
    const { kind, subject } = act(ring, witness)
    ring.runUntil(() => !witness.news.isOpen(kind, subject), SPREAD_MS_MAX, STEP_MS)
    ring.clock.advance(CALM_MS)
  }
  const { packets, packetBytes, streams, streamBytes } = idle
  return { members, core, seed, idle: { packets, packetBytes, streams, streamBytes }, spreads: witness.news.spreads() }
}

type Act = (ring: Ring, witness: Witness) => { kind: SpreadKind; subject: string }

const namesOf = (ring: Ring) => ring.running.map(({ name }) => name)

const join: Act = (ring, witness) => {
  const subject = `m${ring.running.length + 1}`
  witness.starts(subject)
  witness.news.open('join', subject, ring.clock.nowMs(), namesOf(ring))
  ring.start(subject).join(ring.member('m1').address)
  return { kind: 'join', subject }
}

const leave: Act = (ring, witness) => {
  const subject = 'm2'
  witness.goes(subject)
  const others = namesOf(ring).filter(name => name !== subject)
  witness.news.open('leave', subject, ring.clock.nowMs(), others)
  ring.leave(subject)
  return { kind: 'leave', subject }
}

const crash: Act = (ring, witness) => {
  const subject = 'm3'
  ring.stop('m2') // it has left, and ends now
  ring.stop(subject)
  witness.goes(subject)
  witness.news.open('crash', subject, ring.clock.nowMs(), namesOf(ring))
  return { kind: 'crash', subject }
}

const event: Act = (ring, witness) => {
  const from = 'm4'
  const atMs = ring.clock.nowMs()
  const others = namesOf(ring).filter(name => name !== from)
  const subject = ring.userEvent(from)
  witness.news.open('event', subject, atMs, others)
  return { kind: 'event', subject }
}

/**
 * How many rounds of gossip bring news to all of `members`, each telling `fanout` random ones per round: while few know it, those
 * who do grow by fanout + 1 a round, and the last few are missed by each round with probability e^-fanout (Pittel 1987, for
 * one; Karp et al. 2000).
 */
export function gossipRounds(members: number, fanout: number): number {
  return Math.log(members) / Math.log(fanout + 1) + Math.log(members) / fanout
}

/** What the theory says until everybody knows, in milliseconds. */
export function expectedMs(kind: SpreadKind, members: number): number {
  const { gossipNodes, gossipIntervalMs, probeIntervalMs, suspicionMult } = PROFILES.lan
  const spreadMs = gossipRounds(members, gossipNodes) * gossipIntervalMs
  if (kind !== 'crash') return spreadMs
  // SWIM §3: somebody's probe finds it after e/(e-1) periods on average, and has failed one period later; then the suspicion,
  // at its shortest, as in a large ring others confirm it at once.
  const foundMs = (Math.E / (Math.E - 1)) * probeIntervalMs + probeIntervalMs
  const suspicionMs = suspicionMult * Math.max(1, Math.log10(members)) * probeIntervalMs
  return foundMs + suspicionMs + spreadMs
}
