import { expect, test } from 'vitest'
import {
  check,
  down,
  MEMBER,
  member,
  POOL,
  record,
  RING,
  service,
  type VerdictCase,
  withFacts,
} from '../sample-facts.ts'
import { verdictsOf } from '../verdict.ts'

const ENDPOINT = { pool: 'web', port: 3000, weight: undefined, readiness: 'ready' } as const

const CASES: readonly VerdictCase[] = [
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
    'unknown-pool',
    'wrong',
    member({ endpoints: [...MEMBER.endpoints, { ...ENDPOINT, pool: 'nope' }] }),
    /^web-2 takes traffic in pool web, but it serves pool nope, too, which lb-1 does not have; its pools are web$/,
  ],
  [
    'check-status',
    'wrong',
    { ...down({}), ...member({ endpoints: [...MEMBER.endpoints, { ...ENDPOINT, pool: 'nope' }] }) },
    /^web-2 is out of pool web for 42 s/,
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
  ['announced', 'ok', { servers: [], pools: [] }, /^web-2 is alive and announces port 3000 for pool web$/],
  [
    'left',
    'wished',
    { ...member({ status: 'left', tags: {}, endpoints: [] }), servers: [] },
    /^web-2 left the ring on purpose 9 s ago$/,
  ],
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
]

test.each(CASES)('%s is said first, as %s', (code, severity, some, sentence) => {
  const [first] = verdictsOf(withFacts(some))
  expect(first).toMatchObject({ code, severity, sentence: expect.stringMatching(sentence) as string })
})
