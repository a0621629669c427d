import { expect, test } from 'vitest'
import { silentLog } from '../../base/index.ts'
import type { Engine, QueryAnswer } from '../../serf/index.ts'
import { VirtualClock } from '../../testing/index.ts'
import type { Agent } from '../agent.ts'
import { askAgents } from './asking.ts'
import { encodeWhyAnswer } from './messages.ts'

type Query = Parameters<Engine['query']>[0]

/** A ring in which the nth question is answered by those whom `answers` names for it. */
function ring(answers: readonly (readonly string[])[]) {
  const clock = new VirtualClock()
  const asked: (readonly string[])[] = []
  async function* answered(names: readonly string[], timeoutMs: number): AsyncGenerator<QueryAnswer> {
    const over = new Promise<void>(resolve => clock.after(timeoutMs, resolve))
    const payload = encodeWhyAnswer({ services: [], servers: [], pools: [] })
    for (const from of names) yield { kind: 'response', from, payload }
    await over
  }
  const query = async ({ filters, timeoutMs = 0 }: Query) => {
    asked.push(filters?.nodes ?? [])
    return answered(answers[asked.length - 1] ?? [], timeoutMs)
  }
  const parts = { serf: { query }, deps: { clock, log: silentLog } } as unknown as Agent['parts']
  return { asked, clock, agent: { parts } }
}

/** Runs the clock until the answer is there. @returns it, and when */
async function outcome<T>(clock: VirtualClock, work: Promise<T>) {
  let found: T | undefined
  void work.then(value => (found = value))
  for (;;) {
    await new Promise(setImmediate)
    if (found !== undefined) return { ...found, atMs: clock.nowMs() }
    if (!clock.step(60_000)) throw new Error('it waits for nothing')
  }
}

test('an agent whose first answer is lost is asked once more, and alone', async () => {
  const { asked, clock, agent } = ring([['web-1'], ['web-2']])
  const { silent, from, atMs } = await outcome(clock, askAgents(agent, ['web-1', 'web-2'], 'web'))
  expect({ silent, names: [...from.keys()], atMs }).toEqual({ silent: [], names: ['web-1', 'web-2'], atMs: 800 })
  expect(asked).toEqual([['web-1', 'web-2'], ['web-2']])
})

test('who has answered neither question after two seconds is silent', async () => {
  const { asked, clock, agent } = ring([[], []])
  const { silent, atMs } = await outcome(clock, askAgents(agent, ['web-1'], 'web'))
  expect({ silent, atMs, asked }).toEqual({ silent: ['web-1'], atMs: 2_000, asked: [['web-1'], ['web-1']] })
})

test('nobody is asked twice who has answered, and a stranger is not heard', async () => {
  const { asked, clock, agent } = ring([['stranger', 'web-1']])
  const { silent, from, atMs } = await outcome(clock, askAgents(agent, ['web-1'], 'web'))
  expect({ silent, names: [...from.keys()], atMs, asked }).toEqual({
    ...{ silent: [], names: ['web-1'], atMs: 0, asked: [['web-1']] },
  })
})
