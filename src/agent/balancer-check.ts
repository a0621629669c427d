import { type Clock, formatAddress, type Log } from '../base/index.ts'
import type { AgentConfig } from './config/index.ts'
import type { BalancerSettings } from './config/types.ts'
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
  const { assertStartable, BindError } = await import('../balancer/index.ts')
  try {
    await assertStartable(balancerConfigOf(config, config.balancer, config.cluster.bind.ip), deps)
  } catch (cause) {
    if (!(cause instanceof BindError)) throw cause
    throw new BindError(`${keyOf(cause.address, config.balancer)}: ${cause.message}`, cause.address, { cause })
  }
}

/** The key of the configuration that asks for an address. */
function keyOf(address: string, { frontends, stats, template }: BalancerSettings): string {
  for (const { name, binds, tls } of frontends) {
    const isIn = (list: readonly string[]) => list.some(bind => bind.split(' ')[0] === address)
    if (isIn(binds)) return `balancer.frontends.${name}.bind`
    if (isIn(tls?.binds ?? [])) return `balancer.frontends.${name}.tls.bind`
  }
  return stats !== undefined && formatAddress(stats) === address ? 'balancer.stats' : `balancer.template (${template})`
}
