import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { DrainReport, HistoryRecord } from '../../api/index.ts'
import type { Facts, MemberFacts, ServerFacts, ServiceFacts } from './facts.ts'
import { verdictsOf } from './verdict.ts'

const NOW = Date.parse('2026-11-21T12:00:00Z')
const ago = (seconds: number) => new Date(NOW - seconds * 1000).toISOString()

const TRAFFIC = {
  ...{ sessions: 0, queued: 0, perSecond: 14, requests: 900, errors5xx: 0, connectErrors: 0, responseErrors: 0 },
  ...{ retries: 0, redispatches: 0, quietMs: 0, responseMs: 1, totalMs: 1 },
}
const GOOD = { status: 'L7OK', code: 200, tookMs: 1, words: 'Layer7 check passed', failed: 0 }
const BAD = { status: 'L7STS', code: 500, tookMs: 1, words: 'Internal Server Error', failed: 3 }

const SERVER: ServerFacts = {
  ...{ balancer: 'lb-1', pool: 'web', name: 'web-2', address: '10.0.0.7:3000', state: 'ready', slot: 'slot1' },
  ...{ reason: 'announced ready', weight: 1, haproxyWeight: 1, status: 'UP', sinceMs: 42_000, downs: 0 },
  ...{ check: GOOD, traffic: TRAFFIC },
}
const DOWN: ServerFacts = { ...SERVER, state: 'down', status: 'DOWN', check: BAD }
const MEMBER: MemberFacts = {
  ...{ name: 'web-2', address: '10.0.0.7:7946', status: 'alive', tags: { 'pool.web': '3000' }, isSelf: false },
  ...{ sinceMs: 9_000, failures: 0, isHeld: false, refused: [], hasForeignKey: false },
  endpoints: [{ pool: 'web', port: 3000, weight: undefined, readiness: 'ready' }],
}
const SERVICE: ServiceFacts = {
  ...{ node: 'web-2', name: 'app', state: 'ready', sinceMs: 60_000, restarts: 0, pid: 812, pool: 'web', port: 3000 },
  ...{ lastLines: ['started', 'no database', ''], isFrozen: false, listens: [3000] },
}
const POOL = { balancer: 'lb-1', name: 'web', ready: 2, servers: 2, minServers: 1, holdMs: 10_000 }
const RING = {
  ...{ alive: 4, failed: [], failedTogether: 0, left: 0, balancers: ['lb-1'], hasStopped: false, isAlone: false },
  warnings: [],
}
const BALANCER = { version: '2.6.12', haproxy: 'ready', reloads: 0, drifts: [], advice: [] }
const FACTS: Facts = {
  ...{
    what: 'web-2',
    node: 'lb-1',
    isService: false,
    isBalancer: true,
    members: [MEMBER],
    servers: [SERVER],
    services: [],
    pools: [POOL],
  },
  ...{ drains: [], guards: [], nowMs: NOW, records: [], balancer: BALANCER, ring: RING, silent: [] },
}
const DRAIN: DrainReport = {
  ...{ server: 'web-2', by: 'anna@lb-1', since: ago(180), reason: 'new disk', forced: false, takenBack: false },
  ...{ sessions: 2, done: false, silent: [] },
  balancers: [{ name: 'lb-1', sessions: 2, bound: false, open: false, confirmed: true }],
}
const record = (kind: HistoryRecord['kind'], more: object, seconds = 3): HistoryRecord => ({
  ...{ index: 1, at: ago(seconds), kind },
  ...more,
})

type Some = Partial<Facts>
const server = (more: Partial<ServerFacts>): Some => ({ servers: [{ ...SERVER, ...more }] })
const down = (more: Partial<ServerFacts>): Some => ({ servers: [{ ...DOWN, ...more }] })
const member = (more: Partial<MemberFacts>): Some => ({ members: [{ ...MEMBER, ...more }] })
const service = (more: Partial<ServiceFacts>, rest: Some = { servers: [] }): Some => ({
  services: [{ ...SERVICE, ...more }],
  ...rest,
})
const node = (more: Some): Some => {
  const { what: _, ...rest } = { ...FACTS, ...more }
  return { ...rest, what: undefined as never }
}
const balancer = (more: object): Some => node({ balancer: { ...BALANCER, ...more } })
const ring = (more: object): Some => node({ ring: { ...RING, ...more } })
const look = (more: object) => ({ asked: 'GET /up', tookMs: 2, ...more })
const check = (more: object) => down({ check: { ...BAD, ...more } })

const CASES: readonly (readonly [code: string, severity: string, facts: Some, sentence: RegExp])[] = [
  [
    'serving',
    'ok',
    {},
    /^web-2 takes traffic in pool web: announced ready, HAProxy's checks pass \(L7OK 200 in 1 ms\), 14 requests per second$/,
  ],
  [
    'check-status',
    'wrong',
    down({ look: look({ code: 500, body: 'database gone\n', problem: 'answered 500' }) }),
    /^web-2 is out of pool web for 42 s: GET \/up answered 500, 3 checks failed; last body "database gone"$/,
  ],
  [
    'refused-connection',
    'wrong',
    check({ status: 'L4CON', words: 'Connection refused' }),
    /nothing listens on 10\.0\.0\.7:3000: connection refused, 3 checks failed$/,
  ],
  [
    'unreachable',
    'wrong',
    check({ status: 'L4CON', words: 'No route to host' }),
    /no connection to 10\.0\.0\.7:3000: No route to host/,
  ],
  ['unreachable', 'wrong', check({ status: 'L4TOUT' }), /its host is off, cut off, or drops packets$/],
  ['timeout', 'wrong', check({ status: 'L7TOUT' }), /not answered within the check's time-out.*frozen or overloaded/],
  [
    'check-tls',
    'wrong',
    check({ status: 'L6RSP', words: 'SSL handshake failure' }),
    /TLS fails: SSL handshake failure/,
  ],
  [
    'check-socket',
    'wrong',
    check({ status: 'SOCKERR', words: 'too many files' }),
    /HAProxy cannot make a connection: too many files/,
  ],
  [
    'check-answer',
    'wrong',
    check({ status: 'L7RSP', words: 'Layer7 invalid response' }),
    /is none that the check takes: Layer7 invalid response/,
  ],
  ['recovering', 'wrong', check({ status: 'L7OK' }), /HAProxy's next good checks let it in$/],
  [
    'entering',
    'wrong',
    server({ state: 'entering', look: look({ code: 404, body: '', problem: 'answered 404' }) }),
    /^web-2 is not in pool web yet: it is announced, but its first probe fails: GET \/up answered 404$/,
  ],
  [
    'drained',
    'wished',
    { drains: [DRAIN] },
    /^web-2 was drained by anna@lb-1 3 m ago \("new disk"\): 2 sessions left on lb-1; to take it back: muster drain --undo web-2$/,
  ],
  [
    'drain-held-back',
    'wrong',
    { drains: [{ ...DRAIN, heldBack: 'web' }] },
    /and takes traffic all the same: pool web has no other live server$/,
  ],
  [
    'quarantined',
    'wrong',
    service({ state: 'quarantined', restarts: 9, reason: 'exit status 3' }),
    /^web-2 is not in pool web: its service app was given up after 9 restarts: exit status 3; its last line: "no database"$/,
  ],
  [
    'crashed',
    'wrong',
    service({ state: 'backoff', restarts: 1, reason: 'killed by SIGSEGV', sinceMs: 4_000 }),
    /ended: killed by SIGSEGV, 4 s ago and is started again \(1 restart so far\)/,
  ],
  [
    'frozen',
    'wrong',
    service({ isFrozen: true }, down({ check: { ...BAD, status: 'L7TOUT' } })),
    /^web-2 is out of pool web for 42 s: the process of its service app \(pid 812\) is stopped by a signal or a debugger/,
  ],
  [
    'wrong-port',
    'wrong',
    service({ state: 'starting', port: 3001 }),
    /its service app is configured for port 3001, and its process \(pid 812\) listens on port 3000$/,
  ],
  [
    'not-ready',
    'wrong',
    service({ state: 'starting', look: look({ code: 503, body: 'warming up', problem: 'answered 503' }) }),
    /runs for 1 m and is not ready: GET \/up answered 503, body "warming up"/,
  ],
  [
    'stopping',
    'wished',
    service({ state: 'stopping', reason: 'asked to stop' }, server({ state: 'drain' })),
    /^web-2 takes no new clients in pool web: its service app is drained and stopped \(asked to stop\), 0 sessions left$/,
  ],
  [
    'stopped',
    'wrong',
    service({ state: 'stopped', reason: 'asked to stop' }),
    /its service app is stopped for 1 m: asked to stop$/,
  ],
  [
    'restarted',
    'ok',
    service({ restarts: 1, sinceMs: 2_000 }, {}),
    /^web-2 takes traffic in pool web: its service app ended and was started again 2 s ago, 1 restart so far$/,
  ],
  ['crash-loop', 'wrong', service({ restarts: 7, sinceMs: 2_000 }, {}), /7 restarts so far$/],
  [
    'left',
    'wished',
    { ...member({ status: 'left' }), servers: [] },
    /^web-2 is not in pool web: it left the ring on purpose 9 s ago$/,
  ],
  ['key-mismatch', 'wrong', member({ hasForeignKey: true }), /web-2 speaks with a gossip key that lb-1 does not have/],
  [
    'failed',
    'wrong',
    { ...member({ status: 'failed' }), ...check({ status: 'L4TOUT' }) },
    /^web-2 is out of pool web for 42 s: its member failed 9 s ago, its agent or host gives no sign, and HAProxy's checks fail: no connection/,
  ],
  [
    'failed-served',
    'wrong',
    member({ status: 'failed' }),
    /^web-2 takes traffic in pool web although its member failed 9 s ago/,
  ],
  [
    'partition',
    'wrong',
    { ...member({ status: 'failed' }), ring: { ...RING, alive: 1, failed: ['web-2', 'web-3'], failedTogether: 2 } },
    /^web-2 failed 9 s ago, with 1 other member at once \(web-3\): lb-1 is likely cut off/,
  ],
  ['flapping', 'wrong', member({ isHeld: true, failures: 4 }), /its member flaps, it has failed 4 times of late/],
  [
    'refused',
    'wrong',
    { ...member({ refused: ['tag port="99999" is not a port'], endpoints: [] }), servers: [] },
    /^web-2 is in no pool: what it announces is refused: tag port="99999" is not a port$/,
  ],
  [
    'address-taken',
    'wrong',
    { ...member({ rival: { name: 'web-3', endpoint: '10.0.0.7:3000' } }), servers: [] },
    /web-3 announces 10\.0\.0\.7:3000, too, and has it/,
  ],
  [
    'no-balancer',
    'wrong',
    { ...service({}), isBalancer: false, ring: { ...RING, balancers: [] } },
    /^web-2 gets no traffic: no balancer is alive in the ring$/,
  ],
  [
    'unknown-pool',
    'wrong',
    { servers: [], pools: [{ ...POOL, name: 'api' }] },
    /^web-2 gets no traffic: it serves pool web, which lb-1 does not have; its pools are api$/,
  ],
  [
    'withdrawn',
    'wrong',
    { ...member({ endpoints: [], tags: { 'pool.web': '' } }), servers: [] },
    /^web-2 is not in pool web: its agent has taken the endpoint back/,
  ],
  [
    'withdrawn',
    'wrong',
    {
      ...member({ endpoints: [], tags: {} }),
      servers: [],
      records: [record('receipt', { changes: [{ server: 'web-2', pool: 'web', after: null }] })],
    },
    /^web-2 is not in pool web: its tags named it until 3 s ago/,
  ],
  ['no-pool', 'ok', { ...member({ endpoints: [], tags: {} }), servers: [] }, /serves no pool: its tags name none$/],
  [
    'balancer',
    'ok',
    { what: 'lb-2', servers: [], members: [{ ...MEMBER, name: 'lb-2', tags: { role: 'balancer' }, endpoints: [] }] },
    /^lb-2 is alive and balances/,
  ],
  [
    'leaving',
    'wished',
    { ...member({ status: 'leaving', endpoints: [] }), servers: [] },
    /^web-2 is leaving the ring$/,
  ],
  [
    'leaving',
    'wished',
    server({ state: 'drain', reason: 'its member drains it' }),
    /^web-2 takes no new clients in pool web: its member drains it; 0 sessions left$/,
  ],
  ['announced', 'ok', { servers: [], pools: [] }, /^web-2 is alive and announces port 3000 for pool web$/],
  [
    'changed-by-hand',
    'wrong',
    server({ status: 'MAINT', drift: { outcome: 'left alone for a while', agoMs: 5_000 } }),
    /somebody set it to MAINT in HAProxy by hand, 5 s ago, left alone/,
  ],
  [
    'drift',
    'ok',
    server({ drift: { outcome: 'put right', agoMs: 5_000 } }),
    /^web-2 takes traffic in pool web: somebody changed it in HAProxy by hand 5 s ago, put right$/,
  ],
  [
    'not-placed',
    'wrong',
    {
      servers: [
        {
          balancer: 'lb-1',
          pool: 'web',
          name: 'web-2',
          address: '10.0.0.7:3000',
          state: 'down',
          reason: 'HAProxy does not have it yet',
          weight: 1,
        },
      ],
      balancer: { ...BALANCER, problem: 'no slots' },
    },
    /^web-2 is not in HAProxy yet for pool web: no slots$/,
  ],
  [
    'haproxy-down',
    'wrong',
    { balancer: { ...BALANCER, haproxy: 'unreachable' } },
    /^web-2 may get no traffic: HAProxy on lb-1 is unreachable$/,
  ],
  [
    'unclaimed',
    'wrong',
    { ...server({ reason: 'nobody claims it, under checks' }), members: [] },
    /^web-2 takes traffic in pool web, and no member announces it: nobody claims it, under checks$/,
  ],
  [
    'config-invalid',
    'wrong',
    ring({ warnings: ['the configuration was not taken, the one before serves: muster.yaml:3: what'] }),
    /^on lb-1 the configuration was not taken, the one before serves: muster\.yaml:3: what$/,
  ],
  [
    'warning',
    'wrong',
    ring({ warnings: ['generation 3 of the configuration serves', 'app waits'] }),
    /^lb-1 warns: app waits$/,
  ],
  [
    'stop-waits',
    'wrong',
    {
      ...service({ state: 'stopping' }, {}),
      node: 'web-2',
      ring: { ...RING, warnings: ['app is being stopped and waits for lb-1, which gives no answer'] },
    },
    /: app is being stopped and waits for lb-1, which gives no answer$/,
  ],
  [
    'recovering',
    'ok',
    down({ status: 'UP', check: GOOD }),
    /^web-2 comes back into pool web at this moment: HAProxy says UP$/,
  ],
  [
    'left',
    'wished',
    { ...member({ status: 'left', tags: {}, endpoints: [] }), servers: [] },
    /^web-2 left the ring on purpose 9 s ago$/,
  ],
  ['weight-zero', 'wrong', server({ haproxyWeight: 0 }), /: HAProxy has weight 0 for it, its tag 1$/],
  [
    'weight-zero',
    'wished',
    server({ weight: 0 }),
    /^web-2 gets no new clients in pool web: its tag gives it weight 0$/,
  ],
  [
    'flapping',
    'wrong',
    { ...server({ state: 'drain', reason: 'it came and went again and again; held out for 9 s more' }) },
    /^web-2 is held out of pool web, since it flaps: it came and went/,
  ],
  [
    'slow',
    'wrong',
    { guards: [{ guard: 'slow server', pool: 'web', server: 'web-2', what: 'web-2 answers much slower' }] },
    /but less than its share: web-2 answers much slower/,
  ],
  [
    'guard',
    'wrong',
    { records: [record('guard', { guard: 'other', server: 'web-2', what: 'held it' })] },
    /the guard "other" acted 3 s ago: held it$/,
  ],
  [
    'flapping',
    'wrong',
    server({ downs: 6 }),
    /but it flaps: HAProxy's checks failed and passed again 5 times, last 42 s ago$/,
  ],
  [
    'flapping',
    'wrong',
    { records: [1, 2, 3].map(at => record('member', { event: 'failed', member: 'web-2' }, at)) },
    /its member failed and came back 3 times/,
  ],
  [
    'errors',
    'wrong',
    server({ traffic: { ...TRAFFIC, errors5xx: 300 } }),
    /its checks pass, but 300 of 900 requests since HAProxy's last reload were answered with 5xx$/,
  ],
  ['silent', 'wrong', { silent: ['web-2'] }, /but the agent of web-2 gives no answer/],
  [
    'below-minimum',
    'ok',
    {
      records: [
        record('command', {
          actor: 'anna',
          command: 'drain web-2',
          outcome:
            'web-2 is not drained: pool web has 1 server in traffic on lb-1 and must keep 1; 0 would be left; to go on all the same: --force',
        }),
      ],
    },
    /the drain of anna 3 s ago was refused: pool web has 1 server in traffic on lb-1 and must keep 1; 0 would be left$/,
  ],
  [
    'running',
    'ok',
    service({ pool: undefined as never }, { servers: [], members: [] }),
    /^app runs \(pid 812\) for 1 m; it serves no pool$/,
  ],
  [
    'running',
    'ok',
    service({}),
    /^web-2 is ready \(pid 812\) for 1 m and announced for pool web; no balancer has told of it \(lb-1\)$/,
  ],
  ['pool-well', 'ok', { what: 'web' }, /^pool web has 2 of 2 servers in traffic$/],
  [
    'pool-degraded',
    'wrong',
    { what: 'web', servers: [DOWN] },
    /^pool web has 2 of 2 servers in traffic: web-2 is out of pool web/,
  ],
  [
    'pool-below-minimum',
    'wrong',
    { what: 'web', pools: [{ ...POOL, ready: 1, minServers: 2 }] },
    /^pool web has 1 of 2 servers in traffic and should keep 2$/,
  ],
  [
    'pool-empty',
    'wrong',
    { what: 'web', servers: [DOWN], pools: [{ ...POOL, ready: 0 }] },
    /^pool web has no server in traffic, requests wait up to 10 s: web-2 is out of pool web for 42 s: /,
  ],
  [
    'pool-empty',
    'wrong',
    { what: 'web', servers: [], members: [], pools: [{ ...POOL, ready: 0, servers: 0, holdMs: 0 }] },
    /^pool web has no server in traffic: no member announces it$/,
  ],
  [
    'well',
    'ok',
    node({}),
    /^nothing is wrong on lb-1: pool web has 2 of 2 servers in traffic, HAProxy 2\.6\.12 is ready, 4 members alive$/,
  ],
  ['name-clash', 'wrong', ring({ hasStopped: true }), /^lb-1 has lost its name/],
  [
    'name-clash',
    'wrong',
    {
      ...service({ node: 'web-2' }),
      node: 'web-2',
      isBalancer: false,
      members: [{ ...MEMBER, isSelf: true }],
      ring: { ...RING, hasStopped: true },
    },
    /^web-2 has lost its name/,
  ],
  [
    'haproxy-down',
    'wrong',
    balancer({ haproxy: 'unreachable', problem: 'no answer' }),
    /^HAProxy on lb-1 is unreachable: no answer$/,
  ],
  [
    'template',
    'wrong',
    balancer({ configuration: { kind: 'template', words: 'site.hbs:3: nobody' } }),
    /^the template of lb-1 is bad and not in force, the one before serves: site\.hbs:3: nobody$/,
  ],
  [
    'config-refused',
    'wrong',
    balancer({
      configuration: {
        kind: 'refused',
        words:
          'refused: HAProxy refused it\n[NOTICE]   (12) : x\n[ALERT]    (12) : config : parsing [a.cfg:3] : unknown word',
      },
    }),
    /^HAProxy refuses the newest configuration of lb-1, the one before serves: config : parsing \[a\.cfg:3\] : unknown word$/,
  ],
  [
    'config-invalid',
    'wrong',
    balancer({ configuration: { kind: 'invalid', words: 'muster.yaml:3: what' } }),
    /^the configuration in the files of lb-1 is not in force: muster\.yaml:3: what$/,
  ],
  [
    'disk',
    'wrong',
    balancer({ problem: 'ENOSPC: no space left on device, write' }),
    /^lb-1 balances, but cannot write: ENOSPC/,
  ],
  [
    'balancer-problem',
    'wrong',
    balancer({ problem: 'something else' }),
    /^lb-1 cannot bring HAProxy up to date: something else$/,
  ],
  [
    'drift',
    'wrong',
    balancer({ drifts: [{ what: "HAProxy's file", outcome: 'kept', agoMs: 1_000 }] }),
    /^somebody changed HAProxy's file by hand 1 s ago: kept$/,
  ],
  ['drift', 'ok', balancer({ drifts: [{ what: "HAProxy's file", outcome: 'put right', agoMs: 1_000 }] }), /put right$/],
  ['rolled-back', 'wished', balancer({ pinned: 3 }), /^lb-1 serves generation 3 of its configuration/],
  ['alone', 'wrong', ring({ isAlone: true }), /^lb-1 is alone/],
  [
    'partition',
    'wrong',
    ring({ alive: 1, failed: ['web-2', 'web-3'], failedTogether: 2 }),
    /^lb-1 is likely cut off by the network: 2 of 2 other members failed at once \(web-2 and web-3\)$/,
  ],
  [
    'key-mismatch',
    'wrong',
    ring({ warnings: ['web-2 (10.0.0.7) speaks with a key that this node does not have'] }),
    /^web-2 \(10\.0\.0\.7\) speaks with a key/,
  ],
  [
    'mass-disappearance',
    'wrong',
    node({ guards: [{ guard: 'mass disappearance', pool: 'web', what: '2 of 2 servers of pool web have failed' }] }),
    /^2 of 2 servers/,
  ],
  [
    'journal',
    'wrong',
    node({ journalProblem: 'the disk is full' }),
    /^nothing is put on record on lb-1: the disk is full$/,
  ],
  ['failed-members', 'wrong', node({ ring: { ...RING, failed: ['web-9'] } }), /^1 member of the ring failed: web-9$/],
]

describe('each rule has its case, and says it first', () => {
  test.each(CASES)('%s, %s', (code, severity, some, sentence) => {
    const { what, ...rest } = { ...FACTS, ...some }
    const [first] = verdictsOf(what === undefined ? (rest as Facts) : { ...rest, what })
    expect(first?.sentence).toMatch(sentence)
    expect(first).toMatchObject({ code, severity })
  })
})

test('what to do about each verdict is in docs/why.md', () => {
  const page = readFileSync(resolve(import.meta.dirname, '../../../docs/why.md'), 'utf8')
  const missing = CASES.filter(([code]) => !page.includes(`\`${code}\``)).map(([code]) => code)
  expect(missing).toEqual([])
})

test('what is wrong besides is said behind the verdict, the same sentence once', () => {
  const others = verdictsOf({ ...FACTS, ...down({}), drains: [DRAIN], silent: ['web-2'] })
  expect(others.map(({ code }) => code)).toEqual(['drained', 'check-status', 'silent'])
  expect(verdictsOf({ ...FACTS, servers: [SERVER, SERVER] })).toHaveLength(1)
})

test('of a node the worst comes first, and a name that nobody knows has no verdict', () => {
  const { what: _, ...rest } = FACTS
  const said = verdictsOf({
    ...rest,
    servers: [DOWN, { ...SERVER, name: 'web-3' }],
    balancer: { ...BALANCER, pinned: 2 },
  })
  expect(said.map(({ code }) => code)).toEqual(['check-status', 'rolled-back'])
  expect(verdictsOf({ ...FACTS, what: 'nobody', members: [], servers: [] })).toEqual([])
})
