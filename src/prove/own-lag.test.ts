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

test('POSTs that were answered and stand in no ledger are lost, and it is not said that nothing was answered', () => {
  const ledger = new Ledger('r')
  for (let i = 0; i < 2; i++) ledger.ended(ledger.sent('post', 0), { kind: 'good', server: undefined }, 1)
  ledger.reconcile([])
  expect(objectionsTo(ledger.stats(2))).toEqual([
    '2 requests were lost, 2 of them POSTs that were answered as good and stand in no ledger: is --ledger that of these servers?',
  ])
})

test('where a ledger is missing, what stands in none is not lost', () => {
  const ledger = new Ledger('r')
  for (let i = 0; i < 2; i++) ledger.ended(ledger.sent('post', 0), { kind: 'good', server: undefined }, 1)
  expect(ledger.reconcile(['r-0', 'r-0'], false)).toEqual({ doubled: ['r-0'], unexecuted: [] })
  expect(objectionsTo(ledger.stats(2))).toEqual(['1 request ran more than once'])
})
