/**
 * testing: time, network and rings that a seed replays. The simulator drives the very cores that run in production; a
 * failing run is printed with its seed.
 */
export { type ConformanceCase, engineConformance, type EnginePair } from './engine-conformance.ts'
export { type NetworkConfig, SimulatedNetwork } from './network.ts'
export { Ring, type RingConfig } from './ring.ts'
export { SimulatedMember } from './simulated-member.ts'
export { SimulatedSerf } from './simulated-serf.ts'
export { VirtualClock } from './virtual-clock.ts'
