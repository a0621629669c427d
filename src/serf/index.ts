/**
 * serf: membership as Serf's users know it, on the wire of real Serf agents; and Serf's RPC, both sides, so that the `serf`
 * command works against this agent and this agent against a real one.
 */
export {
  connectRpc,
  decodeRpcEvent,
  type MembersFilter,
  RpcClient,
  type RpcClientOptions,
  type RpcEventRecord,
  type RpcKeyAnswer,
  RpcKeyError,
  type RpcSubscription,
} from './rpc/drivers/client.ts'
export {
  RpcListenError,
  type RpcServer,
  type RpcServerConfig,
  type RpcServerDeps,
  startRpcServer,
} from './rpc/drivers/server.ts'
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
export type {
  RpcBackend,
  RpcJoinResult,
  RpcLogSource,
  RpcQueryAnswer,
  RpcQueryAnswers,
  RpcQueryParams,
} from './rpc/backend.ts'
export { RpcDispatcher } from './rpc/dispatch.ts'
export {
  RpcAuthError,
  RpcClosedError,
  RpcProtocolError,
  RpcRefusedError,
  RpcTimedOutError,
  RpcUnreachableError,
} from './rpc/errors.ts'
export { REQUEST_BYTES_MAX, RpcSession } from './rpc/session.ts'
export { decodeBase64 } from './base64.ts'
export { QueryHandle } from './answer-stream.ts'
export { type CoalesceOptions, type Coalescer, coalesceEvents, isMemberEvent } from './coalesce.ts'
export { type Coordinate, distanceS } from './coordinate.ts'
export { SerfCore, type SerfCoreConfig, type SerfState } from './core.ts'
export { lastGoodKeyring, secretJson, writeKeyringFile } from './drivers/keyring-file.ts'
export { RemoteSerf, type RemoteSerfConfig, type RemoteSerfDeps, startRemoteSerf } from './drivers/remote-serf.ts'
export { Serf } from './drivers/serf.ts'
export type { SerfConfig, SerfDeps } from './drivers/serf-config.ts'
export { startSerf } from './drivers/start-serf.ts'
export type { QueryAnswer, ReceivedQuery, SerfEffect } from './effects.ts'
export {
  BroadcastTimeoutError,
  EngineNameError,
  KeyringFileError,
  MessageTooLargeError,
  ResponseRefusedError,
  SerfStateError,
} from './errors.ts'
export type { Engine, JoinOptions } from './engine.ts'
export { encodeFilters, filtersMatch, type QueryFilters } from './filters.ts'
export { type KeyAnswers, type KeyOperation } from './key-requests.ts'
export { LamportClock, type LTime } from './lamport.ts'
export { decodeSerfMessage, encodeSerfMessage, type SerfMessage } from './messages.ts'
export type { QueryParams } from './queries.ts'
export { SnapshotRecord } from './snapshot.ts'
export { decodeTags, encodeTags, TAGS_BYTES_MAX, type Tags, TagsTooLargeError } from './tags.ts'
