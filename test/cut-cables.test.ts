/** Hosts whose cables are cut while users are served, and healed: nobody notices what can still be reached. */
import { expect, test } from 'vitest'
import { sleep, systemClock } from '../src/base/index.ts'
import { Hosts } from './hosts.ts'
import { eventually } from './parts.ts'
import { loadOn, readyIn, Tier, type TierAgent, untilReady, verdictOn } from './tier.ts'

/** Longer than a failure detector takes, and than the one in the field took that emptied a pool. */
const CUT_MS = 12_000

/** Of a user who would rather wait for the cable: late is not lost. */
const PATIENCE_MS = 40_000

/** Looks at the pool until the cut has lasted long enough. @returns each content it had, and the most failed members */
async function watchPool(balancer: TierAgent, untilMs: number): Promise<{ pools: string[]; failedMax: number }> {
  const pools = new Set<string>()
  let failedMax = 0
  while (performance.now() < untilMs) {
    pools.add((await readyIn(balancer)).join())
    failedMax = Math.max(failedMax, (await balancer.status()).members.failed)
    await sleep(systemClock, 50)
  }
  return { pools: [...pools], failedMax }
}

test("a balancer cut off from its ring for 12 s serves all that it still reaches, though everybody has 'failed'", async () => {
  const hosts = await Hosts.open(202, [1, 2, 3]) // in larger rings of one balancer, suspicion lasts longer than the cut
  await using tier = await Tier.open(hosts)
  const names = ['plain-3', 'web-2']
  const balancer = tier.balancer()
  tier.backend('web-2', 2)
  tier.web('plain-3', 3)
  await untilReady(balancer, ['web-2'])
  await tier.serf('plain-3', 3, ['-tag', 'role=backend', '-join', tier.gossip(1)])
  await untilReady(balancer, names)
  await using load = loadOn(tier, PATIENCE_MS)
  await load.untilServed('web-2')
  await hosts.cutLink(1, ['gossip'])
  const seen = await watchPool(balancer, performance.now() + CUT_MS)
  await hosts.healLink(1, ['gossip'])
  const healedAtMs = performance.now()
  expect(seen).toEqual({ pools: [names.join()], failedMax: 2 })
  await eventually(
    () => balancer.status(),
    ({ members }) => members.alive === 3,
    60_000,
  )
  console.log(`the ring was whole ${Math.round(performance.now() - healedAtMs)} ms after the cable`)
  for (const name of names) await load.untilServed(name)
  expect(await readyIn(balancer)).toEqual(names)
  expect(await verdictOn(tier, load)).toMatchObject({ lost: 0, doubled: 0, unknown: 0, failures: [] })
}, 120_000)

test('a balancer without any cable for 12 s serves from its own host, and from all others soon after', async () => {
  const hosts = await Hosts.open(203, [1, 2, 3])
  await using tier = await Tier.open(hosts)
  const names = ['lb', 'web-2', 'web-3']
  const balancer = tier.balancer({}, { services: tier.services('lb', 1) })
  for (const host of [2, 3]) tier.backend(`web-${host}`, host)
  await untilReady(balancer, names)
  await using load = loadOn(tier, PATIENCE_MS)
  await load.untilServed('web-2')
  load.killBegins()
  await hosts.cutLink(1)
  const seen = await watchPool(balancer, performance.now() + CUT_MS)
  await hosts.healLink(1)
  load.killEnds()
  const healedAtMs = performance.now()
  expect(seen).toMatchObject({ failedMax: 2 })
  expect(seen.pools.filter(pool => !pool.split(',').includes('lb'))).toEqual([])
  await Promise.all(['web-2', 'web-3'].map(name => load.untilServed(name)))
  console.log(`both were in traffic again ${Math.round(performance.now() - healedAtMs)} ms after the cable`)
  await untilReady(balancer, names)
  const verdict = await verdictOn(tier, load)
  expect(verdict).toMatchObject({ lost: 0, doubled: 0 })
  expect(verdict.unknown).toBeLessThanOrEqual(verdict.postsAtKills)
}, 120_000)

test('a host whose cables are cut is out of the traffic without a lost GET, and back in it when they are healed', async () => {
  const hosts = await Hosts.open(204, [1, 2, 3])
  await using tier = await Tier.open(hosts)
  const balancer = tier.balancer()
  for (const host of [2, 3]) tier.backend(`web-${host}`, host)
  await untilReady(balancer, ['web-2', 'web-3'])
  await using load = loadOn(tier) // half of what a hung server is waited for
  await load.untilServed('web-2')
  load.killBegins()
  await hosts.cutLink(2)
  await untilReady(balancer, ['web-3'])
  await eventually(
    () => load.stats(),
    stats => stats.inFlight === 0,
  )
  load.killEnds()
  await eventually(
    () => balancer.status(),
    ({ members }) => members.failed === 1,
  )
  await hosts.healLink(2)
  const healedAtMs = performance.now()
  await load.untilServed('web-2')
  console.log(`in traffic again ${Math.round(performance.now() - healedAtMs)} ms after the cable`)
  const verdict = await verdictOn(tier, load)
  expect(verdict).toMatchObject({ lost: 0, doubled: 0 })
  expect(verdict.unknown).toBeLessThanOrEqual(verdict.postsAtKills)
}, 120_000)

test('an agent that hears nothing for 12 s, and calls everybody failed, takes nobody out of the traffic', async () => {
  const hosts = await Hosts.open(205, [1, 2, 3])
  await using tier = await Tier.open(hosts)
  const names = ['web-2', 'web-3']
  const balancer = tier.balancer()
  const [deaf] = [2, 3].map(host => tier.backend(`web-${host}`, host))
  await untilReady(balancer, names)
  await using load = loadOn(tier)
  await load.untilServed('web-2')
  await hosts.deafen(2, ['gossip'])
  const [seen, alone] = await Promise.all([
    watchPool(balancer, performance.now() + CUT_MS),
    eventually(
      async () => (await deaf?.status())?.members.failed,
      failed => failed === 2,
      60_000, // who hears little doubts itself, and takes its time
    ),
  ])
  await hosts.undeafen(2, ['gossip'])
  expect({ pools: seen.pools, alone }).toEqual({ pools: [names.join()], alone: 2 })
  for (const agent of [balancer, deaf])
    await eventually(
      async () => (await agent?.status())?.members.alive,
      alive => alive === 3,
      60_000,
    )
  for (const name of names) await load.untilServed(name)
  expect(await verdictOn(tier, load)).toMatchObject({ lost: 0, doubled: 0, unknown: 0, failures: [] })
}, 120_000)
