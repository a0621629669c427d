import { expect, test } from 'vitest'
import type { WhyReport } from '../api/index.ts'
import { whyText } from './why.ts'

const REPORT: WhyReport = {
  ...{ what: 'web-2', node: 'lb-1', silent: [] },
  verdict: {
    code: 'check-status',
    severity: 'wrong',
    sentence: 'web-2 is out of pool web: GET / answered 500',
    about: 'web-2',
  },
  also: [
    { code: 'silent', severity: 'wrong', sentence: 'its agent gives no answer', about: 'web-2' },
    { code: 'rolled-back', severity: 'wished', sentence: 'lb-1 serves generation 1', about: 'lb-1' },
  ],
  evidence: [
    {
      from: 'haproxy',
      about: 'web/web-2',
      seenBy: 'lb-1',
      facts: { state: 'down', sinceMs: 42_000, checkTookMs: 3, errors5xx: 7, frozen: true },
    },
    { from: 'gossip', about: 'web-2', seenBy: 'lb-1', facts: { tags: ['dc=a', 'pool.web=3000'] } },
  ],
  records: [
    {
      index: 1,
      at: '2026-11-21T12:00:00.000Z',
      kind: 'guard',
      guard: 'drain',
      what: 'drained by anna',
      server: 'web-2',
    },
  ],
}

test('the verdict is the first line; then what else, the evidence in words, and the last records', () => {
  const lines = whyText(REPORT, Date.parse('2026-11-21T12:01:00Z')).split('\n')
  expect(lines[0]).toBe('web-2 is out of pool web: GET / answered 500')
  expect(lines.slice(2, 5)).toEqual(['and also:', '  - its agent gives no answer', '  + lb-1 serves generation 1'])
  expect(lines.slice(6, 12)).toEqual([
    'haproxy: web/web-2, as lb-1 sees it',
    '  state       down',
    '  since       42 s',
    '  check took  3 ms',
    '  errors 5xx  7',
    '  frozen      yes',
  ])
  expect(lines.slice(13, 16)).toEqual(['gossip: web-2, as lb-1 sees it', '  tags  dc=a', '        pool.web=3000'])
  expect(lines.at(-1)).toContain('drained by anna')
})

test('what strangers wrote cannot move the cursor or begin a line', () => {
  const verdict = { ...REPORT.verdict, sentence: 'web\n\u001b[2J' }
  const evidence = [{ from: 'gossip', about: 'a\nb', seenBy: 'lb-1', facts: { tags: ['x\r\ny'] } }] as const
  expect(whyText({ ...REPORT, verdict, also: [], evidence, records: [] }, 0)).toBe(
    'web\uFFFD\uFFFD[2J\n\ngossip: a\uFFFDb, as lb-1 sees it\n  tags  x\uFFFD\uFFFDy',
  )
})
