/** What other agents know: asked by a Serf query, answered by one. */
import { messageOf } from '../../base/index.ts'
import type { Agent } from '../agent.ts'
import { knownHere } from './local.ts'
import {
  decodeWhyAnswer,
  decodeWhyRequest,
  encodeWhyAnswer,
  encodeWhyRequest,
  WHY_QUERY,
  type WhyAnswer,
} from './messages.ts'

/** Another agent's own questions have less than that. */
const ANSWER_MS = 1_200
const LOOK_MS = 600
/** Anybody in the ring can ask; what is asked of servers in its name stays little. */
const ANSWERING_MAX = 4
/** Serf's bound on a query with its filters. */
const ASKED_MAX = 8
/** All that an agent has to do with. */
export const ANY = '*'

export interface Answers {
  readonly from: ReadonlyMap<string, WhyAnswer>
  readonly silent: readonly string[]
}

/** Asks these nodes. @param names more than eight are not asked */
export async function askAgents(agent: Agent, names: readonly string[], what: string): Promise<Answers> {
  const { serf, deps } = agent.parts
  const asked = names.slice(0, ASKED_MAX)
  const from = new Map<string, WhyAnswer>()
  if (asked.length === 0) return { from, silent: [] }
  try {
    const query = { name: WHY_QUERY, payload: encodeWhyRequest(what), filters: { nodes: asked }, timeoutMs: ANSWER_MS }
    for await (const answer of await serf.query(query)) {
      if (answer.kind === 'response' && asked.includes(answer.from)) take(from, answer.from, answer.payload)
      if (from.size === asked.length) break
    }
  } catch (failure) {
    deps.log.debug({ reason: messageOf(failure) }, 'other agents could not be asked') // gossip has stopped, say: they are silent
  }
  return { from, silent: asked.filter(name => !from.has(name)) }
}

function take(from: Map<string, WhyAnswer>, name: string, payload: Uint8Array): void {
  const answer = decodeWhyAnswer(name, payload)
  if (answer !== undefined) from.set(name, answer)
}

/** Answers what others ask. @returns how to stop answering */
export function answerWhy(agent: Agent): () => void {
  let answering = 0
  return agent.parts.serf.onEvent(event => {
    if (event.kind !== 'query' || event.name !== WHY_QUERY || answering >= ANSWERING_MAX) return
    const what = decodeWhyRequest(event.payload)
    if (what === undefined) return
    answering++
    const answer = async () =>
      event.respond(encodeWhyAnswer(await knownHere(agent, what === ANY ? undefined : what, LOOK_MS)))
    answer()
      .catch((failure: unknown) => agent.parts.deps.log.debug({ reason: messageOf(failure) }, 'no answer to why'))
      .finally(() => answering--)
  })
}
