import { expect, test } from 'vitest'
import { Ledger } from './ledger.ts'
import { LagMeter } from './own-lag.ts'
import { objectionsTo, selfCheck } from './verdict.ts'

test('a stall of the prover is measured while it lasts and afterwards; ordinary lateness is none', () => {
  const meter = new LagMeter(5, 0)
  meter.tick(5)
  meter.tick(12) // 2 ms too late
  expect(meter.stalledMs(13)).toBe(0)
  expect(meter.stalledMs(217)).toBe(200)
  meter.tick(217)
  expect(meter.stalledMs(218)).toBe(200)
  expect(meter.lag().maxMs).toBe(200)
})

test('the load says when it was behind its own schedule, and which share of the slow answers is its own', () => {
  const ledger = new Ledger('r')
  ledger.ended(ledger.sent('close', 0), { kind: 'good', server: undefined }, 500, { ownMs: 400 })
  const said = selfCheck(ledger.stats(500), { p99Ms: 30, maxMs: 400 })
  expect(said).toMatch('1 of the 1 answers')
  expect(selfCheck(new Ledger('r').stats(0), { p99Ms: 3, maxMs: 9 })).toBeUndefined()
})

test('nothing answered proves nothing; lost and doubled speak against, what a kill accounts for does not', () => {
  const ledger = new Ledger('r')
  expect(objectionsTo(ledger.stats(0))).toHaveLength(1)
  ledger.ended(ledger.sent('close', 0), { kind: 'good', server: undefined }, 1)
  const post = ledger.sent('post', 1)
  ledger.killBegins()
  ledger.ended(post, { kind: 'bad', what: 'ECONNRESET', mayHaveRun: true }, 2)
  expect(objectionsTo(ledger.stats(2))).toEqual([])
  ledger.reconcile(['r-1', 'r-1'])
  expect(objectionsTo(ledger.stats(2))).toEqual(['1 request ran more than once'])
})
