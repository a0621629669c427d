/** What other agents know: asked by a Serf query, answered by one. */
import { deferred, messageOf } from '../../base/index.ts'
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

/** As long as a person waits for an answer that may not come, the second question included. */
const ANSWER_MS = 2_000
/** A packet that is lost makes nobody silent: who has not answered by then is asked once more. More than the other one's own look takes. */
const AGAIN_MS = 800
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

/**
 * Asks these nodes, and once more those that give no answer; an answer to either question is good.
 * @param names more than eight are not asked
 */
export async function askAgents(agent: Pick<Agent, 'parts'>, names: readonly string[], what: string): Promise<Answers> {
  const asked = names.slice(0, ASKED_MAX)
  const from = new Map<string, WhyAnswer>()
  const silent = () => asked.filter(name => !from.has(name))
  if (asked.length === 0) return { from, silent: [] }
  const all = deferred()
  const ask = (nodes: readonly string[], timeoutMs: number) =>
    askOnce(agent, { nodes, what, timeoutMs }, (name, payload) => {
      take(from, name, payload)
      if (silent().length === 0) all.resolve()
    })
  const again = agent.parts.deps.clock.after(AGAIN_MS, () => void ask(silent(), ANSWER_MS - AGAIN_MS))
  await Promise.race([all.promise, ask(asked, ANSWER_MS)]) // a question that nobody waits for any more ends at its deadline
  again.cancel()
  return { from, silent: silent() }
}

/** Until the time is over, or each of them has answered. Never throws. */
async function askOnce(
  { parts }: Pick<Agent, 'parts'>,
  { nodes, what, timeoutMs }: { readonly nodes: readonly string[]; readonly what: string; readonly timeoutMs: number },
  onAnswer: (name: string, payload: Uint8Array) => void,
): Promise<void> {
  const waited = new Set(nodes)
  try {
    const query = { name: WHY_QUERY, payload: encodeWhyRequest(what), filters: { nodes }, timeoutMs }
    for await (const answer of await parts.serf.query(query)) {
      if (answer.kind !== 'response' || !waited.delete(answer.from)) continue
      onAnswer(answer.from, answer.payload)
      if (waited.size === 0) break
    }
  } catch (failure) {
    parts.deps.log.debug({ reason: messageOf(failure) }, 'other agents could not be asked') // gossip has stopped, say: they are silent
  }
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
