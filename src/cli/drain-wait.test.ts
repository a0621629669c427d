import { expect, test } from 'vitest'
import { AgentUnreachableError, ApiAnswerError, type DrainList, type DrainReport } from '../api/index.ts'
import { exitOf, untilDrained } from './drain-wait.ts'

const lb = { name: 'lb-1', sessions: 1, bound: false, open: false, confirmed: true }
const BUSY: DrainReport = {
  ...{ server: 'web-2', by: 'root@lb-1', since: '2026-11-21T12:03:07.000Z', forced: false, takenBack: false },
  ...{ sessions: 1, done: false, balancers: [lb], silent: [] },
}
const EMPTY = { ...BUSY, sessions: 0, done: true, balancers: [{ ...lb, sessions: 0 }] }
const listOf = (...drains: DrainReport[]): DrainList => ({ drains, answered: ['lb-1'], silent: [] })
const gone = () => new AgentUnreachableError('/run/a.sock', { cause: new Error('ECONNREFUSED') })
const starting = () => new ApiAnswerError(503, 'the agent is starting; ask again in a moment')

/** Waits half a minute for what the agent answers, one after the other, the last one for ever. */
async function waitFor(...answers: (DrainList | Error)[]) {
  let nowMs = 0
  const said: string[] = []
  const outcome = await untilDrained(BUSY, {
    ...{ waitMs: 30_000, signal: new AbortController().signal, nowMs: () => nowMs },
    pause: ms => {
      nowMs += ms
      return Promise.resolve()
    },
    tell: text => void said.push(text),
    ask: () => {
      const next = answers.length > 1 ? answers.shift() : answers[0]
      return next instanceof Error ? Promise.reject(next) : Promise.resolve(next as DrainList)
    },
  })
  return { outcome, said, tookMs: nowMs }
}

const STAYS = 'the drain of web-2 stays in force on every balancer (lb-1)'

test('an agent that ends and is started anew while a drain waits is asked on, and the drain is said to stay in force', async () => {
  const unjoined: DrainList = { drains: [], answered: [], silent: [] }
  const { outcome, said } = await waitFor(
    listOf(BUSY),
    gone(),
    gone(),
    starting(),
    unjoined,
    listOf(BUSY),
    listOf(EMPTY),
  )
  expect(outcome).toEqual({ drain: EMPTY })
  expect(said).toEqual([
    '1 session left on lb-1',
    `the agent here gives no answer; ${STAYS}; asking again`,
    `the agent here is being started; ${STAYS}; asking again`,
    `no balancer has told the agent yet how it goes; ${STAYS}; asking again`,
    '1 session left on lb-1',
  ])
})

test('an agent that does not come back leaves what is left unknown when the time is over', async () => {
  const { outcome, tookMs } = await waitFor(gone())
  expect(outcome).toEqual({ drain: BUSY, unanswered: 'the agent here gives no answer' })
  expect(tookMs).toBe(30_000)
})

test('a drain is taken back where a balancer that held it says so; any other failure is told as it is', async () => {
  expect((await waitFor(listOf(BUSY), listOf())).outcome.drain.takenBack).toBe(true)
  await expect(waitFor(new ApiAnswerError(500, 'broken'))).rejects.toThrow('broken')
})

test('a drain that somebody has taken back is none: it ends with 1, and not as if the time had come first', async () => {
  const { drain } = (await waitFor(listOf(BUSY), listOf())).outcome
  expect([exitOf(drain), exitOf({ ...EMPTY, takenBack: true }), exitOf(BUSY), exitOf(EMPTY)]).toEqual([1, 1, 5, 0])
})
