import { expect, test } from 'vitest'
import { type Clock, type LogFields, seededRandom, silentLog } from '../../base/index.ts'
import type { RingMember } from './join-list.ts'
import { type Joinable, keepJoined } from './joiner.ts'

/** A clock whose timers fire at once, so that a thousand pauses take no time; it remembers how long they were. */
function hurriedClock(pauses: number[]): Clock {
  let nowMs = 0
  return {
    nowMs: () => nowMs,
    wallMs: () => nowMs,
    after(delayMs, fn) {
      pauses.push(delayMs)
      const handle = setImmediate(() => {
        nowMs += delayMs
        fn()
      })
      return { cancel: () => clearImmediate(handle) }
    },
  }
}

function cluster(answersAt: (attempt: number, address: string) => boolean) {
  const attempts: string[] = []
  const alive = new Map<string, boolean>()
  const state = {
    attempts,
    alive,
    canJoin: () => true,
    view: () => ({ self, others: [...alive].map(([name, isAlive]) => member(name, isAlive)) }),
    join(addresses: readonly string[]): ReturnType<Joinable['join']> {
      const address = addresses[0] as string
      attempts.push(address)
      const good = answersAt(attempts.filter(tried => tried === address).length, address)
      if (good) alive.set(address, true)
      const answered = good ? [member(address, true)] : []
      return Promise.resolve({ contacted: answered.length, answered, errors: good ? [] : [refused(address)] })
    },
  }
  return state
}

const refused = (address: string) => ({ address, error: 'refused' })

/** Each at a number of its own. */
function member(name: string, isAlive: boolean): RingMember {
  return { name, ip: `10.0.0.${name.charCodeAt(0)}`, port: 7946, isAlive }
}

const self = member('self', true)

async function run(target: ReturnType<typeof cluster>, addresses: string[], until: () => boolean) {
  const pauses: number[] = []
  const [warnings, infos]: [string[], string[]] = [[], []]
  const ended = new AbortController()
  const noted =
    (where: string[]) =>
    ({ address }: LogFields, sentence: string) =>
      void where.push(address === undefined ? sentence : `${String(address)}: ${sentence}`)
  const log = { ...silentLog, warn: noted(warnings), info: noted(infos) }
  const clock = hurriedClock(pauses)
  const stopWhenDone: Clock = {
    ...clock,
    after(delayMs, fn) {
      if (until()) queueMicrotask(() => ended.abort())
      return clock.after(delayMs, fn)
    },
  }
  const config = { addresses, retryIntervalMs: 5_000 }
  let joins = 0
  const onJoined = () => void joins++
  await keepJoined(config, { clock: stopWhenDone, random: seededRandom(1), log }, target, onJoined, ended.signal)
  return { pauses, warnings, infos, joins, tookMs: clock.nowMs() }
}

test('a missing peer is tried for ever with backoff, and complained of once', async () => {
  const target = cluster(attempt => attempt > 20)
  const { pauses, warnings } = await run(target, ['a'], () => target.alive.size > 0)
  expect(target.attempts).toHaveLength(21)
  expect(warnings).toHaveLength(1)
  expect(Math.max(...pauses)).toBeLessThanOrEqual(5_000 * 1.25)
  expect(pauses[0]).toBeLessThan(300)
})

test('an address that answered is not tried again while there is company, the others are', async () => {
  const target = cluster((attempt, address) => address === 'a' || attempt > 3)
  await run(target, ['a', 'b'], () => target.attempts.filter(tried => tried === 'b').length > 3)
  expect(target.attempts.filter(tried => tried === 'a')).toHaveLength(1)
})

test('a node that finds itself alone tries all its addresses again', async () => {
  const target = cluster(() => true)
  let lonely = false
  await run(target, ['a'], () => {
    if (target.attempts.length === 1 && !lonely) {
      lonely = true
      target.alive.set('a', false)
    }
    return target.attempts.length > 1
  })
  expect(target.attempts).toEqual(['a', 'a'])
})

test('a cluster that takes no joins any more does not end the agent', async () => {
  const target = cluster(() => false)
  target.join = address => {
    target.attempts.push(String(address))
    return Promise.reject(new Error("Serf can't Join after Leave or Shutdown"))
  }
  const { warnings } = await run(target, ['a'], () => target.attempts.length > 3)
  expect(target.attempts.length).toBeGreaterThan(3)
  expect(warnings).toHaveLength(1)
})

test('an answer of the node itself does not count as having joined', async () => {
  const target = cluster(() => true)
  target.join = addresses => {
    target.attempts.push(String(addresses))
    return Promise.resolve({ contacted: 1, errors: [] })
  }
  const { joins } = await run(target, ['self'], () => target.attempts.length > 2)
  expect(joins).toBe(0)
})

test('a peer that never answers does not hold up the end', async () => {
  const target = cluster(() => false)
  const ended = new AbortController()
  target.join = () => {
    queueMicrotask(() => ended.abort())
    return new Promise(() => undefined)
  }
  const deps = { clock: hurriedClock([]), random: seededRandom(1), log: silentLog }
  await keepJoined({ addresses: ['a'], retryIntervalMs: 5_000 }, deps, target, () => undefined, ended.signal)
  expect(ended.signal.aborted).toBe(true)
})

test('the first answer counts at once, however long another address is silent', async () => {
  const answering = cluster(() => true)
  const join: Joinable['join'] = addresses =>
    addresses[0] === 'silent' ? new Promise(() => undefined) : answering.join(addresses)
  const target = { ...answering, join }
  const ended = new AbortController()
  const deps = { clock: hurriedClock([]), random: seededRandom(1), log: silentLog }
  const config = { addresses: ['silent', 'a'], retryIntervalMs: 5_000 }
  await keepJoined(config, deps, target, () => ended.abort(), ended.signal) // hangs unless it is called
  expect(answering.attempts).toEqual(['a'])
})

test('a member of the list that left is asked for every second, other company or not, and its return is said', async () => {
  const target = cluster((attempt, address) => address === 'a' || attempt === 1 || attempt > 40)
  let gone = false
  const { infos, warnings, tookMs } = await run(target, ['a', 'b'], () => {
    if (target.alive.get('b') === true && !gone) {
      gone = true
      target.alive.set('b', false)
    }
    return target.attempts.length > 41
  })
  expect(target.attempts.filter(tried => tried === 'a')).toHaveLength(1)
  expect(tookMs).toBeLessThan(90_000) // this clock counts the pauses of both addresses
  expect(warnings).toEqual([])
  expect(infos).toEqual([
    'a: joined the cluster',
    'b: a member of the join list is gone; trying on until it is back',
    'b: an address to join answers now',
  ])
})

test('what is gone for good is tried every second for ten minutes, and at the retry interval from then on', async () => {
  const target = cluster((attempt, address) => address === 'a' || attempt === 1)
  const { tookMs } = await run(target, ['a', 'b'], () => {
    target.alive.set('b', false)
    return target.attempts.length > 800
  })
  expect(tookMs).toBeGreaterThan(3_000_000) // at most 600 of the tries in the first ten minutes
})

test('a dead address is named once although another one answered, and once more when it answers', async () => {
  const target = cluster((attempt, address) => address === 'a' || attempt > 30)
  const { infos, warnings } = await run(target, ['a', 'typo'], () => target.alive.has('typo'))
  expect(warnings).toEqual(['typo: an address to join does not answer; trying on'])
  expect(infos).toEqual(['a: joined the cluster', 'typo: an address to join answers now'])
})

test('while the ring is left nothing is tried, and nobody is complained of', async () => {
  const target = cluster(() => false)
  let looks = 0
  target.canJoin = () => ++looks < 0
  const { warnings } = await run(target, ['a'], () => looks > 10)
  expect([target.attempts, warnings]).toEqual([[], []])
})
