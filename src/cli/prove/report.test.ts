import { expect, test } from 'vitest'
import { Ledger } from '../../prove/index.ts'
import { resultTable } from './report.ts'

const good = { kind: 'good', server: 'web-1' } as const
const lost = { kind: 'bad', what: 'status 503', mayHaveRun: false } as const

function ledgerOf(acts: number): Ledger {
  const ledger = new Ledger('r', 'before')
  ledger.ended(ledger.sent('close', 0), good, 3)
  for (let i = 0; i < acts; i++) {
    ledger.begin(`act ${i}`)
    ledger.ended(ledger.sent('post', 0), good, 250)
    ledger.ended(ledger.sent('websocket', 0), lost, 1)
  }
  return ledger
}

const cells = (table: string) => table.split('\n').map(line => line.trim().split(/\s{2,}/))

test('the table tells sent, good, lost, doubled, unknown and the slowest, per act and kind, then in all', () => {
  const rows = cells(resultTable(ledgerOf(1).stats(300)))
  expect(rows.map(row => [...row.slice(0, 7), row.at(-1)])).toEqual([
    ['ACT', 'KIND', 'SENT', 'GOOD', 'LOST', 'DOUBLED', 'UNKNOWN', 'SLOWEST MS'],
    ['before', 'close', '1', '1', '0', '0', '0', '3.0'],
    ['act 0', 'post', '1', '1', '0', '0', '0', '250'],
    ['act 0', 'websocket', '1', '0', '1', '0', '0', '1.0'],
    ['total', 'close', '1', '1', '0', '0', '0', '3.0'],
    ['total', 'post', '1', '1', '0', '0', '0', '250'],
    ['total', 'websocket', '1', '0', '1', '0', '0', '1.0'],
    ['total', 'all', '3', '2', '1', '0', '0', '250'],
  ])
})

test('many acts have a row each, all kinds together', () => {
  const rows = cells(resultTable(ledgerOf(20).stats(300)))
  expect(rows.filter(([act]) => act?.startsWith('act'))).toHaveLength(20)
  expect(rows.at(-1)?.slice(0, 5)).toEqual(['total', 'all', '41', '21', '20'])
})

test('acts of a scenario say when they had taken effect, and which never did', () => {
  const acts = [
    { name: 'act 0', followedMs: 41.6 },
    { name: 'act 1', followedMs: undefined, problem: 'it took longer than 45 s' },
  ]
  const rows = cells(resultTable(ledgerOf(2).stats(300), acts))
  expect(rows.map(([act, followed]) => [act, followed]).slice(1, 4)).toEqual([
    ['before', '-'],
    ['act 0', '42'],
    ['act 1', 'never'],
  ])
})
