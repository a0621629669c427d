/**
 * serf: membership as Serf's users know it, on the wire of real Serf agents; and Serf's RPC, both sides, so that the `serf`
 * command works against this agent and this agent against a real one.
 */
export {
  connectRpc,
  type MembersFilter,
  RpcClient,
  type RpcClientOptions,
  type RpcEventRecord,
} from './drivers/rpc-client.ts'
export {
  RpcListenError,
  type RpcServer,
  type RpcServerConfig,
  type RpcServerDeps,
  startRpcServer,
} from './drivers/rpc-server.ts'
export {
  describeFilter,
  type EventFilter,
  EventFilterError,
  type HandledEvent,
  matchesFilter,
  parseEventFilters,
} from './event-filter.ts'
export type { ConflictLostEvent, MemberEvent, MemberEventKind, QueryEvent, SerfEvent, UserEvent } from './events.ts'
export type { MemberStatus, SerfMember } from './member.ts'
export type { RpcBackend, RpcJoinResult, RpcQueryAnswer, RpcQueryParams } from './rpc-backend.ts'
export {
  RpcAuthError,
  RpcClosedError,
  RpcProtocolError,
  RpcRefusedError,
  RpcTimedOutError,
  RpcUnreachableError,
} from './rpc-errors.ts'
