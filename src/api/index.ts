/**
 * api: what a running agent answers over HTTP on its unix socket, and the client that asks. It knows nothing of what it
 * reports: the agent hands it an `ApiBackend`.
 */
export { type ApiAnswers, apiRequest } from './drivers/client.ts'
export { type Api, type ApiConfig, startApi } from './drivers/server.ts'
export {
  AgentUnreachableError,
  ApiAnswerError,
  ApiListenError,
  NotThereError,
  RefusedError,
  SocketTakenError,
} from './errors.ts'
export {
  HISTORY_KINDS,
  type HistoryAsk,
  type HistoryKind,
  type HistoryPage,
  type HistoryPools,
  type HistoryRecord,
  type HistoryServer,
} from './history.ts'
export type {
  ApplyQuery,
  ApplyReport,
  ConfiguringBackend,
  GenerationReport,
  PlanReport,
  ReceiptReport,
  SettingReport,
} from './plan.ts'
export { reasonFault } from './query.ts'
export type {
  AgentStatus,
  ApiBackend,
  BalancerReport,
  DrainAsk,
  DrainList,
  DrainReport,
  EventPage,
  EventReport,
  MemberReport,
  PoolReport,
  ServerReport,
  ServiceReport,
} from './status.ts'
export type { WhyEvidence, WhyFact, WhyReport, WhySeverity, WhyVerdict } from './why.ts'
