import type { Engine } from '../../serf/index.ts'
import { DRAIN_QUERY, type DrainCluster, decodeDrainRequest, encodeDrainAnswer } from './drain.ts'

/** Serf as the asker of drains sees it. */
export function drainClusterOf(serf: Engine): DrainCluster {
  const balancers = () =>
    serf
      .members()
      .filter(member => member.status === 'alive' && member.tags['role'] === 'balancer')
      .map(member => member.name)
  return {
    balancers,
    async ask(payload, timeoutMs) {
      const answers = new Map<string, Uint8Array>()
      const filters = { tags: { role: '^balancer$' } }
      for await (const answer of await serf.query({ name: DRAIN_QUERY, payload, filters, timeoutMs })) {
        if (answer.kind === 'response') answers.set(answer.from, answer.payload)
        if (balancers().every(name => answers.has(name))) break // nobody is left to wait for
      }
      return answers
    },
  }
}

/** Where a count of what is left can be had. */
export interface SessionCounter {
  /** At least 1 while the endpoint still takes traffic. */
  sessionsOn(ip: string, port: number): Promise<number>
}

/** Answers drain queries with what is left on an endpoint in this node's HAProxy. @returns how to stop answering */
export function answerDrains(serf: Engine, balancing: SessionCounter): () => void {
  return serf.onEvent(event => {
    if (event.kind !== 'query' || event.name !== DRAIN_QUERY) return
    const request = decodeDrainRequest(event.payload)
    if (request === undefined) return
    const answer = async () => event.respond(encodeDrainAnswer(await balancing.sessionsOn(request.ip, request.port)))
    answer().catch(() => undefined) // too late, or HAProxy is silent: no answer is an answer, the asker repeats
  })
}
