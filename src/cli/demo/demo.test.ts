import { expect, test } from 'vitest'
import { Ledger } from '../../prove/index.ts'
import { actDocument, actTable, objections } from './act-table.ts'
import { parseDemoOptions } from './options.ts'

const good = { kind: 'good', server: 'web-1' } as const
const lost = { kind: 'bad', what: 'status 503', mayHaveRun: false } as const
const kill = { name: 'kill web-1', kill: true, followedMs: 12 }
const asked = { template: 'slots', ranForMs: 1000, rateMin: 2 } as const

function run(outcomeAtKill: typeof good | typeof lost) {
  const ledger = new Ledger('r')
  ledger.ended(ledger.sent('post', 0), good, 1)
  ledger.begin('kill web-1')
  ledger.ended(ledger.sent('close', 0), outcomeAtKill, 1)
  return ledger.stats(1)
}

test('the check passes only without a lost request, with every act followed, POSTs, and enough of a load', () => {
  expect(objections([kill], run(good), asked)).toEqual([])
  expect(objections([kill], run(lost), asked)).toEqual(['1 requests were lost'])
  const never = { ...kill, followedMs: undefined, problem: 'it still serves' }
  expect(objections([never], run(good), asked)).toEqual(['kill web-1: it still serves'])
  expect(objections([kill], run(good), { ...asked, rateMin: 500 })).toHaveLength(1)
  expect(objections([kill], new Ledger('r').stats(0), { ...asked, rateMin: 0 })[0]).toMatch('no POST')
})

test('a classic template may lose requests at a kill, and at nothing else', () => {
  const classic = { ...asked, template: 'classic' } as const
  expect(objections([kill], run(lost), classic)).toEqual([])
  expect(objections([{ ...kill, kill: false }], run(lost), classic)).toHaveLength(1)
})

test('the act table shows each act with its requests', () => {
  const lines = actTable([kill], run(lost)).split('\n')
  expect(lines.map(line => line.split(/\s{2,}/).slice(0, 4))).toEqual([
    ['ACT', 'FOLLOWED MS', 'REQUESTS', 'LOST'],
    ['start', '-', '1', '0'],
    ['kill web-1', '12', '1', '1'],
    ['total', '-', '2', '1'],
  ])
})

test('for programs the table is a document', () => {
  const stats = run(lost)
  expect(actDocument([kill], stats, ['1 requests were lost'])).toMatchObject({
    ...{ passed: false, objections: ['1 requests were lost'], total: { sent: 2, lost: 1 } },
    acts: [
      { name: 'start', sent: 1, lost: 0 },
      { name: 'kill web-1', followedMs: 12, sent: 1, lost: 1 },
    ],
  })
  const never = { ...kill, followedMs: undefined, problem: 'it still serves' }
  expect(actDocument([never], stats, [])).toMatchObject({
    acts: [{}, { followedMs: null, problem: 'it still serves' }],
  })
  expect(parseDemoOptions(['--check', '-o', 'json'])).toMatchObject({ output: 'json' })
  expect(() => parseDemoOptions(['-o', 'json'])).toThrow('-o json is for --check')
})

test('options have defaults and limits, and say what is wrong', () => {
  expect(parseDemoOptions([])).toMatchObject({ check: false, template: 'slots', ratePerSecond: 50 })
  expect(parseDemoOptions(['--check', '--template', 'named'])).toMatchObject({ template: 'named', ratePerSecond: 600 })
  for (const bad of [['--template', 'x'], ['--seconds', '1'], ['--rate', 'x'], ['--nope']]) {
    expect(() => parseDemoOptions(bad)).toThrow()
  }
})
