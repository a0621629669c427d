import { expect, test } from 'vitest'
import { DOWN, POOL, type VerdictCase, withFacts } from '../sample-facts.ts'
import { verdictsOf } from '../verdict.ts'

const CASES: readonly VerdictCase[] = [
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
    /^pool web has 1 of 2 servers in traffic and should have 2 \(min_servers\)$/,
  ],
  [
    'pool-below-minimum',
    'wrong',
    { what: 'web', pools: [{ ...POOL, minServers: 5 }] },
    /^pool web has only 2 servers, all in traffic, and should have 5 \(min_servers\)$/,
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
]

test.each(CASES)('%s is said first, as %s', (code, severity, some, sentence) => {
  const [first] = verdictsOf(withFacts(some))
  expect(first).toMatchObject({ code, severity, sentence: expect.stringMatching(sentence) as string })
})
