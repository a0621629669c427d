/** What else hand-made chains of Serf, handlers and HAProxy do wrong: agents restarted, names, many changes at once. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Scope, silentLog, systemClock, systemRandom } from '../src/base/index.ts'
import { startSerf } from '../src/serf/index.ts'
import { eventually, serf } from './parts.ts'
import { ask, loadOn, poolOf, readyIn, Tier, untilReady, verdictOn } from './tier.ts'

const deps = { clock: systemClock, random: systemRandom, log: silentLog }
const LOCAL = { profile: 'local' } // who has vanished is found within a second or two

test("while the balancer's agent is away one server dies and one leaves: the next agent has neither in traffic", async () => {
  await using tier = await Tier.open('127.0.57')
  const first = tier.balancer(LOCAL)
  const backends = [2, 3, 4].map(host => tier.backend(`web-${host}`, host, { cluster: LOCAL }))
  await untilReady(first, ['web-2', 'web-3', 'web-4'])
  const dying = (await backends[1]?.status())?.services[0]?.pid as number
  await using load = loadOn(tier)
  await load.untilServed('web-3')
  await tier.signal('lb', 'KILL')
  await first.part.exited
  load.killBegins()
  await Promise.all([tier.signal('web-3', 'KILL'), tier.signal(dying, 'KILL'), tier.signal('web-4', 'TERM')])
  await Promise.all([backends[1]?.part.exited, backends[2]?.part.exited])
  load.killEnds()
  const next = tier.balancer(LOCAL)
  await untilReady(next, ['web-2'])
  await eventually(
    () => poolOf(next),
    // Gone after a minute. What is said of web-4 depends on whether web-2, the only one left to hear of its leave, has heard it.
    servers => servers.some(({ name, reason }) => name === 'web-3' && reason.includes('nobody claims it')),
  )
  await load.untilServed('web-2')
  const verdict = await verdictOn(tier, load)
  expect(verdict).toMatchObject({ lost: 0, doubled: 0 })
  expect(verdict.unknown).toBeLessThanOrEqual(verdict.postsAtKills)
}, 120_000)

const NAMES = [
  '../x',
  'with space',
  'with"quote',
  "with'quote",
  '*',
  'x\\u000a  server evil 1.2.3.4:80',
  '{{name}}',
  '$(id)',
]

test('a real Serf agent with a name that breaks hand-made handlers is refused by a classic template too', async () => {
  await using tier = await Tier.open('127.0.58')
  const template = join(tier.directory, 'classic.hbs')
  const head = ['defaults', '  mode http', '  timeout connect 1s', '  timeout client 9s', '  timeout server 9s']
  const body = [`listen web`, `  bind ${tier.ip(1)}:8080`, '{{#each addresses}}', '  server {{host}} {{ip}}:3000 check']
  writeFileSync(template, [...head, ...body, '{{/each}}', ''].join('\n'))
  const frontends = { http: { bind: `${tier.ip(1)}:8080`, pool: 'web' } }
  const balancer = tier.balancer({}, { balancer: { template, frontends, pools: { web: {} } } })
  tier.web('plain', 2)
  await eventually(
    () => balancer.status(),
    status => status.balancer?.haproxy.pid !== undefined,
  )
  await tier.serf('plain', 2, ['-tag', 'role=backend', '-join', tier.gossip(1)])
  await untilReady(balancer, ['plain'])
  const files = () => readdirSync(tier.directory, { recursive: true, encoding: 'utf8' }).map(String)
  const [before, configuration] = [files(), readFileSync(join(balancer.directory, 's/haproxy.cfg'), 'utf8')]
  const evil = await Promise.all(
    NAMES.map((name, at) => tier.serf(name, 10 + at, ['-tag', 'role=backend', '-join', tier.gossip(1)])),
  )
  await eventually(
    () => balancer.status(),
    status => status.members.alive === 2 + NAMES.length && (status.balancer?.refused ?? 0) >= NAMES.length,
  )
  expect(readFileSync(join(balancer.directory, 's/haproxy.cfg'), 'utf8')).toBe(configuration)
  await Promise.all(evil.map(agent => serf(agent, 'leave')))
  await eventually(
    () => balancer.status(),
    status => status.members.left === NAMES.length,
  )
  expect(readFileSync(join(balancer.directory, 's/haproxy.cfg'), 'utf8')).toBe(configuration)
  expect(await readyIn(balancer)).toEqual(['plain'])
  expect(await ask(tier.site)).toBe('plain')
  expect(files().filter(file => !before.includes(file) && !file.endsWith('.pid'))).toEqual([])
}, 120_000)

test('60 joins and leaves at the same time end with exactly the right pool', async () => {
  await using tier = await Tier.open('127.0.59')
  await using scope = new Scope()
  const web = createServer((_request, response) => response.setHeader('x-backend-name', 'all').end('here'))
  const port = 21_959
  await new Promise<void>(listening => web.listen(port, '0.0.0.0', listening))
  scope.defer(async () => {
    web.closeAllConnections()
    await new Promise(closed => web.close(closed))
  })
  const balancer = tier.balancer()
  await eventually(
    () => balancer.status(),
    status => status.balancer?.haproxy.pid !== undefined,
  )
  const nameOf = (at: number) => `n${String(at).padStart(2, '0')}`
  const joining = async (at: number) => {
    const bind = { ip: tier.ip(10 + at), port: 7946 }
    const tags = { role: 'backend', port: String(port) }
    const agent = await startSerf({ name: nameOf(at), bind, tags, profile: 'lan' }, deps)
    scope.defer(() => agent.stop())
    await agent.join([tier.gossip(1)])
    return agent
  }
  const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => from + at)
  const early = await Promise.all(numbers(0, 30).map(joining))
  await untilReady(balancer, numbers(0, 30).map(nameOf))
  await Promise.all([...early.map(agent => agent.leave()), ...numbers(30, 60).map(joining)])
  const right = numbers(30, 60).map(nameOf)
  await untilReady(balancer, right)
  await eventually(
    () => poolOf(balancer),
    servers =>
      servers
        .map(server => server.name)
        .sort()
        .join() === right.join(),
  )
  const lines = readFileSync(join(balancer.directory, 's/haproxy.cfg'), 'utf8').matchAll(/^ *server .* # (\S+)$/gm)
  expect(Array.from(lines, line => line[1] ?? '').sort()).toEqual(right)
}, 120_000)
