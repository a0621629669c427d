import { expect, test } from 'vitest'
import { RING, balancer, node, ring, type VerdictCase, withFacts } from '../sample-facts.ts'
import { verdictsOf } from '../verdict.ts'

const CASES: readonly VerdictCase[] = [
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
    'well',
    'ok',
    node({}),
    /^nothing is wrong on lb-1: pool web has 2 of 2 servers in traffic, HAProxy 2\.6\.12 is ready, 4 members alive$/,
  ],
  ['name-clash', 'wrong', ring({ hasStopped: true }), /^lb-1 has lost its name/],
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
    'config-refused',
    'wrong',
    balancer({
      configuration: {
        kind: 'refused',
        words:
          "HAProxy refused it\n[ALERT]    (7) : config : Proxy 'f': unable to find required default_backend: 'nope'.\n[ALERT]    (7) : config : Fatal errors found in configuration.",
      },
    }),
    /the one before serves: config : Proxy 'f': unable to find required default_backend: 'nope'\.$/,
  ],
  [
    'config-refused',
    'wrong',
    balancer({
      configuration: {
        kind: 'refused',
        words:
          "HAProxy refused it\n[ALERT]    (7) : config : Error(s) found in configuration file : a.cfg\n[ALERT]    (7) : config : [a.cfg:12] : 'server b/x' : unknown keyword 'foo'",
      },
    }),
    /the one before serves: config : \[a\.cfg:12\] : 'server b\/x' : unknown keyword 'foo'$/,
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

test.each(CASES)('%s is said first, as %s', (code, severity, some, sentence) => {
  const [first] = verdictsOf(withFacts(some))
  expect(first).toMatchObject({ code, severity, sentence: expect.stringMatching(sentence) as string })
})
