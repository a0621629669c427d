/**
 * prove: puts a load and a ledger around any operation and says what became of every single request. The load is open loop
 * (a stall shows as latency, not as fewer requests), each request has an id, and the web applications' own ledgers tell
 * what ran twice. The ledger is pure; `drivers/` does HTTP and WebSockets.
 */
export { type CollectedIds, collectExecuted, LedgerUnreadableError } from './drivers/collect.ts'
export { type Load, type LoadConfig, startLoad } from './drivers/load.ts'
export { Histogram } from './histogram.ts'
export { type Kind, KINDS, mixedRates, type Rates } from './kinds.ts'
export {
  type Failure,
  type KindStats,
  Ledger,
  type LedgerCounts,
  type LedgerStats,
  type Outcome,
  type Reconciliation,
  SLOW_MS,
  type SumStats,
  type WindowStats,
} from './ledger.ts'
export type { OwnLag } from './own-lag.ts'
export { objectionsTo, selfCheck } from './verdict.ts'
export type { Latencies } from './windows.ts'
