import { expect, test } from 'vitest'
import { eventually, serf } from './parts.ts'
import { askMany, readyIn, Tier } from './tier.ts'

test('a plain `serf agent -tag role=backend` beside a web server gets traffic, until it leaves', async () => {
  await using tier = await Tier.open('127.0.41')
  const balancer = tier.balancer()
  tier.web('plain-1', 2)
  tier.web('plain-2', 3)
  const flags = ['-tag', 'role=backend', '-join', tier.gossip(1)]
  await eventually(
    () => balancer.status(),
    status => status.balancer?.haproxy.pid !== undefined,
  )
  const first = await tier.serf('plain-1', 2, flags)
  await tier.serf('plain-2', 3, flags)
  await eventually(
    () => askMany(tier.site),
    names => names.join() === 'plain-1,plain-2',
  )
  await serf(first, 'leave')
  await eventually(
    () => readyIn(balancer),
    names => names.join() === 'plain-2',
  )
  expect(await askMany(tier.site)).toEqual(['plain-2'])
}, 120_000)

test('a member that becomes a backend by a change of its tags gets traffic, and loses it the same way', async () => {
  await using tier = await Tier.open('127.0.42')
  const balancer = tier.balancer()
  await eventually(
    () => balancer.status(),
    status => status.balancer?.haproxy.pid !== undefined,
  )
  for (const [name, host] of [
    ['always', 2],
    ['changing', 3],
  ] as const)
    tier.web(name, host)
  await tier.serf('always', 2, ['-tag', 'role=backend', '-join', tier.gossip(1)])
  const changing = await tier.serf('changing', 3, ['-tag', 'role=db', '-join', tier.gossip(1)])
  await eventually(
    () => askMany(tier.site),
    names => names.join() === 'always',
  )
  await serf(changing, 'tags', '-set', 'role=backend')
  await eventually(
    () => askMany(tier.site),
    names => names.join() === 'always,changing',
  )
  await serf(changing, 'tags', '-set', 'role=db')
  await eventually(
    () => askMany(tier.site),
    names => names.join() === 'always',
  )
}, 120_000)
