import { expect, test } from 'vitest'
import { BALANCER, DRAIN, TRAFFIC, record, server, service, type VerdictCase, withFacts } from '../sample-facts.ts'
import { verdictsOf } from '../verdict.ts'

const CASES: readonly VerdictCase[] = [
  [
    'serving',
    'ok',
    {},
    /^web-2 takes traffic in pool web: announced ready, HAProxy's checks pass \(L7OK 200 in 1 ms\), 14 requests per second$/,
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
    'leaving',
    'wished',
    server({ state: 'drain', reason: 'its member drains it' }),
    /^web-2 takes no new clients in pool web: its member drains it; 0 sessions left$/,
  ],
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
]

test.each(CASES)('%s is said first, as %s', (code, severity, some, sentence) => {
  const [first] = verdictsOf(withFacts(some))
  expect(first).toMatchObject({ code, severity, sentence: expect.stringMatching(sentence) as string })
})
