import { expect, test } from 'vitest'
import { parseEvidence } from './evidence.ts'

const COLUMNS = [
  ...['pxname', 'svname', 'qcur', 'scur', 'stot', 'econ', 'eresp', 'wretr', 'wredis', 'status', 'weight', 'chkfail'],
  ...['chkdown', 'lastchg', 'downtime', 'type', 'rate', 'check_status', 'check_code', 'check_duration', 'hrsp_5xx'],
  ...['req_tot', 'lastsess', 'last_chk', 'rtime', 'ttime', 'addr'],
]

function row(cells: Readonly<Record<string, string>>): string {
  return COLUMNS.map(name => cells[name] ?? '').join(',')
}

const csv = (...rows: string[]) => [`# ${COLUMNS.join(',')},`, ...rows, ''].join('\n')

test('a server that is down tells its last check, since when, and how often it failed', () => {
  const text = csv(
    row({ pxname: 'web', svname: 'BACKEND', type: '1', status: 'UP' }),
    row({
      ...{ pxname: 'web', svname: 'slot1', type: '2', status: 'DOWN', lastchg: '42', chkfail: '3', chkdown: '1' },
      ...{ check_status: '* L7STS', check_code: '500', check_duration: '2', last_chk: '"no, ""really"""' },
      ...{ addr: '10.0.0.7:3000', weight: '1', stot: '9', lastsess: '-1' },
    }),
  )
  expect(parseEvidence(text)).toMatchObject([
    {
      ...{ backend: 'web', server: 'slot1', address: '10.0.0.7:3000', status: 'DOWN', sinceMs: 42_000, downs: 1 },
      check: { status: 'L7STS', code: 500, tookMs: 2, words: 'no, "really"', failed: 3 },
      traffic: { requests: 9, quietMs: undefined },
    },
  ])
})

test('anything that is no statistics has no server, and a short line reads as nothing', () => {
  for (const text of ['', '\n', 'No such proxy.\n', '# pxname,svname\nweb,slot1\n', '# type\n2\n"\n,,,"', '\0\xff'])
    for (const one of parseEvidence(text)) expect(one).toMatchObject({ status: '', traffic: { requests: 0 } })
})
