import type { Clock, Log } from '../base/index.ts'
import type { AgentConfig } from './config/index.ts'
import { balancerConfigOf } from './haproxy.ts'

/**
 * Looks whether the balancer could be started, before services are: its template, its addresses, HAProxy.
 * @throws what `assertStartable` throws
 */
export async function checkBalancing(
  config: AgentConfig,
  deps: { readonly clock: Clock; readonly log: Log },
): Promise<void> {
  if (config.balancer === undefined) return
  const { assertStartable } = await import('../balancer/index.ts')
  await assertStartable(balancerConfigOf(config, config.balancer, config.cluster.bind.ip), deps)
}
