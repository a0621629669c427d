import { expect, test } from 'vitest'
import { BAD, RING, down, look, server, service, type VerdictCase, withFacts } from '../sample-facts.ts'
import { verdictsOf } from '../verdict.ts'

const CASES: readonly VerdictCase[] = [
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
    'stop-waits',
    'wrong',
    {
      ...service({ state: 'stopping' }, {}),
      node: 'web-2',
      ring: { ...RING, warnings: ['app is being stopped and waits for lb-1, which gives no answer'] },
    },
    /: app is being stopped and waits for lb-1, which gives no answer$/,
  ],
]

test.each(CASES)('%s is said first, as %s', (code, severity, some, sentence) => {
  const [first] = verdictsOf(withFacts(some))
  expect(first).toMatchObject({ code, severity, sentence: expect.stringMatching(sentence) as string })
})
