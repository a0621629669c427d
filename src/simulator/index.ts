/**
 * simulator: time, network and rings that a seed replays. The very cores that run in production, thousands of them in one
 * process, in virtual time; nothing here touches a clock, a socket or chance of its own.
 */
export { type NetworkConfig, SimulatedNetwork } from './network.ts'
export type { Cost, Report, Sample, Spread, SpreadKind } from './report.ts'
export { Ring, type RingConfig } from './ring.ts'
export { runScenario } from './run-scenario.ts'
export {
  type Churn,
  type Lifeguard,
  LIFEGUARD,
  type Partition,
  PLAIN_SWIM,
  type Scenario,
  type SlowMembers,
  USUAL,
  type Who,
} from './scenario.ts'
export { SimulatedMember } from './simulated-member.ts'
export { SimulatedSerf } from './simulated-serf.ts'
export {
  type Configuration,
  CONFIGURATIONS,
  intervalScenario,
  thresholdScenario,
  type Trouble,
} from './studies/lifeguard.ts'
export { expectedMs, gossipRounds, runScale, type ScaleResult, type ScaleRun } from './studies/scale.ts'
export { mean, percentile, sum } from './statistics.ts'
export { type Core, type Outcome, type Step, type Swarm, swarm } from './swarm.ts'
export type { Traffic } from './traffic.ts'
export { VirtualClock } from './virtual-clock.ts'
