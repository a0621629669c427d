/** An operator's drain, as people order it: real agents of both makes, real HAProxy, the command as a process of its own. */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { apiRequest } from '../src/api/index.ts'
import { eventually, Part } from './parts.ts'
import { askMany, poolOf, Tier, type TierAgent, untilReady } from './tier.ts'

const MUSTER = resolve(import.meta.dirname, '../bin/muster')
const LOCAL = { profile: 'local' }

interface Outcome {
  readonly stdout: string
  readonly stderr: string
  readonly exit: number
}

const socketOf = (agent: TierAgent) => join(agent.directory, 'a.sock')

const envOf = (agent: TierAgent) => ({ MUSTER_API_SOCKET: socketOf(agent) })

function muster(agent: TierAgent, ...args: string[]): Promise<Outcome> {
  const env = { ...process.env, ...envOf(agent) }
  return new Promise(done =>
    execFile(process.execPath, [MUSTER, ...args], { env }, (failure, stdout, stderr) =>
      done({ stdout, stderr, exit: failure === null ? 0 : Number(failure.code) }),
    ),
  )
}

/** A balancer on any host; its site is port 8080 there. */
function balancerOn(tier: Tier, host: number, pool: object = {}, cluster: object = {}): TierAgent {
  const frontends = { http: { bind: `${tier.ip(host)}:8080`, pool: 'web' } }
  const pools = { web: { check: { http: '/', interval: '300ms' }, ...pool } }
  return tier.muster(`lb-${host}`, host, {
    node: { tags: { role: 'balancer' } },
    cluster: { ...LOCAL, ...(host === 1 ? {} : { join: [tier.gossip(1)] }), ...cluster },
    balancer: { stats: `${tier.ip(host)}:1936`, frontends, pools },
  })
}

const siteOf = (tier: Tier, host: number) => `http://${tier.ip(host)}:8080/`
const stateOn = async (balancer: TierAgent, name: string) =>
  (await poolOf(balancer)).find(server => server.name === name)

async function plain(tier: Tier, name: string, host: number) {
  tier.web(name, host)
  return tier.serf(name, host, ['-tag', 'role=backend', ...tier.joinQuickly()])
}

test('a plain serf agent is drained on every balancer, through kill -9, its own return, and on a new balancer', async () => {
  await using tier = await Tier.open('127.0.183')
  const first = balancerOn(tier, 1)
  const second = balancerOn(tier, 2)
  await eventually(
    () => first.status(),
    status => status.balancer?.haproxy.pid !== undefined,
  )
  const member = await plain(tier, 'web-11', 11)
  await plain(tier, 'web-12', 12)
  for (const one of [first, second]) await untilReady(one, ['web-11', 'web-12'])

  const drained = await muster(second, 'drain', 'web-11', '--reason', 'new disk', '-o', 'json')
  expect(drained.exit, drained.stderr).toBe(0)
  const report = JSON.parse(drained.stdout) as { done: boolean; balancers: { name: string; confirmed: boolean }[] }
  const confirmed = report.balancers.filter(one => one.confirmed).map(one => one.name)
  expect(new Set(confirmed)).toEqual(new Set(['lb-1', 'lb-2']))
  for (const [at, one] of [first, second].entries()) {
    expect(await stateOn(one, 'web-11')).toMatchObject({ state: 'drain' })
    expect((await stateOn(one, 'web-11'))?.reason).toMatch(/^drained by \S+@lb-2 since .*new disk; to take it back/)
    expect(await askMany(siteOf(tier, at + 1))).toEqual(['web-12'])
  }

  await tier.signal('lb-1', 'KILL')
  await first.part.exited
  const next = balancerOn(tier, 1, {}, { join: [tier.gossip(2)] })
  await untilReady(next, ['web-12'])
  expect((await stateOn(next, 'web-11'))?.state).toBe('drain')
  expect(JSON.parse(readFileSync(join(next.directory, 's/drains.json'), 'utf8'))).toHaveLength(1)

  await tier.signal('web-11', 'KILL')
  await member.part.exited
  await tier.serf('web-11', 11, ['-tag', 'role=backend', ...tier.joinQuickly()])
  const third = balancerOn(tier, 3)
  for (const one of [next, second, third]) {
    await eventually(
      () => stateOn(one, 'web-11'),
      server => server?.state === 'drain' && server.reason.includes('new disk'),
    )
  }
  await untilReady(third, ['web-12'])
  expect(await askMany(siteOf(tier, 3))).toEqual(['web-12'])

  expect((await muster(third, 'drain', '--list')).stdout).toContain('new disk')
  const refused = await muster(third, 'drain', 'web-12')
  expect(refused.exit).toBe(4)
  expect(refused.stderr).toMatch(
    /web-12 is not drained: pool web has 1 server in traffic on lb-\d and must keep 1; 0 would be left/,
  )

  const undone = await muster(next, 'drain', '--undo', 'web-11')
  expect(undone.exit, undone.stderr).toBe(0)
  for (const one of [next, second, third]) await untilReady(one, ['web-11', 'web-12'])
  expect((await muster(second, 'drain')).stdout).toContain('nothing is drained')
  expect((await muster(second, 'drain', '--undo', 'web-11')).exit).toBe(1)
}, 120_000)

test('a drain waits for what runs, says how old it is, and ends with 5 when the time comes first; force wants a reason', async () => {
  await using tier = await Tier.open('127.0.183')
  const balancer = balancerOn(tier, 1)
  await eventually(
    () => balancer.status(),
    status => status.balancer?.haproxy.pid !== undefined,
  )
  await plain(tier, 'web-11', 11)
  await untilReady(balancer, ['web-11'])
  expect(await muster(balancer, 'drain', 'web-11', '--force')).toMatchObject({ exit: 2 })
  expect(await muster(balancer, 'drain', 'nobody')).toMatchObject({ exit: 1 })
  expect(await muster(balancer, 'drain', 'web 11')).toMatchObject({ exit: 1 })

  const tunnel = await open(tier.ip(1))
  const late = await muster(balancer, 'drain', 'web-11', '--force', '--reason', 'test', '--timeout', '2500ms')
  expect(late.exit, late.stderr).toBe(5)
  expect(late.stderr).toMatch(/1 session left on lb-1, oldest \d s/)
  expect(late.stderr).toMatch(/web-11 stays drained, but is not empty/)
  expect((await poolOf(balancer))[0]).toMatchObject({ state: 'drain' })
  const watching = new Part([process.execPath, MUSTER, 'drain', 'web-11', '--timeout', '60s'], envOf(balancer))
  await eventually(
    () => watching.output,
    output => output.includes('1 session left on lb-1'),
  )
  expect(await watching.end('SIGINT')).toBe(1)
  expect(watching.output).toMatch(/web-11 stays drained.*to take it back: muster drain --undo web-11/)
  const outdone = new Part([process.execPath, MUSTER, 'drain', 'web-11', '--timeout', '60s'], envOf(balancer))
  await eventually(
    () => outdone.output,
    output => output.includes('1 session left on lb-1'),
  )
  expect(await muster(balancer, 'drain', '--undo', 'web-11')).toMatchObject({ exit: 0 })
  expect(await outdone.exited, outdone.output).toBe(1)
  expect(outdone.output).toContain('somebody has taken the drain of web-11 back')
  tunnel.destroy()
  const empty = await muster(balancer, 'drain', 'web-11', '--timeout', '20s', '--force', '--reason', 'test')
  expect(empty.exit, empty.stderr).toBe(0)
  expect(empty.stderr).toContain('web-11 is drained: nothing is left on lb-1')
  const { drains } = await apiRequest(socketOf(balancer), 'GET /v1/drains')
  expect(drains).toMatchObject([{ server: 'web-11', forced: true, reason: 'test', done: true }])
}, 90_000)

test('a drain that waits is said to stay in force while its agent is killed and started anew, and then goes on to its end', async () => {
  await using tier = await Tier.open('127.0.183')
  const balancer = balancerOn(tier, 1)
  await eventually(
    () => balancer.status(),
    status => status.balancer?.haproxy.pid !== undefined,
  )
  await plain(tier, 'web-11', 11)
  await untilReady(balancer, ['web-11'])
  const tunnel = await open(tier.ip(1))
  const order = ['drain', 'web-11', '--force', '--reason', 'test', '--timeout', '60s']
  const draining = new Part([process.execPath, MUSTER, ...order], envOf(balancer))
  const said = (words: string) =>
    eventually(
      () => draining.output,
      output => output.includes(words),
    )
  await said('1 session left on lb-1')
  await tier.signal('lb-1', 'KILL')
  await said('; the drain of web-11 stays in force on every balancer (lb-1); asking again')
  const again = balancerOn(tier, 1)
  await eventually(
    () => stateOn(again, 'web-11'),
    server => server?.state === 'drain',
  )
  expect(draining.child.exitCode).toBe(null)
  tunnel.destroy()
  expect(await draining.exited).toBe(0)
  expect(draining.output).toContain('web-11 is drained: nothing is left on lb-1')
}, 90_000)

test('leave is refused where it would take the last server or the last balancer, goes on by force, and is on record; SIGTERM is not refused', async () => {
  await using tier = await Tier.open('127.0.183')
  const balancer = balancerOn(tier, 1)
  const only = tier.backend('web-11', 11, { cluster: LOCAL })
  await untilReady(balancer, ['web-11'])
  expect(balancer.part.output).toMatch(/the agent is up node=lb-1 gossip=127\.0\.183\.1:\d+ rpc=\S+ api=\S+a\.sock/)
  const alone = await muster(balancer, 'leave', '-rpc-addr', balancer.rpc)
  expect(alone.exit, alone.stderr).toBe(4)
  expect(alone.stderr).toMatch(
    /lb-1 does not leave: no other balancer is alive in the ring, and pool web has 1 server;/,
  )
  const address = ['-rpc-addr', only.rpc]
  const refused = await muster(only, 'leave', ...address)
  expect(refused.exit, refused.stderr).toBe(4)
  expect(refused.stderr).toMatch(/web-11 does not leave: pool web has 1 server in traffic on lb-1 and must keep 1/)
  expect(await muster(only, 'leave', '--force', ...address)).toMatchObject({ exit: 2 })
  expect((await only.status()).services[0]?.state).toBe('ready')
  const left = await muster(only, 'leave', '--force', '--reason', 'the rack is moved', ...address)
  expect(left.exit, left.stderr).toBe(0)
  await only.part.exited
  const journal = join(only.directory, 's/journal')
  const books = readdirSync(journal).map(file => readFileSync(join(journal, file), 'utf8'))
  expect(books.join('')).toContain('the rack is moved')
  const again = tier.backend('web-11', 11, { cluster: LOCAL })
  await untilReady(balancer, ['web-11'])
  await tier.signal('web-11', 'TERM')
  await again.part.exited
  expect(again.part.output).toMatch(/leaves a pool with too few .*pool web is left with 0 of at least 1 server/)
}, 60_000)

test('a balancer whose own service stops agrees with itself; a real serf agent as its engine passes drains on', async () => {
  await using tier = await Tier.open('127.0.183')
  const engine = await tier.serf('lb-1', 1, ['-tag', 'role=balancer', '-profile', 'local'])
  const frontends = { http: { bind: `${tier.ip(2)}:8080`, pool: 'web' } }
  const first = tier.muster('lb-1', 2, {
    cluster: { engine: 'serf', rpc: engine.rpc },
    balancer: { stats: `${tier.ip(2)}:1936`, frontends, pools: { web: { check: { http: '/', interval: '300ms' } } } },
  })
  const second = tier.muster('lb-3', 3, {
    node: { tags: { role: 'balancer' } },
    cluster: { ...LOCAL, join: [tier.gossip(1)] },
    balancer: {
      ...{ stats: `${tier.ip(3)}:1936`, frontends: { http: { bind: `${tier.ip(3)}:8080`, pool: 'web' } } },
      pools: { web: { check: { http: '/', interval: '300ms' }, min_servers: 0 } },
    },
    services: tier.services('lb-3', 3),
  })
  await plain(tier, 'web-11', 11)
  for (const one of [first, second]) await untilReady(one, ['lb-3', 'web-11'])
  const drained = await muster(first, 'drain', 'web-11', '--reason', 'by way of serf')
  expect(drained.exit, drained.stderr).toBe(0)
  expect(drained.stderr).toContain('nothing is left on')
  for (const one of [first, second])
    expect(await stateOn(one, 'web-11')).toMatchObject({ state: 'drain', reason: expect.stringMatching('@lb-1 since') })
  expect((await muster(second, 'drain', '--undo', 'web-11')).exit).toBe(0)
  for (const one of [first, second]) await untilReady(one, ['lb-3', 'web-11'])
  await tier.signal('lb-3', 'TERM')
  expect(await second.part.exited).toBe(0)
  expect(second.part.output).not.toMatch(/not every balancer|could not be asked/)
  await untilReady(first, ['web-11'])
}, 60_000)

/** A WebSocket through the balancer, which stays open. */
function open(host: string): Promise<{ destroy(): void }> {
  const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' }
  return new Promise((done, fail) => {
    const key = Buffer.from('0123456789abcdef').toString('base64')
    const asked = request({ host, port: 8080, path: '/ws', headers: { ...headers, 'sec-websocket-key': key } })
    asked.once('upgrade', (_answer, socket) => done(socket))
    asked.once('response', answer => fail(new Error(`status ${answer.statusCode}`)))
    asked.once('error', fail)
    asked.end()
  })
}
