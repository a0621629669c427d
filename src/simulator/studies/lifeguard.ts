import { type Lifeguard, LIFEGUARD, PLAIN_SWIM, type Scenario, USUAL } from '../scenario.ts'

/** One of the protocols that are compared. */
export interface Configuration {
  readonly name: string
  readonly lifeguard: Lifeguard
  /** The paper's α, memberlist's suspicion multiplier; its K, how many confirmations are wanted, is two less. */
  readonly suspicionMult: number
}

/** The paper's α for all that it compares part by part. */
const ALPHA = 5

/** What the study compares: plain SWIM, each part of Lifeguard alone, the whole, and the whole as memberlist has it today. */
export const CONFIGURATIONS: readonly Configuration[] = [
  { name: 'SWIM', lifeguard: PLAIN_SWIM, suspicionMult: ALPHA },
  { name: 'LHA-Probe', lifeguard: { ...PLAIN_SWIM, probe: true }, suspicionMult: ALPHA },
  { name: 'LHA-Suspicion', lifeguard: { ...PLAIN_SWIM, suspicion: true }, suspicionMult: ALPHA },
  { name: 'Buddy System', lifeguard: { ...PLAIN_SWIM, buddy: true }, suspicionMult: ALPHA },
  { name: 'Lifeguard', lifeguard: LIFEGUARD, suspicionMult: ALPHA },
  { name: 'Lifeguard, α = 4', lifeguard: LIFEGUARD, suspicionMult: 4 },
]

/** The size of the ring in the paper. */
const MEMBERS = 128
/** The ring is left alone before anybody becomes slow. */
const CALM_MS = 15_000
/** How long the slow are slow again and again. */
const TROUBLE_MS = 120_000
/** After a single long slowness: the longest suspicion of a ring of 128, and time to tell. */
const DETECTION_MS = 90_000

/** One point of the grid. */
export interface Trouble {
  readonly configuration: Configuration
  /** How many are slow, all at the same times. */
  readonly slow: number
  /** How long each time. */
  readonly forMs: number
}

/** The interval experiment: slow for `forMs`, well for `pauseMs`, slow again, for two minutes. False positives are counted. */
export function intervalScenario({
  configuration,
  slow,
  forMs,
  pauseMs,
}: Trouble & { readonly pauseMs: number }): Scenario {
  const untilMs = CALM_MS + TROUBLE_MS
  const again = { members: slow, atMs: CALM_MS, forMs, pauseMs, untilMs }
  return { ...ringOf(configuration), durationMs: untilMs, slow: [again] }
}

/** The threshold experiment: slow once, for so long that the others should notice. The time until they do is measured. */
export function thresholdScenario({ configuration, slow, forMs }: Trouble): Scenario {
  const once = { members: slow, atMs: CALM_MS, forMs, untilMs: CALM_MS + forMs }
  return { ...ringOf(configuration), durationMs: CALM_MS + Math.max(forMs, DETECTION_MS), slow: [once] }
}

function ringOf({ lifeguard, suspicionMult }: Configuration): Scenario {
  return { ...USUAL, members: MEMBERS, formed: true, lifeguard, timing: { suspicionMult } }
}
