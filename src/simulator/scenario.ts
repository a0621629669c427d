import type { SwimConfig, Timing } from '../memberlist/index.ts'
import type { Core } from './swarm.ts'

/** What happens to a ring, and for how long it is watched. All times are virtual, in milliseconds from the start. */
export interface Scenario {
  readonly members: number
  readonly core: Core
  /** True: everybody knows everybody at the start; false: all join the first within two seconds. */
  readonly formed: boolean
  readonly durationMs: number
  /** Share of packets lost, 0 to 1. */
  readonly loss: number
  /** One way. */
  readonly delayMs: readonly [min: number, max: number]
  readonly partitions: readonly Partition[]
  readonly slow: readonly SlowMembers[]
  readonly churn: Churn
  /** User events sent by anybody, per minute; with Serf's core only. */
  readonly eventsPerMinute: number
  readonly lifeguard: Lifeguard
  /** What differs from memberlist's LAN profile. */
  readonly timing: Partial<Timing>
}

/** So many drawn at random, or these. */
export type Who = number | readonly string[]

export interface Partition {
  readonly atMs: number
  readonly forMs: number
  /** A share of all, 0 to 1, or names. */
  readonly members: Who
  /** What these send is lost, and what the others send arrives. */
  readonly oneWay: boolean
}

export interface SlowMembers {
  readonly members: Who
  readonly atMs: number
  /** How long their messages wait each time, those that come and those that go. */
  readonly forMs: number
  /** How long they are well in between; undefined: slow once. */
  readonly pauseMs?: number | undefined
  /** The last time ends here at the latest. */
  readonly untilMs: number
}

/** Per minute, in the whole ring, at random times. */
export interface Churn {
  readonly join: number
  readonly leave: number
  readonly crash: number
}

/** Lifeguard's three parts; all off is plain SWIM. */
export interface Lifeguard {
  /** LHA-Probe: who doubts itself probes more slowly; nacks tell it. */
  readonly probe: boolean
  /** LHA-Suspicion: a suspicion is long until others confirm it. */
  readonly suspicion: boolean
  /** The buddy system: a suspect is told with the next ping. */
  readonly buddy: boolean
}

export const LIFEGUARD: Lifeguard = { probe: true, suspicion: true, buddy: true }
export const PLAIN_SWIM: Lifeguard = { probe: false, suspicion: false, buddy: false }

/** A healthy ring of 100 that forms on a LAN, watched for two minutes. */
export const USUAL: Scenario = {
  members: 100,
  core: 'memberlist',
  formed: false,
  durationMs: 120_000,
  loss: 0,
  delayMs: [0.2, 2],
  partitions: [],
  slow: [],
  churn: { join: 0, leave: 0, crash: 0 },
  eventsPerMinute: 0,
  lifeguard: LIFEGUARD,
  timing: {},
}

/** The core's own settings for these parts. */
export function timingOf({ timing, lifeguard }: Scenario): Partial<Timing & Pick<SwimConfig, 'buddySystem'>> {
  return {
    ...timing,
    ...(lifeguard.probe ? {} : { awarenessMaxMultiplier: 1 }),
    ...(lifeguard.suspicion ? {} : { suspicionMaxTimeoutMult: 1 }),
    buddySystem: lifeguard.buddy,
  }
}
