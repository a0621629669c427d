import type { Clock, Log, Random } from '../../base/index.ts'
import type { Engine } from '../../serf/index.ts'
import type { DiscoverySettings } from '../config/index.ts'
import { MulticastSockets } from './mdns/drivers/multicast.ts'
import type { Joinable } from './joiner.ts'
import { Discovery } from './mdns/discovery.ts'

interface Deps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly serf: Engine
}

/**
 * Serf's `-discover`: answers who looks for this cluster by mDNS, and looks for it itself. Loaded only where it is asked for.
 * @returns when `signal` is aborted; never throws
 */
export async function keepDiscovering(
  settings: DiscoverySettings,
  deps: Deps,
  target: Joinable,
  onJoined: () => void,
  signal: AbortSignal,
): Promise<void> {
  const { name: node, ip, port } = deps.serf.local()
  const own = { cluster: settings.cluster, node, at: { ip, port } }
  const discovery = new Discovery(own, deps, target, onJoined)
  const sockets = new MulticastSockets({ ...settings, interface: settings.interface }, discovery)
  try {
    await discovery.keepAsking(sockets, signal)
  } finally {
    sockets.close()
  }
}
