import { expect, test } from 'vitest'
import { roleKept, tagsAfterReload } from './reload.ts'

test('a reload changes the tags that the configuration has changed, and keeps those that were set at run time', () => {
  const own = { role: 'web', said: 'over rpc', rack: 'changed over rpc', old: '1' }
  const before = { role: 'web', rack: 'a', old: '1' }
  const next = { role: 'cache', rack: 'a', fresh: '2' }
  expect(tagsAfterReload(own, before, next)).toEqual({
    role: 'cache',
    said: 'over rpc',
    rack: 'changed over rpc',
    fresh: '2',
  })
})

test('a role is neither given nor taken before the balancer that it tells of', () => {
  expect(roleKept({ rack: 'b' }, { role: 'balancer', rack: 'a' })).toEqual({ role: 'balancer', rack: 'b' })
  expect(roleKept({ rack: 'b', role: 'balancer' }, { rack: 'a' })).toEqual({ rack: 'b' })
})
