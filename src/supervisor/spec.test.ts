import { expect, test } from 'vitest'
import { ServiceSpecError } from './errors.ts'
import { argvOf, completeSpec, specHash } from './spec.ts'

test('the shell makes way for a simple command and keeps what only it can run', () => {
  expect(argvOf({ command: 'node app.js --port 1' })).toEqual(['/bin/sh', '-c', 'exec node app.js --port 1'])
  for (const command of ['A=1 node app.js', 'cd web && node app.js', 'exec node app.js', '(sleep 1)'])
    expect(argvOf({ command })).toEqual(['/bin/sh', '-c', command])
  expect(argvOf({ command: ['node', 'a b.js'] })).toEqual(['node', 'a b.js'])
})

test('names that could leave the directory, and other impossible specs, are refused by field', () => {
  const name = 'web'
  expect(() => completeSpec({ name: '../x', command: 'a' })).toThrow(ServiceSpecError)
  expect(() => completeSpec({ name: '.hidden', command: 'a' })).toThrow(ServiceSpecError)
  expect(() => completeSpec({ name, command: [] })).toThrow('command is empty')
  expect(() => completeSpec({ name, command: ['a\0b'] })).toThrow('NUL')
  expect(() => completeSpec({ name, command: 'a', user: '-x' })).toThrow('user')
  expect(() => completeSpec({ name, command: 'a', restart: { minMs: 2, maxMs: 1 } })).toThrow('restart.minMs')
  expect(() => completeSpec({ name, command: 'a', restart: { quarantineAfter: -1 } })).toThrow('below 0')
  expect(completeSpec({ name, command: 'a', restart: { quarantineAfter: 0 } }).restart.quarantineAfter).toBe(0)
})

test('the hash follows what is executed, not how it is timed', () => {
  const spec = completeSpec({ name: 'web', command: 'a', env: { A: '1', B: '2' } })
  expect(specHash(completeSpec({ name: 'web', command: 'a', env: { B: '2', A: '1' }, stopTimeoutMs: 1 }))).toBe(
    specHash(spec),
  )
  expect(specHash({ ...spec, env: { A: '1' } })).not.toBe(specHash(spec))
})
