import { expect, test } from 'vitest'
import { GOOD, check, down, look, server, type VerdictCase, withFacts } from '../sample-facts.ts'
import { verdictsOf } from '../verdict.ts'

const CASES: readonly VerdictCase[] = [
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
    'recovering',
    'ok',
    down({ status: 'UP', check: GOOD }),
    /^web-2 comes back into pool web at this moment: HAProxy says UP$/,
  ],
]

test.each(CASES)('%s is said first, as %s', (code, severity, some, sentence) => {
  const [first] = verdictsOf(withFacts(some))
  expect(first).toMatchObject({ code, severity, sentence: expect.stringMatching(sentence) as string })
})
