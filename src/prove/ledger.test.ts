import { expect, test } from 'vitest'
import { Ledger } from './ledger.ts'

const good = { kind: 'good', server: 'web-1' } as const
const reset = { kind: 'bad', what: 'ECONNRESET', mayHaveRun: true } as const

test('every request ends as good, lost or unknown, and only once', () => {
  const ledger = new Ledger('r')
  const [a, b] = [ledger.sent('close', 0), ledger.sent('close', 0)]
  ledger.ended(a, good, 5)
  ledger.ended(b, reset, 5)
  ledger.ended(b, good, 6)
  expect(ledger.stats(10)).toMatchObject({
    sent: 2,
    good: 1,
    lost: 1,
    unknown: 0,
    inFlight: 0,
    byServer: { 'web-1': 1 },
  })
})

test('a POST that breaks is unknown only if it was in flight at a kill', () => {
  const ledger = new Ledger('r')
  const before = ledger.sent('post', 0)
  ledger.ended(before, reset, 1)
  const inFlight = ledger.sent('post', 2)
  ledger.killBegins()
  const whileDying = ledger.sent('post', 3)
  ledger.killEnds()
  const after = ledger.sent('post', 4)
  for (const sequence of [inFlight, whileDying, after]) ledger.ended(sequence, reset, 5)
  expect(ledger.stats(10)).toMatchObject({ sent: 4, lost: 2, unknown: 2, postsAtKills: 2 })
})

test('a GET in flight at a kill has no excuse, nor has a POST that provably did not run', () => {
  const ledger = new Ledger('r')
  const [get, post] = [ledger.sent('close', 0), ledger.sent('post', 0)]
  ledger.killBegins()
  ledger.killEnds()
  ledger.ended(get, reset, 1)
  ledger.ended(post, { kind: 'bad', what: 'status 503', mayHaveRun: false }, 1)
  expect(ledger.stats(1)).toMatchObject({ lost: 2, unknown: 0, postsAtKills: 1 })
})

test('a POST that ran twice is doubled, one that was answered but never ran is lost, in the act that sent it', () => {
  const ledger = new Ledger('r')
  ledger.ended(ledger.sent('post', 0), good, 1)
  ledger.begin('kill web-2')
  for (let i = 0; i < 2; i++) ledger.ended(ledger.sent('post', 0), good, 1)
  expect(ledger.reconcile(['r-0', 'r-1', 'r-1', 'other-2', 'r-99', 'r--1', 'r-0.5', ''])).toEqual({
    doubled: ['r-1'],
    unexecuted: ['r-2'],
  })
  const [start, kill] = ledger.stats(1).windows
  expect(start).toMatchObject({ name: 'start', sent: 1, good: 1, lost: 0, doubled: 0 })
  expect(kill).toMatchObject({ name: 'kill web-2', sent: 2, good: 1, lost: 1, doubled: 1 })
})

test('latencies are told within 4 %, and the longest exactly', () => {
  const ledger = new Ledger('r')
  for (let ms = 1; ms <= 1000; ms++) ledger.ended(ledger.sent('close', 0), good, ms)
  const { p50Ms, p99Ms, maxMs } = ledger.stats(1000).latencies
  expect([p50Ms / 500, p99Ms / 990].every(ratio => ratio > 0.96 && ratio < 1.04)).toBe(true)
  expect(maxMs).toBe(1000)
})

test('the rate is that of the last full second, and 0 once nothing comes any more', () => {
  const ledger = new Ledger('r')
  for (let ms = 0; ms < 1000; ms += 10) ledger.ended(ledger.sent('close', ms), good, ms)
  expect(ledger.stats(1500).perSecond).toBe(100)
  expect(ledger.stats(3500).perSecond).toBe(0)
})

test('a server that invents names does not fill the memory, nor do failures', () => {
  const ledger = new Ledger('r')
  for (let i = 0; i < 3000; i++) {
    ledger.ended(ledger.sent('close', 0), { kind: 'good', server: `s${i}` }, 1)
    ledger.ended(ledger.sent('close', 0), reset, 1)
  }
  const stats = ledger.stats(1)
  expect(Object.keys(stats.byServer).length).toBe(1024)
  expect(stats.failures.length).toBe(50)
  expect(stats.lost).toBe(3000)
})

test('each kind has its own books in each act', () => {
  const ledger = new Ledger('r')
  ledger.ended(ledger.sent('close', 0), good, 5)
  ledger.begin('reload')
  ledger.ended(ledger.sent('keep-alive', 0), good, 7)
  ledger.ended(ledger.sent('websocket', 0), reset, 9)
  const { kinds, windows } = ledger.stats(10)
  expect(kinds).toMatchObject({ close: { good: 1 }, 'keep-alive': { good: 1 }, websocket: { lost: 1 } })
  expect(windows.map(window => Object.keys(window.kinds))).toEqual([['close'], ['keep-alive', 'websocket']])
  expect(windows[1]?.kinds['keep-alive']?.latencies.maxMs).toBe(7)
})

test('a WebSocket message is unknown only if its own server was killed, or its connection was being opened', () => {
  const ledger = new Ledger('r')
  const there = ledger.sent('websocket', 0, 'web-1')
  const elsewhere = ledger.sent('websocket', 0, 'web-2')
  const nobodyKnows = ledger.sent('websocket', 0, '')
  const opening = ledger.sent('websocket', 0)
  ledger.killBegins('web-1')
  ledger.killEnds('web-1')
  const after = ledger.sent('websocket', 1, 'web-1')
  const openAtKill = ledger.sent('websocket', 1, 'web-1', true)
  for (const each of [there, elsewhere, nobodyKnows, opening, after, openAtKill]) ledger.ended(each, reset, 2)
  expect(ledger.stats(3)).toMatchObject({ lost: 3, unknown: 3, atKills: 3, postsAtKills: 0 })
  const unknown = ledger.stats(3).failures.filter(failure => failure.countedAs === 'unknown')
  expect(unknown.map(({ id, server, act }) => [id, server, act])).toEqual([
    ['r-0', 'web-1', 'start'],
    ['r-3', undefined, 'start'],
    ['r-5', 'web-1', 'start'],
  ])
})

test('kills may overlap, and each ends by its own name', () => {
  const ledger = new Ledger('r')
  ledger.killBegins('web-1')
  ledger.killBegins('web-2')
  ledger.killEnds('web-1')
  const still = ledger.sent('websocket', 0, 'web-2')
  const notAnyMore = ledger.sent('websocket', 0, 'web-1')
  for (const each of [still, notAnyMore]) ledger.ended(each, reset, 1)
  expect(ledger.stats(1)).toMatchObject({ lost: 1, unknown: 1 })
  expect(() => ledger.killEnds('web-1')).toThrow()
})

test('a message that comes back twice is doubled in the act that sent it', () => {
  const ledger = new Ledger('r')
  const sequence = ledger.sent('websocket', 0, 'web-1')
  ledger.ended(sequence, good, 1)
  ledger.begin('later')
  ledger.cameTwice(sequence)
  expect(ledger.stats(1)).toMatchObject({ doubled: 1, windows: [{ doubled: 1 }, { doubled: 0 }] })
})

test('a slow answer that mostly waited for the prover itself is counted as its own', () => {
  const ledger = new Ledger('r')
  for (const ownMs of [0, 20, 90, 150]) ledger.ended(ledger.sent('close', 0), good, 150, { ownMs })
  ledger.ended(ledger.sent('close', 0), good, 50, { ownMs: 50 })
  expect(ledger.stats(1)).toMatchObject({ slow: 4, slowOwn: 2 })
})

test('what another server has answered was not in flight at the killed one', () => {
  const ledger = new Ledger('r')
  const [elsewhere, there, broken] = [ledger.sent('post', 0), ledger.sent('post', 0), ledger.sent('post', 0)]
  ledger.killBegins('web-2')
  expect(ledger.stats(0).atKills).toBe(3)
  ledger.ended(elsewhere, good, 1)
  ledger.ended(there, { kind: 'good', server: 'web-2' }, 1)
  ledger.ended(broken, reset, 1)
  expect(ledger.stats(1)).toMatchObject({ atKills: 2, unknown: 1, good: 2 })
  expect(ledger.counts(1)).toMatchObject({ sent: 3, lost: 0, unknown: 1, inFlight: 0, act: 'start' })
})
