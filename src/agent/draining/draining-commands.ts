/** What operators ask for over the API, on record in the journal with what came of it. */
import type { ApiBackend } from '../../api/index.ts'
import { messageOf } from '../../base/index.ts'
import type { Agent } from '../agent.ts'
import { assertReason } from './draining.ts'

type Commands = Pick<ApiBackend, 'drain' | 'undrain' | 'drains' | 'mayLeave'>

export function drainCommands(agent: Agent): Commands {
  const { drains, config } = agent.parts
  return {
    drain: ask => {
      const words = `drain ${ask.server}${inPool(ask.pool)}${ask.force ? ' --force' : ''}`
      return onRecord(agent, { ...ask, words }, async () => {
        assertReason(ask.reason, ask.force)
        return await drains.drain(ask)
      })
    },
    undrain: ask =>
      onRecord(agent, { ...ask, words: `drain --undo ${ask.server}${inPool(ask.pool)}` }, () => drains.undo(ask)),
    drains: target => drains.list(target),
    mayLeave: ask => {
      const words = `leave of ${config.node.name}${ask.force ? ' --force' : ''}`
      return onRecord(agent, { ...ask, words }, async () => {
        assertReason(ask.reason, ask.force)
        await agent.assertMayLeave(ask)
      })
    },
  }
}

async function onRecord<T>(
  agent: Agent,
  asked: { readonly words: string; readonly user?: string; readonly reason?: string },
  act: () => Promise<T>,
): Promise<T> {
  const { journal, deps } = agent.parts
  const startedMs = deps.clock.nowMs()
  const record = (outcome: string) =>
    journal.command({
      actor: asked.user ?? 'operator',
      command: asked.words,
      outcome,
      ...(asked.reason === undefined ? {} : { reason: asked.reason }),
      tookMs: Math.round(deps.clock.nowMs() - startedMs),
    })
  try {
    const result = await act()
    record('done')
    return result
  } catch (failure) {
    record(messageOf(failure))
    throw failure
  }
}

function inPool(pool: string | undefined): string {
  return pool === undefined ? '' : ` --pool ${pool}`
}
