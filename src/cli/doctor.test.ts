import { expect, test } from 'vitest'
import type { AgentStatus } from '../api/index.ts'
import { findingsOf } from './doctor.ts'

const calm: AgentStatus = {
  node: 'lb-1',
  pid: 1,
  version: '0.1.0',
  members: { alive: 2, leaving: 0, left: 1, failed: 0 },
  services: [{ name: 'web', state: 'ready' }],
}

test('a calm agent has no findings', () => {
  expect(findingsOf(calm)).toEqual([])
})

test('what is wrong is said with what to do', () => {
  const servers = [{ name: 'web-1', address: '10.0.0.2:3000', state: 'down', reason: 'checks fail' }]
  const findings = findingsOf({
    ...calm,
    members: { ...calm.members, failed: 2 },
    services: [{ name: 'web', state: 'quarantined', reason: 'exit 1' }],
    balancer: {
      haproxy: { state: 'unreachable', reloads: 0 },
      pools: [{ name: 'web', servers }],
      advice: ['check is missing'],
    },
    warnings: ['web-3 speaks with a key that this node does not have'],
  })
  expect(findings).toEqual([
    'web-3 speaks with a key that this node does not have',
    'haproxy is unreachable. To see why: muster why haproxy',
    'pool web has no server that takes requests. To see why: muster why web',
    'service web is quarantined: exit 1. To see why: muster why web',
    '2 members have failed. To see which: muster members -status failed',
    'check is missing',
  ])
})

test('one member has failed, and a service waits', () => {
  const services = [{ name: 'web', state: 'backoff' }]
  expect(findingsOf({ ...calm, members: { ...calm.members, failed: 1 }, services })).toEqual([
    'service web waits to be started again: no reason known. To see why: muster why web',
    '1 member has failed. To see which: muster members -status failed',
  ])
})
