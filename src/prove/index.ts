/**
 * prove: puts a load and a ledger around any operation and says what became of every single request. The load is open loop
 * (a stall shows as latency, not as fewer requests), each request has an id, and the web applications' own ledgers tell
 * what ran twice. The ledger is pure; `drivers/` does the HTTP.
 */
export { Histogram } from './histogram.ts'
export {
  type Failure,
  Ledger,
  type LedgerStats,
  type Method,
  type Outcome,
  type Reconciliation,
  type WindowStats,
} from './ledger.ts'
export { type Load, type LoadConfig, startLoad } from './drivers/load.ts'
