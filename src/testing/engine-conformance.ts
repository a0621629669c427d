import { assert, type Clock, sleep } from '../base/index.ts'
import type { Engine, SerfEvent } from '../serf/index.ts'

/** Two engines that know each other, both with the tag `role=web`, and a clock to wait by. */
export interface EnginePair {
  readonly one: Engine
  readonly other: Engine
  readonly clock: Clock
  /** Ends the agent behind `other` without a word, as a crash does. */
  readonly crashOther: () => Promise<void>
}

export interface ConformanceCase {
  readonly title: string
  /** @throws AssertionError */
  readonly run: (pair: EnginePair) => Promise<void>
}

/** Longer than Serf's suspicion in a ring of two, and its coalescing. */
const PATIENCE_MS = 30_000
const LOOK_MS = 20

/** What every engine promises, on whatever it runs. */
export const engineConformance: readonly ConformanceCase[] = [
  { title: 'each sees both alive, with their tags', run: seesBoth },
  { title: 'new tags replace those set before, in the other view too, and both are told of a change', run: tagsTravel },
  { title: 'a user event arrives once, with its bytes', run: eventsArrive },
  { title: 'a query is answered by the other, with its bytes', run: queriesAreAnswered },
  { title: 'an address where nobody is does not throw: it is in the result', run: joinReports },
  { title: 'after a leave nobody alive carries what was set there', run: leaveTakesOut },
  { title: 'a crash is a failure, in the list and as an event', run: crashFails },
  { title: 'stopping twice is stopping once', run: stopsOnce },
]

async function seesBoth({ one, other, clock }: EnginePair): Promise<void> {
  for (const engine of [one, other]) {
    await until(
      clock,
      'both are alive',
      () => engine.members().filter(member => member.status === 'alive').length === 2,
    )
    assert(engine.state() === 'alive', 'an engine that runs is alive')
    assert(engine.tags()['role'] === 'web', 'own tags hold')
    assert(
      engine.members().every(member => member.tags['role'] === 'web'),
      'tags are in the list',
    )
  }
}

async function tagsTravel({ one, other, clock }: EnginePair): Promise<void> {
  let changes = 0
  const ends = [one, other].map(engine => engine.onChange(() => void changes++))
  await one.setTags({ role: 'web', 'pool.web': '3000' }, { tell: [other.local().name] })
  await until(clock, 'the new tag is seen', () => tagsOf(other, one)['pool.web'] === '3000')
  await one.setTags({ 'pool.web': '' })
  await until(clock, 'a tag is gone', () => !('role' in tagsOf(other, one)) && tagsOf(other, one)['pool.web'] === '')
  assert(changes >= 2, 'changes are told')
  for (const end of ends) end()
}

async function eventsArrive({ one, other, clock }: EnginePair): Promise<void> {
  const seen: SerfEvent[] = []
  const end = other.onEvent(event => void seen.push(event))
  await one.userEvent('deploy', Buffer.from('v1'), false)
  await until(clock, 'the event is there', () => seen.some(event => event.kind === 'user'))
  await sleep(clock, 500) // gossip repeats it
  const [event, ...more] = seen.filter(event => event.kind === 'user')
  assert(event?.name === 'deploy' && Buffer.from(event.payload).toString() === 'v1', 'name and payload are the same')
  assert(more.length === 0, 'it is delivered once')
  end()
}

async function queriesAreAnswered({ one, other }: EnginePair): Promise<void> {
  const end = other.onEvent(event => {
    if (event.kind === 'query' && event.name === 'load') void event.respond(Buffer.from('0.5'))
  })
  const answers: string[] = []
  for await (const answer of await one.query({ name: 'load', payload: new Uint8Array(0), timeoutMs: 3_000 })) {
    if (answer.kind === 'response') answers.push(`${answer.from} ${Buffer.from(answer.payload).toString()}`)
  }
  assert(answers.join() === `${other.local().name} 0.5`, `the other answers, not ${answers.join()}`)
  end()
}

async function joinReports({ one }: EnginePair): Promise<void> {
  const { contacted, errors } = await one.join(['127.0.0.1:9'])
  assert(contacted === 0 && errors.length > 0, 'who did not answer is in the result')
}

async function leaveTakesOut({ one, other, clock }: EnginePair): Promise<void> {
  const { name } = other.local()
  await other.leave()
  const isOut = () =>
    one.members().every(member => member.name !== name || member.status !== 'alive' || !('role' in member.tags))
  await until(clock, 'its tags are gone, or it is', isOut)
}

async function crashFails({ one, other, clock, crashOther }: EnginePair): Promise<void> {
  const { name } = other.local()
  const failed: string[] = []
  const end = one.onEvent(event => {
    if (event.kind === 'member-failed') failed.push(...event.members.map(member => member.name))
  })
  await crashOther()
  await until(clock, 'it is failed', () => one.members().some(m => m.name === name && m.status === 'failed'))
  await until(clock, 'the event came', () => failed.length > 0)
  assert(failed.join() === name, 'it is told once')
  end()
}

async function stopsOnce({ one }: EnginePair): Promise<void> {
  await Promise.all([one.stop(), one.stop()])
  assert(one.state() === 'shutdown', 'it is down')
}

function tagsOf(viewer: Engine, subject: Engine): Readonly<Record<string, string>> {
  const { name } = subject.local()
  return viewer.members().find(member => member.name === name)?.tags ?? {}
}

async function until(clock: Clock, what: string, holds: () => boolean): Promise<void> {
  const deadlineMs = clock.nowMs() + PATIENCE_MS
  while (!holds()) {
    assert(clock.nowMs() < deadlineMs, `in time: ${what}`)
    await sleep(clock, LOOK_MS)
  }
}
