/** What hand-made chains of Serf, handlers and HAProxy do wrong, each on real parts: none of it happens here. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Scope, silentLog, systemClock, systemRandom } from '../src/base/index.ts'
import { startSerf } from '../src/serf/index.ts'
import { eventually } from './parts.ts'
import { ask, loadOn, poolOf, readyIn, Tier, untilReady } from './tier.ts'

const deps = { clock: systemClock, random: systemRandom }
const LOCAL = { profile: 'local' } // who has vanished is found within a second or two

test("kill -9 of the balancer's agent loses nothing, and the next one adopts HAProxy without a reload", async () => {
  await using tier = await Tier.open('127.0.51')
  const first = tier.balancer()
  for (const host of [2, 3]) tier.backend(`web-${host}`, host)
  await untilReady(first, ['web-2', 'web-3'])
  const before = (await first.status()).balancer?.haproxy
  await using load = loadOn(tier)
  await tier.signal('lb', 'KILL')
  await first.part.exited
  await load.untilServed('web-2')
  const next = tier.balancer()
  await untilReady(next, ['web-2', 'web-3'])
  await load.untilServed('web-3')
  const after = (await next.status()).balancer?.haproxy
  expect(after).toMatchObject({ pid: before?.pid, reloads: 0 })
  expect(await load.stop()).toMatchObject({ lost: 0, doubled: 0, unknown: 0 })
}, 120_000)

test('a balancer that comes back empty, joining nobody, has its whole pool without waiting for a reconnect', async () => {
  await using tier = await Tier.open('127.0.52')
  const names = ['web-2', 'web-3', 'web-4']
  const reconnect = { reconnect_interval: '10m', ...LOCAL } // so that it is not that
  const first = tier.balancer(LOCAL)
  const backends = [2, 3, 4].map(host => tier.backend(`web-${host}`, host, { cluster: reconnect }))
  await untilReady(first, names)
  const haproxy = (await first.status()).balancer?.haproxy.pid as number
  await Promise.all([tier.signal('lb', 'KILL'), tier.signal(haproxy, 'KILL')])
  await first.part.exited
  for (const kept of ['s', 'r']) rmSync(join(first.directory, kept), { recursive: true, force: true })
  for (const backend of backends)
    await eventually(
      () => backend.status(),
      ({ members }) => members.failed === 1,
    )
  const startedAtMs = performance.now()
  const next = tier.balancer(LOCAL)
  await untilReady(next, names)
  console.log(`the empty balancer had its whole pool ${Math.round(performance.now() - startedAtMs)} ms after its start`)
  expect(names).toContain(await ask(tier.site))
}, 120_000)

test('backends that start before any balancer wait for it', async () => {
  await using tier = await Tier.open('127.0.53')
  const backends = [2, 3].map(host => tier.backend(`web-${host}`, host))
  for (const backend of backends)
    await eventually(
      () => backend.status(),
      ({ services }) => services[0]?.state === 'ready',
    )
  await untilReady(tier.balancer(), ['web-2', 'web-3'])
}, 120_000)

test('a supervised process that is killed is out of the pool at once, and back when it has started again', async () => {
  await using tier = await Tier.open('127.0.54')
  const balancer = tier.balancer()
  const restart = { min: '3s' } // long enough to look
  const backend = tier.backend('web-2', 2, { restart })
  tier.backend('web-3', 3)
  await untilReady(balancer, ['web-2', 'web-3'])
  const killed = (await backend.status()).services[0]?.pid as number
  await using load = loadOn(tier)
  await load.untilServed('web-2')
  load.killBegins()
  await tier.signal(killed, 'KILL')
  const killedAtMs = performance.now()
  await untilReady(balancer, ['web-3'])
  console.log(`seen out of the pool ${Math.round(performance.now() - killedAtMs)} ms after the kill`)
  load.killEnds()
  await untilReady(balancer, ['web-2', 'web-3'])
  await load.untilServed('web-2')
  expect((await backend.status()).services[0]?.pid).not.toBe(killed)
  const { lost, doubled, unknown, postsAtKills } = await load.stop()
  expect({ lost, doubled }).toEqual({ lost: 0, doubled: 0 })
  expect(unknown).toBeLessThanOrEqual(postsAtKills)
}, 120_000)

test('members that all vanish at once do not empty the pool while their servers live', async () => {
  await using tier = await Tier.open('127.0.55')
  const names = ['web-2', 'web-3', 'web-4']
  const balancer = tier.balancer(LOCAL)
  for (const host of [2, 3, 4]) tier.backend(`web-${host}`, host, { cluster: LOCAL })
  await untilReady(balancer, names)
  await using load = loadOn(tier)
  await Promise.all([tier.signal('web-2', 'STOP'), tier.signal('web-3', 'STOP'), tier.signal('web-4', 'KILL')])
  const seen = new Set<string>()
  await eventually(
    async () => {
      seen.add((await readyIn(balancer)).join())
      return await balancer.status()
    },
    ({ members }) => members.failed === 3,
    40_000,
  )
  for (const name of names) await load.untilServed(name)
  seen.add((await readyIn(balancer)).join())
  expect([...seen]).toEqual([names.join()])
  await Promise.all([tier.signal('web-2', 'CONT'), tier.signal('web-3', 'CONT')])
  await eventually(
    () => balancer.status(),
    ({ members }) => members.alive === 3,
    40_000,
  )
  expect(await readyIn(balancer)).toEqual(names)
  expect(await load.stop()).toMatchObject({ lost: 0, doubled: 0, unknown: 0 })
}, 120_000)

test('a member whose name or tags would break a configuration changes nothing but a counter and a warning', async () => {
  await using tier = await Tier.open('127.0.56')
  const balancer = tier.balancer()
  tier.backend('web-2', 2)
  await untilReady(balancer, ['web-2'])
  const files = () => readFileSync(join(balancer.directory, 's/haproxy.cfg'), 'utf8')
  const before = files()
  const evil = [
    { name: 'x\n  server evil 1.2.3.4:80', tags: { role: 'backend' } },
    { name: '../x', tags: { 'pool.web': '3000' } },
    { name: 'fine', tags: { 'pool.web\n  server evil 1.2.3.4:80': '80' } },
    { name: 'fine-too', tags: { role: 'backend', port: '80\n  server evil 1.2.3.4:80' } },
    { name: '" * \u0000', tags: { role: 'backend', pool: 'web' } },
  ]
  await using strangers = new Scope()
  for (const [at, { name, tags }] of evil.entries()) {
    const bind = { ip: tier.ip(20 + at), port: 7946 }
    const stranger = await startSerf({ name, bind, tags, profile: 'lan' }, { ...deps, log: silentLog })
    strangers.defer(() => stranger.stop())
    await stranger.join([tier.gossip(1)])
  }
  await eventually(
    () => balancer.status(),
    status => status.members.alive === 2 + evil.length && (status.balancer?.refused ?? 0) >= evil.length,
  )
  await eventually(
    () => balancer.part.output,
    output => output.includes('server evil 1.2.3.4:80') && /WARN/i.test(output),
  )
  expect((await poolOf(balancer)).map(server => server.name)).toEqual(['web-2'])
  expect(files()).toBe(before)
  expect(await ask(tier.site)).toBe('web-2')
}, 120_000)
