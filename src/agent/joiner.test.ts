import { expect, test } from 'vitest'
import { type Clock, type LogFields, seededRandom, silentLog } from '../base/index.ts'
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
  const state: Joinable & { attempts: string[]; company: boolean } = {
    attempts,
    company: false,
    hasCompany: () => state.company,
    join(addresses) {
      const address = addresses[0] as string
      attempts.push(address)
      const good = answersAt(attempts.filter(tried => tried === address).length, address)
      if (good) state.company = true
      return Promise.resolve({ contacted: good ? 1 : 0, errors: good ? [] : [{ address, error: 'refused' }] })
    },
  }
  return state
}

async function run(target: ReturnType<typeof cluster>, addresses: string[], until: () => boolean) {
  const pauses: number[] = []
  const warnings: string[] = []
  const ended = new AbortController()
  const log = { ...silentLog, warn: (_: LogFields, sentence: string) => void warnings.push(sentence) }
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
  return { pauses, warnings, joins }
}

test('a missing peer is tried for ever with backoff, and complained of once', async () => {
  const target = cluster(attempt => attempt > 20)
  const { pauses, warnings } = await run(target, ['a'], () => target.company)
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
      target.company = false
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
  const target = { hasCompany: () => answering.company, join }
  const ended = new AbortController()
  const deps = { clock: hurriedClock([]), random: seededRandom(1), log: silentLog }
  const config = { addresses: ['silent', 'a'], retryIntervalMs: 5_000 }
  await keepJoined(config, deps, target, () => ended.abort(), ended.signal) // hangs unless it is called
  expect(answering.attempts).toEqual(['a'])
})
