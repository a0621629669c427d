import { type Lifeguard, LIFEGUARD, PLAIN_SWIM, type Scenario, USUAL } from '../scenario.ts'

/** What the study compares: plain SWIM, each part of Lifeguard alone, and the whole. */
export const CONFIGURATIONS: readonly { readonly name: string; readonly lifeguard: Lifeguard }[] = [
  { name: 'SWIM', lifeguard: PLAIN_SWIM },
  { name: 'LHA-Probe', lifeguard: { ...PLAIN_SWIM, probe: true } },
  { name: 'LHA-Suspicion', lifeguard: { ...PLAIN_SWIM, suspicion: true } },
  { name: 'Buddy System', lifeguard: { ...PLAIN_SWIM, buddy: true } },
  { name: 'Lifeguard', lifeguard: LIFEGUARD },
]

/** The size of the ring in the paper. */
const MEMBERS = 128
/** The paper's α; its K, how many confirmations are wanted, follows from it. (Today's memberlist has 4.) */
const SUSPICION_MULT = 5
/** The ring is left alone before anybody becomes slow. */
const CALM_MS = 15_000
/** How long the slow are slow again and again. */
const TROUBLE_MS = 120_000
/** After a single long slowness: the longest suspicion of a ring of 128, and time to tell. */
const DETECTION_MS = 90_000

/** One point of the grid. */
export interface Trouble {
  readonly lifeguard: Lifeguard
  /** How many are slow, all at the same times. */
  readonly slow: number
  /** How long each time. */
  readonly forMs: number
}

/** The interval experiment: slow for `forMs`, well for `pauseMs`, slow again, for two minutes. False positives are counted. */
export function intervalScenario({
  lifeguard,
  slow,
  forMs,
  pauseMs,
}: Trouble & { readonly pauseMs: number }): Scenario {
  const untilMs = CALM_MS + TROUBLE_MS
  const again = { members: slow, atMs: CALM_MS, forMs, pauseMs, untilMs }
  return { ...ringOf(lifeguard), durationMs: untilMs, slow: [again] }
}

/** The threshold experiment: slow once, for so long that the others should notice. The time until they do is measured. */
export function thresholdScenario({ lifeguard, slow, forMs }: Trouble): Scenario {
  const once = { members: slow, atMs: CALM_MS, forMs, untilMs: CALM_MS + forMs }
  return { ...ringOf(lifeguard), durationMs: CALM_MS + Math.max(forMs, DETECTION_MS), slow: [once] }
}

function ringOf(lifeguard: Lifeguard): Scenario {
  return { ...USUAL, members: MEMBERS, formed: true, lifeguard, timing: { suspicionMult: SUSPICION_MULT } }
}
