import type { Engine } from '../../serf/index.ts'
import { DRAIN_QUERY, type DrainCluster, type DrainLeft, type DrainRequest } from './drain.ts'
import { decodeDrainRequest, encodeDrainLeft } from './drain.ts'

/** Names of alive balancers, this node among them if it is one. */
export function balancersIn(serf: Engine): string[] {
  return serf
    .members()
    .filter(member => member.status === 'alive' && member.tags['role'] === 'balancer')
    .map(member => member.name)
}

/** Asks every balancer once. @returns the answers that came within `timeoutMs`; sooner when all have come */
export async function askBalancers(
  serf: Engine,
  name: string,
  payload: Uint8Array,
  timeoutMs: number,
): Promise<Map<string, Uint8Array>> {
  const answers = new Map<string, Uint8Array>()
  const filters = { tags: { role: '^balancer$' } }
  for await (const answer of await serf.query({ name, payload, filters, timeoutMs })) {
    if (answer.kind === 'response') answers.set(answer.from, answer.payload)
    if (balancersIn(serf).every(one => answers.has(one))) break // nobody is left to wait for
  }
  return answers
}

/** Serf as the asker of drains sees it. */
export function drainClusterOf(serf: Engine): DrainCluster {
  return {
    balancers: () => balancersIn(serf),
    ask: (payload, timeoutMs) => askBalancers(serf, DRAIN_QUERY, payload, timeoutMs),
  }
}

/** Where a count of what is left can be had. */
export interface LeftCounter {
  left(request: DrainRequest): Promise<DrainLeft>
}

/** Answers drain queries with what is left on an endpoint in this node's HAProxy. @returns how to stop answering */
export function answerDrains(serf: Engine, balancing: LeftCounter): () => void {
  return serf.onEvent(event => {
    if (event.kind !== 'query' || event.name !== DRAIN_QUERY) return
    const request = decodeDrainRequest(event.payload)
    if (request === undefined) return
    const answer = async () => event.respond(encodeDrainLeft(await balancing.left(request)))
    answer().catch(() => undefined) // too late, or HAProxy is silent: no answer is an answer, the asker repeats
  })
}
