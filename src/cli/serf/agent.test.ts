import { expect, test } from 'vitest'
import { flagsOf } from './agent.ts'

test('an empty text is as good as none, whichever came before; lists and switches are what they are', () => {
  const given = [
    ['node', 'a'],
    ['node', ''],
    ['iface', ''],
    ['join', ''],
    ['config-file', '/x.json'],
    ['bind', '10.0.0.1'],
  ].map(([name = '', value = '']) => ({ name, value }))
  expect(flagsOf(given)).toEqual({ join: [''], bind: ['10.0.0.1'] })
})
