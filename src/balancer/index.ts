/**
 * balancer: keeps a stock HAProxy equal to what is wanted, through a template the user owns. Wanted, running, plan, apply; an
 * event only says "look again". Knows nothing of Serf: servers come in as values, a supervisor as an interface.
 */
export { Balancer, type BalancerStatus, type ServerStatus, type WantedOptions } from './balancer.ts'
export { type BalancerConfig, type FrontendConfig, type PoolConfig, socketPaths } from './config.ts'
export { haproxyEvidence } from './drivers/evidence.ts'
export { leftOn } from './drivers/session-ages.ts'
export { spawnSupervise } from './drivers/spawn-supervise.ts'
export {
  BalancerConfigError,
  BindError,
  ConfigRefusedError,
  HaproxyMissingError,
  HaproxyStartError,
  HaproxyTooOldError,
  PlanStaleError,
  ReloadFailedError,
  RuntimeSocketError,
  TemplateError,
  UnknownReplyError,
} from './errors.ts'
export type { DriftPolicy, DriftReport } from './apply/drift.ts'
export type { CheckEvidence, HaproxyEvidence, TrafficEvidence } from './state/evidence.ts'
export type { Order, Outlook } from './apply/outlook.ts'
export type { GuardNews, GuardReport } from './pool/guards/report.ts'
export { preview } from './preview.ts'
export type { Cause, CheckNews, Receipt, ServerChange } from './apply/receipt.ts'
export type { MissingRetry } from './file/retries.ts'
export type { MemberStates } from './pool/roster.ts'
export { type Liveness, refusalOf, type Server } from './server.ts'
export { type BalancerDeps, haproxySpec, startBalancer } from './start.ts'
export { type Leftover, NOTHING as NOTHING_LEFT } from './state/session-ages.ts'
export { assertStartable } from './startable.ts'
export type { HaproxyProcessStatus, HaproxySpec, Supervise } from './supervise.ts'
