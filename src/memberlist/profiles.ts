/** memberlist's tunables. All durations in milliseconds. */
export interface Timing {
  readonly tcpTimeoutMs: number
  readonly indirectChecks: number
  readonly retransmitMult: number
  readonly suspicionMult: number
  readonly suspicionMaxTimeoutMult: number
  readonly pushPullIntervalMs: number
  readonly probeIntervalMs: number
  readonly probeTimeoutMs: number
  readonly disableTcpPings: boolean
  readonly awarenessMaxMultiplier: number
  readonly gossipIntervalMs: number
  readonly gossipNodes: number
  readonly gossipToTheDeadMs: number
}

export type Profile = 'lan' | 'wan' | 'local'

const lan: Timing = {
  tcpTimeoutMs: 10_000,
  indirectChecks: 3,
  retransmitMult: 4,
  suspicionMult: 4,
  suspicionMaxTimeoutMult: 6,
  pushPullIntervalMs: 30_000,
  probeIntervalMs: 1000,
  probeTimeoutMs: 500,
  disableTcpPings: false,
  awarenessMaxMultiplier: 8,
  gossipIntervalMs: 200,
  gossipNodes: 3,
  gossipToTheDeadMs: 30_000,
}

/** The three sets that `serf agent -profile` knows, with memberlist's own numbers: all members of a ring should use one. */
export const PROFILES: Readonly<Record<Profile, Timing>> = {
  lan,
  wan: {
    ...lan,
    tcpTimeoutMs: 30_000,
    suspicionMult: 6,
    pushPullIntervalMs: 60_000,
    probeIntervalMs: 5000,
    probeTimeoutMs: 3000,
    gossipIntervalMs: 500,
    gossipNodes: 4,
    gossipToTheDeadMs: 60_000,
  },
  local: {
    ...lan,
    tcpTimeoutMs: 1000,
    indirectChecks: 1,
    retransmitMult: 2,
    suspicionMult: 3,
    pushPullIntervalMs: 15_000,
    probeTimeoutMs: 200,
    gossipIntervalMs: 100,
    gossipToTheDeadMs: 15_000,
  },
}
