import type { Clock } from '../base/index.ts'
import { coalesceEvents, type RpcBackend, type RpcLogSource, type Serf } from '../serf/index.ts'
import type { Agent } from './agent.ts'
import { runtimeFacts } from './drivers/runtime-facts.ts'
import { parseHandler } from './handlers/handler-spec.ts'

/** The agent as Serf's RPC sees it. */
export function rpcBackendOf(
  agent: Agent,
  serf: Serf,
  { clock, logs }: { readonly clock: Clock; readonly logs: RpcLogSource | undefined },
): RpcBackend {
  const { config } = agent.parts
  return {
    members: () => serf.members(),
    join: (addresses, options) => serf.join([...addresses], options),
    leave: () => agent.leave(),
    afterLeave: () => void agent.stop({ leave: true, joins: true }),
    forceLeave: (name, prune) => serf.forceLeave(name, prune),
    userEvent: (name, payload, coalesce) => serf.userEvent(name, payload, coalesce),
    tags: () => serf.tags(),
    setTags: tags => agent.setOwnTags(tags),
    query: ({ name, payload, filterNodes, filterTags, relayFactor, requestAck, timeoutMs }) =>
      serf.query({
        ...{ name, payload, relayFactor, wantAck: requestAck },
        filters: { nodes: filterNodes, tags: filterTags },
        ...(timeoutMs === 0 ? {} : { timeoutMs }),
      }),
    coordinate: node => serf.coordinate(node),
    keys: (operation, key) => serf.keys(operation, key),
    logs,
    onEvent(listener) {
      const coalesced = coalesceEvents(listener, clock)
      const end = serf.onEvent(coalesced)
      return () => {
        end()
        coalesced.flush()
      }
    },
    stats: () => ({
      agent: { name: config.node.name },
      runtime: runtimeFacts(),
      serf: serf.stats(),
      tags: serf.tags(),
      event_handlers: handlersOf(config.handlers),
    }),
  }
}

/** `KIND:NAME` to script, as `serf info` shows them. */
function handlersOf(specs: readonly string[]): Record<string, string> {
  const entries = specs
    .map(parseHandler)
    .flatMap(({ filters, script }) => filters.map(filter => [filterKey(filter), script] as const))
  return Object.fromEntries(entries)
}

function filterKey(filter: { readonly kind: string; readonly name?: string | undefined }): string {
  return `${filter.kind}:${filter.name ?? ''}`
}
