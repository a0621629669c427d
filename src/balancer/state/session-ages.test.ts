import { expect, test } from 'vitest'
import { joined, leftovers, NOTHING, parseOldest, serversAt } from './session-ages.ts'

const STATES = `1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord
3 web 1 slot1 10.0.0.7 2 8 1 1 2 1 0 2 0 0 0 0 - 3000 -
3 web 2 slot2 10.0.0.8 2 0 1 1 2 1 0 2 0 0 0 0 - 3000 -
3 web 3 slot3 10.0.0.7 2 1 1 1 2 1 0 2 0 0 0 0 - 3000 -
`
const STAT = `# pxname,svname,qcur,scur,type,lastsess
web,slot1,1,2,2,7
web,slot2,0,0,2,-1
web,slot3,0,4,2,3
`
const SESS = `0x561af40578d0: proto=tcpv4 src=127.0.0.1:42326 fe=f be=web srv=slot1 ts=00 epoch=0 age=1m3s calls=3 rate=1
0x561af40578d1: proto=tcpv4 src=127.0.0.1:42327 fe=f be=web srv=slot3 ts=00 epoch=0 age=2s calls=3 rate=1
0x561af4173720: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 epoch=0 age=9d1h calls=1
garbage be=web srv=slot1 age=99d
`

test('what is left on an address is counted over all servers that have it, in maintenance too', () => {
  const found = leftovers({ states: STATES, stat: STAT, sess: SESS }, new Set(['10.0.0.7:3000', '10.0.0.9:3000']))
  expect(found.get('10.0.0.7:3000')).toEqual({
    sessions: 7,
    oldestMs: 63_000,
    quietMs: 3_000,
    isOpen: false,
    isReachable: true,
    servers: ['web/slot1', 'web/slot3'],
  })
  expect(found.get('10.0.0.9:3000')).toEqual(NOTHING)
  expect([...found.keys()]).not.toContain('10.0.0.8:3000')
  expect([...serversAt(STATES, new Set(['10.0.0.7:3000'])).keys()]).toEqual(['web/slot1', 'web/slot3'])
})

test('a server that never had a request says nothing of when the last one was', () => {
  const found = leftovers({ states: STATES, stat: STAT }, new Set(['10.0.0.8:3000'])).get('10.0.0.8:3000')
  expect(found).toEqual({ ...NOTHING, isOpen: true, isReachable: true, servers: ['web/slot2'] })
})

test("ages are read in HAProxy's units; whatever else is on the line is left out", () => {
  const line = (age: string) => `0x1: proto=tcpv4 fe=f be=b srv=s ts=00 age=${age} calls=1`
  const ageOf = (age: string) => parseOldest(line(age)).get('b/s')
  expect(['0s', '59s', '1m3s', '5h1m', '2d4h'].map(ageOf)).toEqual([0, 59_000, 63_000, 18_060_000, 187_200_000])
  expect(['', 's', '-1s', '1e9s', '1x', '99999999s'].map(ageOf)).toEqual(Array.from({ length: 6 }))
})

test('workers add up: the oldest of both, the latest request of both', () => {
  const a = { sessions: 1, oldestMs: 5_000, quietMs: undefined, isOpen: false, isReachable: true, servers: ['x'] }
  const b = { sessions: 2, oldestMs: undefined, quietMs: 9_000, isOpen: true, isReachable: true, servers: ['x', 'y'] }
  expect(joined(a, b)).toEqual({ ...b, sessions: 3, oldestMs: 5_000 })
})

test('requests in flight on a slot that was taken from the address a moment ago are still its', () => {
  const formerly = new Map([['10.0.0.9:3000', ['web/slot3', 'web/slot99']]])
  const found = leftovers({ states: STATES, stat: STAT, sess: SESS }, new Set(['10.0.0.9:3000']), formerly)
  expect(found.get('10.0.0.9:3000')).toEqual({ ...NOTHING, sessions: 4, oldestMs: 2_000 })
})
