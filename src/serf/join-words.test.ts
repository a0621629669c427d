import { expect, test } from 'vitest'
import { joinErrors } from './join-words.ts'

const failed = (address: string, error: Error) => ({ address, error })
const dial = (code: string) => ({ cause: Object.assign(new Error(code), { code, syscall: 'connect' }) })

test('a join that reached nobody is told in the words of Serf, an address a line', () => {
  const errors = [
    failed('10.0.0.7', new Error('10.0.0.7:7946: connect ECONNREFUSED 10.0.0.7:7946', dial('ECONNREFUSED'))),
    failed('[fd00::7]:1', new Error('[fd00::7]:1: connect EHOSTUNREACH fd00::7:1', dial('EHOSTUNREACH'))),
    failed('10.0.0.8', new Error('10.0.0.8:7946: no answer within 10000 ms')),
    failed('/10.0.0.9', Object.assign(new Error('empty node name provided'), { code: 'MEMBERLIST_TARGET' })),
    failed('web', new Error('cannot resolve web', { cause: { syscall: 'getaddrinfo', hostname: 'web' } })),
    failed('192.0.2.1', new Error('no route')),
  ]
  expect(joinErrors({ contacted: 0, errors }).split('\n')).toEqual([
    '6 errors occurred:',
    '\t* Failed to join 10.0.0.7: dial tcp 10.0.0.7:7946: connect: connection refused',
    '\t* Failed to join fd00::7: dial tcp [fd00::7]:1: connect: no route to host',
    '\t* Failed to join 10.0.0.8: no answer within 10000 ms',
    '\t* Failed to resolve /10.0.0.9: empty node name provided',
    '\t* Failed to resolve web: lookup web: no such host',
    '\t* Failed to join 192.0.2.1: no route',
    '',
    '',
  ])
  expect(joinErrors({ contacted: 0, errors: [] })).toBe('')
  expect(joinErrors({ contacted: 0, errors: errors.slice(0, 1) })).toMatch(/^1 error occurred:\n/)
})
