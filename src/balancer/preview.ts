import { type BalancerConfig, assertSound } from './config.ts'
import { type PlacedServer, templateData } from './file/data.ts'
import { endpointOf, type Server } from './server.ts'
import { SlotMap } from './file/slots.ts'
import { maxconnFor, renderOf } from './start.ts'

const DESCRIPTORS = 1_048_576

/**
 * The file that a balancer of this configuration would write with these servers in traffic, where there are descriptors enough.
 * Nothing is started, and HAProxy is not asked.
 * @throws BalancerConfigError, TemplateError
 */
export async function preview(config: BalancerConfig, servers: readonly Server[]): Promise<string> {
  assertSound(config)
  const render = await renderOf(config)
  const slots = new Map(Object.entries(config.pools).map(([name, pool]) => [name, new SlotMap(pool.slots)]))
  for (const server of servers) slots.get(server.pool)?.occupy(endpointOf(server))
  const checks = [...slots.values()].reduce((sum, { size }) => sum + size, 0)
  const seats = new Map([...slots].map(([name, map]) => [name, map.slots()]))
  const placed = servers.map((server): PlacedServer => ({ ...server, stance: 'ready' }))
  return render(templateData(config, placed, seats, maxconnFor(DESCRIPTORS, checks, config.maxConnections)))
}
