import type { Clock, Log, Random, Scope } from '../base/index.ts'
import { Keyring } from '../memberlist/index.ts'
import { type Engine, type Serf, type SerfConfig, startRemoteSerf, startSerf } from '../serf/index.ts'
import type { AgentConfig } from './config/index.ts'

/** What this node knows the ring by. */
export interface StartedEngine {
  readonly serf: Engine
  /** The same, where this agent gossips itself; it then serves Serf's RPC, too. */
  readonly gossip: Serf | undefined
  /** As the ring knows this node. */
  readonly name: string
}

/**
 * Gossips itself, or waits for the real Serf agent of this host.
 * @param tags for the very first alive
 * @throws what `startSerf` and `startRemoteSerf` throw
 */
export async function startEngine(
  config: AgentConfig,
  tags: Record<string, string>,
  deps: { readonly clock: Clock; readonly random: Random; readonly log: Log },
  scope: Scope,
  signal?: AbortSignal,
): Promise<StartedEngine> {
  const { engine, rpc, rpcAuth: authKey } = config.cluster
  if (engine === 'muster' || rpc === undefined) {
    const gossip = scope.use(await startSerf(serfConfigOf(config, tags), deps, signal))
    return { serf: gossip, gossip, name: config.node.name }
  }
  const name = config.node.isNamed ? config.node.name : undefined
  const log = deps.log.child({ room: 'serf' })
  const serf = scope.use(await startRemoteSerf({ rpc, authKey, name, tags }, { ...deps, log }, signal))
  return { serf, gossip: undefined, name: serf.local().name }
}

function serfConfigOf(config: AgentConfig, tags: Record<string, string>): SerfConfig {
  const { cluster } = config
  return {
    name: config.node.name,
    tags,
    bind: cluster.bind,
    profile: cluster.profile,
    compress: cluster.compress,
    protocol: cluster.protocol === 4 ? 4 : 5,
    snapshotPath: cluster.snapshotPath,
    rejoinAfterLeave: cluster.rejoinAfterLeave,
    reconnectIntervalMs: cluster.reconnectIntervalMs,
    reconnectTimeoutMs: cluster.reconnectTimeoutMs,
    tombstoneTimeoutMs: cluster.tombstoneTimeoutMs,
    broadcastTimeoutMs: cluster.broadcastTimeoutMs,
    userEventBytesMax: cluster.userEventBytesMax,
    queryBytesMax: cluster.queryBytesMax,
    queryResponseBytesMax: cluster.queryResponseBytesMax,
    resolveConflicts: cluster.resolveConflicts,
    keyringPath: cluster.keyringPath,
    keyGraceMs: cluster.keyGraceMs,
    ...(cluster.advertise === undefined ? {} : { advertise: cluster.advertise }),
    ...(cluster.keyring === undefined ? {} : { keyring: new Keyring([...cluster.keyring]) }),
  }
}
