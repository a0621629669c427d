/**
 * testing: what tests of a part of Muster stand on: virtual time and simulated rings, and the suite that every engine passes.
 */
export { classicTemplate, type ClassicTemplate } from './classic-template.ts'
export { endAll, endings, freshPort, get, rig, type Rig, until, web } from './drivers/haproxy-rig.ts'
export {
  type NetworkConfig,
  Ring,
  type RingConfig,
  SimulatedMember,
  SimulatedNetwork,
  VirtualClock,
} from '../simulator/index.ts'
export { type ConformanceCase, engineConformance, type EnginePair } from './engine-conformance.ts'
