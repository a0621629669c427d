import { expect, test } from 'vitest'
import type { HistoryPools, HistoryRecord } from '../api/index.ts'
import { historyTable, poolsTable, remarksOn } from './history.ts'
import { formatTime, parseTime, zoneOf } from './history-time.ts'

const now = new Date(2026, 10, 21, 12, 0, 0).getTime()
const iso = (ms: number) => new Date(ms).toISOString()

test('times are read as people write them, in local time', () => {
  const read = (text: string) => parseTime('--at', text, now)
  expect(read('now')).toBe(now)
  expect(read('10m')).toBe(now - 600_000)
  expect(read('-1h30m')).toBe(now - 5_400_000)
  expect(read('2d')).toBe(now - 172_800_000)
  expect(read('11:03')).toBe(new Date(2026, 10, 21, 11, 3).getTime())
  expect(read('11:03:07.25')).toBe(new Date(2026, 10, 21, 11, 3, 7, 250).getTime())
  expect(read('2026-11-20')).toBe(new Date(2026, 10, 20).getTime())
  expect(read('2026-11-20 23:00:01.123')).toBe(new Date(2026, 10, 20, 23, 0, 1, 123).getTime())
  expect(read('2026-11-20T23:00:01+01:00')).toBe(Date.UTC(2026, 10, 20, 22, 0, 1))
})

test('what is no time, or still to come, is refused with the forms there are', () => {
  for (const text of ['', 'noon', '25:00', '11:60', '2026-13-01', '12', '1e9', '10m; rm'])
    expect(() => parseTime('--since', text, now), text).toThrow(/^--since: .* is no time; write 12:03:07 \(today\)/)
  expect(() => parseTime('--at', '12:00:01', now)).toThrow('--at: 12:00:01 is still to come')
  expect(() => parseTime('--at', '2026-11-22', now)).toThrow('still to come')
})

test('a time that is printed can be given back', () => {
  for (const ms of [now - 1, now - 86_400_123]) expect(parseTime('--at', formatTime(ms, now), now)).toBe(ms)
  expect(formatTime(now - 1, now)).toBe('11:59:59.999')
  expect(formatTime(now - 86_400_000, now)).toBe('2026-11-20 12:00:00.000')
})

const member = (status: string, tags: object = {}) => ({ address: '10.0.0.2:7946', status, tags })
const records: HistoryRecord[] = [
  {
    ...{ index: 1, at: iso(now - 5000), kind: 'member', event: 'update', member: 'web-1', seenBy: 'lb' },
    ...{ before: member('alive', { 'pool.web': '' }), after: member('alive', { 'pool.web': '3000', dc: 'a' }) },
  },
  {
    ...{ index: 2, at: iso(now - 4000), kind: 'service', service: 'web', before: 'ready', after: 'backoff' },
    reason: 'exit status 3',
  },
  {
    ...{ index: 3, at: iso(now - 3000), kind: 'receipt', id: 'r1', actor: 'muster', method: 'runtime', tookMs: 2.25 },
    ...{
      causes: Array(2).fill({ what: 'member-update', member: 'web-1', seenBy: 'lb' }),
      reasons: [],
      commands: ['…'],
    },
    changes: [
      {
        ...{ pool: 'web', server: 'web-1', address: '10.0.0.2:3000', before: null, reason: 'announced ready' },
        after: { state: 'ready', weight: 1 },
      },
    ],
  },
  { index: 4, at: iso(now - 2000), kind: 'agent', event: 'gap', missing: 7, reason: 'ENOSPC' },
  {
    ...{ index: 5, at: iso(now - 1500), kind: 'command', actor: 'root', command: 'apply' },
    outcome: 'refused: HAProxy refused it\n[ALERT]  parsing [haproxy.cfg:4]: what: it is',
  },
  { index: 6, at: iso(now - 1000), kind: 'receipt', changes: 'from an agent of another version' },
]

test('a record is a line: when, who, how, how long, what, why', () => {
  const lines = historyTable(records, now)
    .split('\n')
    .map(line => line.replace(/ {2,}/g, '  '))
  expect(lines).toEqual([
    `TIME (${zoneOf(now)})  WHO  HOW  TOOK  WHAT  WHY`,
    '11:59:55.000  lb  gossip  -  web-1 10.0.0.2:7946 changed  pool.web= → pool.web=3000, +dc=a',
    '11:59:56.000  supervisor  -  -  service web: ready → backoff  exit status 3',
    '11:59:57.000  muster  runtime  2.3 ms  web/web-1 10.0.0.2:3000 new → ready  member-update web-1 seen by lb; announced ready',
    '11:59:58.000  journal  -  -  7 records are missing here  ENOSPC',
    '11:59:58.500  root  refused  -  apply  HAProxy refused it [ALERT]  parsing [haproxy.cfg:4]: what: it is',
    '11:59:59.000  -  -  -  no server has changed  ',
  ])
})

const pools: HistoryPools = {
  ...{ at: iso(now - 1000), known: true, whole: true, begins: iso(now - 9000) },
  servers: [
    {
      ...{ pool: 'web', server: 'web-1', address: '10.0.0.2:3000', state: 'drain', weight: 5 },
      ...{ since: iso(now - 3000), reason: 'its member is leaving' },
    },
  ],
}

test('the pools as they were are a table, with what the agent was at then', () => {
  expect(poolsTable(pools, now).split('\n')).toEqual([
    'POOL  SERVER  ADDRESS        STATE  WEIGHT  SINCE         REASON',
    'web   web-1   10.0.0.2:3000  drain  5       11:59:57.000  its member is leaving',
  ])
  expect(remarksOn(pools, now)).toEqual([`at 11:59:59.000 (${zoneOf(now)}):`])
  const stopped = { ...pools, agent: { event: 'stopped', at: iso(now - 2000) }, whole: false }
  expect(remarksOn(stopped, now).slice(1)).toEqual([
    'the agent had stopped at 11:59:58.000, and HAProxy with it',
    'part of the journal is damaged here; servers may be missing',
  ])
  expect(remarksOn({ ...pools, known: false, servers: [] }, now)).toEqual([
    `nothing is known of 11:59:59.000 (${zoneOf(now)}); the journal begins at 11:59:51.000`,
  ])
})
