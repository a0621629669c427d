/**
 * testing: time, network and rings that a seed replays. The simulator drives the very cores that run in production; a
 * failing run is printed with its seed.
 */
export { type NetworkConfig, SimulatedNetwork } from './network.ts'
export { Ring, type RingConfig, SimulatedMember } from './ring.ts'
export { VirtualClock } from './virtual-clock.ts'
