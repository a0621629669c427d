/** Injected causes on real parts: whatever is broken, the first line of `muster why` names it. */
import { execFile } from 'node:child_process'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { apiRequest, type WhyReport } from '../src/api/index.ts'
import { Hosts } from './hosts.ts'
import { eventually, part, serf } from './parts.ts'
import { ask, poolOf, siteTemplate, Tier, type TierAgent, untilReady } from './tier.ts'

const MUSTER = resolve(import.meta.dirname, '../bin/muster')
const LOCAL = { profile: 'local' }

interface Outcome {
  /** The first line. */
  readonly first: string
  readonly text: string
  readonly exit: number
}

function muster(agent: TierAgent, ...args: string[]): Promise<Outcome> {
  const argv = [MUSTER, ...args, '--socket', join(agent.directory, 'a.sock')]
  return new Promise(done =>
    execFile(process.execPath, argv, (failure, stdout, stderr) => {
      const text = stdout + stderr
      done({ first: text.split('\n')[0] ?? '', text, exit: failure === null ? 0 : Number(failure.code) })
    }),
  )
}

const why = (agent: TierAgent, ...what: string[]) => muster(agent, 'why', ...what)

/** Waits until the first line says so. @returns the exit code */
async function says(agent: TierAgent, what: string | undefined, sentence: RegExp, withinMs = 20_000): Promise<number> {
  const asked = () => why(agent, ...(what === undefined ? [] : [what]))
  const { exit } = await eventually(asked, ({ first }) => sentence.test(first), withinMs, 200)
  return exit
}

/** Answers what its file says, `500 database gone`; `/users` has an answer of its own, `/slow` takes 8 s. Works until it is killed. */
const APP = `
const { readFileSync } = require('node:fs')
require('node:http').createServer((asked, answer) => {
  const [, code, body] = /^(\\d+) ?(.*)/.exec(readFileSync(process.env.MODE, 'utf8'))
  if (asked.url === '/slow') return void setTimeout(() => answer.end('at last'), 8000)
  answer.statusCode = asked.url === '/users' ? 500 : Number(code)
  answer.end(body)
}).listen(Number(process.env.PORT), process.env.HOST, () => console.log('listening'))
process.on('SIGTERM', () => process.exit(0))
`

/** What the application of a name answers from now on. */
function mode(tier: Tier, name: string, answer: string): string {
  const path = join(tier.directory, `${name}.mode`)
  writeFileSync(`${path}.new`, answer)
  renameSync(`${path}.new`, path)
  return path
}

function app(tier: Tier, name: string, host: number) {
  const env = { MODE: mode(tier, name, '200 fine'), HOST: tier.ip(host), PORT: '3000' }
  return tier.run(`${name}-app`, [process.execPath, '-e', APP], env, host)
}

/** A plain `serf agent`, and the application beside it. */
async function plain(tier: Tier, name: string, host: number, tags: readonly string[] = ['role=backend']) {
  const part = app(tier, name, host)
  const flags = [...tags.flatMap(tag => ['-tag', tag]), ...tier.joinQuickly()]
  return { app: part, ...(await tier.serf(name, host, flags)) }
}

/** A line to HAProxy's socket, as an operator types it. */
function poke(balancer: TierAgent, line: string): Promise<string> {
  return new Promise((done, fail) => {
    const socket = connect(join(balancer.directory, 'r/haproxy.sock'), () => socket.end(`${line}\n`))
    let text = ''
    socket.on('data', chunk => (text += chunk.toString()))
    socket.on('end', () => done(text))
    socket.on('error', fail)
  })
}

function balancer(tier: Tier, pools: object, more: object = {}): TierAgent {
  const frontends = { http: { bind: `${tier.ip(1)}:8080`, pool: Object.keys(pools)[0] } }
  return tier.balancer(LOCAL, { balancer: { stats: `${tier.ip(1)}:1936`, frontends, pools, ...more } })
}

/** Runs a line where the tier's agents run. */
async function onHost(tier: Tier, line: string): Promise<void> {
  expect(await tier.run('line', ['sh', '-c', line]).exited).toBe(0)
}

async function untilBalances(lb: TierAgent): Promise<void> {
  await eventually(
    () => lb.status(),
    status => status.balancer?.haproxy.pid !== undefined,
  )
}

const CHECK = { check: { http: '/up', interval: '200ms', timeout: '200ms', fall: 3 } }

test.concurrent('plain serf agents: whatever is wrong with a server, its member or its tags is the first line', async () => {
  await using tier = await Tier.open('127.0.186')
  const lb = balancer(tier, { web: CHECK, one: CHECK })
  await untilBalances(lb)
  const names = ['m1', 'm2', 'm4', 'm5', 'm6', 'm7', 'm8', 'm17', 'm18', 'm20', 'm19']
  const members = new Map(
    await Promise.all(names.map(async (name, at) => [name, await plain(tier, name, 11 + at)] as const)),
  )
  await Promise.all([
    plain(tier, 'm3', 31, ['role=backend', 'port=3999']),
    plain(tier, 'm9', 32, ['role=backend', 'weight=0']),
    plain(tier, 'm10', 33, ['role=backend', 'pool=api']),
    plain(tier, 'm11', 34, ['role=backend', 'port=99999']),
    plain(tier, 'm12;x', 35),
    plain(tier, 'm14', 36, ['role=database']),
    plain(tier, 'm16', 37, ['role=backend', 'pool=one']),
  ])
  await untilReady(lb, ['m9', ...names].sort())
  expect(await says(lb, 'm1', /^m1 takes traffic in pool web: .*HAProxy's checks pass \(L7OK 200 in \d+ ms\)/)).toBe(0)
  expect(await says(lb, undefined, /^m3 is out of pool web/)).toBe(1)

  mode(tier, 'm1', '500 database gone')
  mode(tier, 'm2', '404 nothing here')
  await tier.signal('m4-app', 'KILL')
  await tier.signal('m5-app', 'STOP')
  await tier.signal('m6', 'STOP')
  await Promise.all([tier.signal('m7-app', 'KILL'), tier.signal('m7', 'KILL'), tier.signal('m8', 'INT')])
  await eventually(
    () => serf(members.get('m17') as never, 'tags', '-delete', 'role'),
    () => true,
  )

  expect(
    await says(
      lb,
      'm1',
      /^m1 is out of pool web for \d+ s: GET \/up answered 500, 3 checks failed; last body "database gone"$/,
    ),
  ).toBe(1)
  expect(await says(lb, `${tier.ip(11)}:3000`, /GET \/up answered 500/)).toBe(1)
  expect(await says(lb, 'm2', /^m2 is out of .* GET \/up answered 404.* "nothing here"$/)).toBe(1)
  expect(await says(lb, 'm3', /^m3 is out of .*nothing listens on 127\.0\.186\.31:3999: connection refused/)).toBe(1)
  expect(await says(lb, 'm4', /^m4 is out of .*nothing listens on .*connection refused/)).toBe(1)
  expect(await says(lb, 'm5', /^m5 is out of .*not answered within the check's time-out.*frozen or overloaded/)).toBe(1)
  expect(await says(lb, 'm6', /^m6 takes traffic in pool web although its member failed \d+ s ago/)).toBe(1)
  expect(
    await says(lb, 'm7', /^m7 is out of .*: its member failed \d+ s ago, .* checks fail: nothing listens on/),
  ).toBe(1)
  expect(await says(lb, 'm8', /^m8 .*left the ring on purpose \d+ s ago/)).toBe(0)
  expect(await says(lb, 'm9', /^m9 gets no new clients in pool web: its tag gives it weight 0$/)).toBe(0)
  expect(
    await says(lb, 'm10', /^m10 gets no traffic: it serves pool api, which lb does not have; its pools are /),
  ).toBe(1)
  expect(await says(lb, 'm11', /^m11 is in no pool: .*refused: tag port="99999" is not a port$/)).toBe(1)
  expect(await says(lb, 'm12;x', /^m12;x is in no pool: .*refused: its name cannot be a server name$/)).toBe(1)
  expect(await says(lb, 'm14', /^m14 is alive .*serves no pool: its tags name none$/)).toBe(0)
  expect(await says(lb, 'm17', /^m17 is not in pool web: its tags named it until \d+ s ago and do no more$/)).toBe(1)

  await muster(lb, 'drain', 'm20', '--reason', 'new disk')
  expect(await says(lb, 'm20', /^m20 was drained by \S+@lb \d+ s ago \("new disk"\): nothing is left on it/)).toBe(0)
  expect((await muster(lb, 'drain', 'm16')).exit).toBe(4)
  expect(
    await says(
      lb,
      'm16',
      /^m16 takes traffic in pool one: the drain of \S+ \d+ s ago was refused: pool one has 1 server/,
    ),
  ).toBe(0)
  const twin = ['-bind', `${tier.ip(19)}:7947`, '-rpc-addr', `${tier.ip(19)}:7374`, '-node', 'm13']
  const more = ['-tag', 'role=backend', ...tier.joinQuickly()]
  tier.run('m13', [part('serf'), 'agent', ...twin, ...more], {}, 19)
  expect(await says(lb, 'm13', /^m13 is not in pool web: m18 announces 127\.0\.186\.19:3000, too, and has it/)).toBe(1)
  const slot = (await poolOf(lb)).find(({ name }) => name === 'm19')?.slot ?? ''
  const byHand = /^m19 gets no traffic in pool web: somebody set it to MAINT in HAProxy by hand, \d+ s ago, left alone/
  const insisted = async () => {
    await poke(lb, `set server web/${slot} state maint`)
    return await why(lb, 'm19')
  }
  await poke(lb, `set server web/${slot} state maint`)
  expect(
    await says(
      lb,
      'm19',
      /^m19 takes traffic in pool web: somebody changed it in HAProxy by hand \d+ s ago, put right$/,
    ),
  ).toBe(0)
  expect((await eventually(insisted, ({ first }) => byHand.test(first), 20_000, 300)).exit).toBe(1)
  for (let at = 0; at < 2; at++) {
    mode(tier, 'm2', '200 fine')
    await says(lb, 'm2', /^m2 takes traffic/)
    mode(tier, 'm2', '500 again')
    await says(lb, 'm2', /^m2 is out of/)
  }
  mode(tier, 'm2', '200 fine')
  expect(
    await says(lb, 'm2', /^m2 (is held out of pool web, since it flaps: |takes traffic in pool web, but it flaps: )/),
  ).toBe(1)
  for (let at = 0; at < 100; at++) await ask(`${tier.site}users`)
  expect(
    await says(
      lb,
      'm18',
      /^m18 takes traffic in pool web and its checks pass, but \d+ of \d+ requests .* were answered with 5xx$/,
    ),
  ).toBe(1)
  await tier.signal('m16-app', 'KILL')
  const empty =
    /^pool one has no server in traffic, requests wait up to 10 s: m16 is out of pool one .*nothing listens on/
  expect(await says(lb, 'one', empty)).toBe(1)
  await eventually(
    () => serf(members.get('m1') as never, 'force-leave', '-prune', 'm7'),
    () => true,
  )
  expect(
    await says(
      lb,
      'm7',
      /^m7 is not in the ring any more, as lb sees it: it .* \d+ s ago; muster history m7 tells more$/,
    ),
  ).toBe(1)
  expect(await why(lb, 'm77')).toMatchObject({
    exit: 1,
    first: expect.stringMatching(/nobody knows "m77".*did you mean m\d/),
  })
}, 90_000)

/** An agent of ours whose service is the application, or something else. */
function own(tier: Tier, name: string, host: number, service: object = {}, more: object = {}): TierAgent {
  const env = { MODE: mode(tier, name, '200 fine'), HOST: tier.ip(host), PORT: '3000' }
  const command = [process.execPath, '-e', APP]
  const services = { app: { command, env, pool: 'web', port: 3000, ready: { http: '/up' }, ...service } }
  return tier.muster(name, host, { cluster: { ...LOCAL, join: [tier.gossip(1)] }, services, ...more })
}

test.concurrent('agents of ours: the process, its readiness, its end; asked at the balancer and at the service itself', async () => {
  await using tier = await Tier.open('127.0.187')
  const lb = balancer(tier, { web: { check: { http: '/up', interval: '200ms', timeout: '200ms' } } })
  await untilBalances(lb)
  const dying = ['sh', '-c', 'echo no database; exit 3']
  const a = Object.fromEntries(
    [
      own(tier, 'a1', 11),
      own(tier, 'a2', 12, { command: dying, restart: { min: '20ms', quarantine_after: 2 } }),
      own(tier, 'a3', 13, { command: dying, restart: { min: '60s', max: '60s' } }),
      own(tier, 'a4', 14),
      own(tier, 'a5', 15, { port: 3001, ready: { port: 3001 } }),
      own(tier, 'a6', 16),
      own(tier, 'a7', 17, { ready: { port: 3000 } }),
      own(tier, 'a8', 18, { stop: { drain: '20s' } }),
      own(tier, 'a9', 19),
      own(tier, 'a10', 20, { restart: { min: '20ms' } }),
    ].map(one => [one.name, one]),
  ) as Record<string, TierAgent>
  mode(tier, 'a4', '503 still warming up')
  mode(tier, 'a7', '404 no such page')
  await untilReady(lb, ['a1', 'a10', 'a6', 'a8', 'a9'])
  for (const what of ['a1:3000', 'web/a1', 'web/a1:3000', `${tier.ip(11)}:3000`])
    expect(await says(lb, what, /^a1 takes traffic in pool web: /)).toBe(0)

  const quarantined =
    /^a2 is not in pool web: its service app was given up after \d+ restarts?: exit status 3; its last line: "no database"$/
  expect(await says(lb, 'a2', quarantined)).toBe(1)
  expect(await says(a['a2'] as TierAgent, undefined, quarantined)).toBe(1)
  expect(
    await says(
      lb,
      'a3',
      /^a3 is not in pool web: its service app ended: exit status 3, \d+ s ago and is started again/,
    ),
  ).toBe(1)
  expect(
    await says(
      lb,
      'a4',
      /^a4 is not in pool web: its service app runs for \d+ s and is not ready: GET \/up answered 503, body "still warming up"/,
    ),
  ).toBe(1)
  expect(
    await says(
      lb,
      'a5',
      /^a5 is not in pool web: its service app is configured for port 3001, and its process \(pid \d+\) listens on port 3000$/,
    ),
  ).toBe(1)
  expect(
    await says(
      lb,
      'a7',
      /^a7 is not in pool web yet: .*first probe fails: GET \/up answered 404; body "no such page"$/,
    ),
  ).toBe(1)

  const pidOf = async (name: string) => (await (a[name] as TierAgent).status()).services[0]?.pid as number
  await tier.signal(await pidOf('a6'), 'STOP')
  expect(
    await says(
      lb,
      'a6',
      /^a6 is out of pool web .*the process of its service app \(pid \d+\) is stopped by a signal or a debugger/,
    ),
  ).toBe(1)
  await tier.signal(await pidOf('a10'), 'KILL')
  expect(
    await says(
      lb,
      'a10',
      /^a10 takes traffic in pool web: its service app ended and was started again \d+ s ago, 1 restart so far$/,
    ),
  ).toBe(0)
  expect(
    await says(
      a['a10'] as TierAgent,
      'app',
      /^a10 takes traffic .* on lb: .*started again \d+ s ago: killed by SIGKILL, 1 restart/,
    ),
  ).toBe(0)

  expect(await says(lb, 'web', /^pool web has \d of \d servers in traffic: a\d+ is /)).toBe(1)
  const json = JSON.parse((await why(lb, 'a2', '-o', 'json')).text) as WhyReport
  expect(json).toMatchObject({
    what: 'a2',
    node: 'lb',
    verdict: { code: 'quarantined', severity: 'wrong', about: 'a2' },
  })
  expect(json.evidence.find(({ from }) => from === 'process')).toMatchObject({ seenBy: 'a2', facts: { restarts: 1 } })

  const slow = Promise.all(Array.from({ length: 8 }, () => fetch(`${tier.site}slow`).then(answer => answer.text())))
  const slotOfA8 = (await poolOf(lb)).find(({ name }) => name === 'a8')?.slot
  await eventually(
    () => poke(lb, 'show stat'),
    csv => csv.split('\n').some(row => row.startsWith(`web,${slotOfA8},`) && Number(row.split(',')[4]) > 0),
  )
  await tier.signal('a8', 'TERM')
  expect(
    await says(
      lb,
      'a8',
      /^a8 takes no new clients in pool web: its service app is drained and stopped \(.*\), [12] sessions? left$/,
    ),
  ).toBe(0)
  await tier.signal('a9', 'STOP')
  expect(await says(lb, 'a9', /^a9 takes traffic in pool web, but the agent of a9 gives no answer/)).toBe(1)
  expect(new Set(await slow)).toEqual(new Set(['at last']))
}, 90_000)

test.concurrent('a balancer: its template, its configuration, HAProxy, its disk; what serves is still said to serve', async () => {
  await using tier = await Tier.open('127.0.188')
  const path = join(tier.directory, 'site.hbs')
  writeFileSync(path, siteTemplate(tier, 'balance roundrobin'))
  const state = join(tier.directory, 'lb/s')
  mkdirSync(state, { recursive: true })
  await onHost(tier, `mount -t tmpfs -o size=512k tmpfs ${state}`) // seen by this tier alone, and gone with it
  const lb = tier.balancer(LOCAL, { balancer: { template: path, pools: { web: {} } } })
  await untilBalances(lb)
  await plain(tier, 'm1', 11)
  await untilReady(lb, ['m1'])
  expect(
    await says(
      lb,
      undefined,
      /^nothing is wrong on lb: pool web has 1 of 1 server in traffic, HAProxy 2\.\S+ is ready/,
    ),
  ).toBe(0)

  writeFileSync(path, siteTemplate(tier, '{{#each}'))
  expect((await muster(lb, 'apply')).exit).not.toBe(0)
  expect(
    await says(lb, undefined, /^the template of lb is bad and not in force, the one before serves: .*site\.hbs/),
  ).toBe(1)
  writeFileSync(path, siteTemplate(tier, 'balance {{nobody}}'))
  expect(await says(lb, undefined, /^the template of lb is bad and not in force.*nobody/)).toBe(1)
  writeFileSync(path, siteTemplate(tier, 'balance nonsense'))
  expect((await muster(lb, 'apply')).exit).not.toBe(0)
  expect(
    await says(
      lb,
      undefined,
      /^HAProxy refuses the newest configuration of lb, the one before serves: .*balance only supports/,
    ),
  ).toBe(1)
  writeFileSync(path, siteTemplate(tier, 'balance leastconn'))
  expect((await muster(lb, 'apply')).exit).toBe(0)
  expect(await ask(tier.site)).toMatch(/status 200|fine/)
  expect((await muster(lb, 'rollback')).exit).toBe(0)
  expect(
    await says(lb, undefined, /^lb serves generation 1 of its configuration, which an operator went back to/),
  ).toBe(0)
  expect((await muster(lb, 'apply')).exit).toBe(0)

  await onHost(tier, `echo '# by hand' >> ${state}/haproxy.cfg`)
  expect(await says(lb, undefined, /^somebody changed HAProxy's file by hand \d+ s ago: put right$/)).toBe(0)

  await onHost(tier, `cat /dev/zero > ${state}/full; true`)
  const socket = join(lb.directory, 'a.sock')
  for (let at = 0; at < 30; at++) await apiRequest(socket, 'POST /v1/apply') // each is on record
  expect(await says(lb, undefined, /^nothing is put on record on lb: .*ENOSPC/)).toBe(1)
  await plain(tier, 'm2', 12)
  expect(await says(lb, undefined, /^lb balances, but cannot write: .*ENOSPC/)).toBe(1)
  await onHost(tier, `rm ${state}/full`)

  const pid = (await lb.status()).balancer?.haproxy.pid as number
  await tier.signal(pid, 'STOP')
  const worker = Number((await poke(lb, 'show info')).match(/^Pid: (\d+)/m)?.[1])
  await tier.signal(worker, 'STOP')
  expect(await says(lb, undefined, /^HAProxy on lb is unreachable/)).toBe(1)
  expect(await says(lb, 'm1', /^m1 may get no traffic: HAProxy on lb is unreachable/)).toBe(1)
  expect((await muster(lb, 'apply', '--reload')).exit).toBe(1)
  for (const frozen of [pid, worker]) await tier.signal(frozen, 'CONT')
  expect(await says(lb, 'm1', /^m1 takes traffic in pool web: /)).toBe(0)
  const thawed = await eventually(
    () => why(lb),
    ({ exit }) => exit === 0,
  )
  expect(thawed.text).not.toContain('was not taken') // the silence said nothing about the configuration
}, 90_000)

test.concurrent('the ring: nobody to join, no balancer, a name that two have', async () => {
  await using tier = await Tier.open('127.0.189')
  const alone = own(tier, 'a1', 11)
  expect(await says(alone, undefined, /^a1 is alone: none of the addresses that it is to join has answered$/)).toBe(1)
  expect(await says(alone, 'app', /^a1 gets no traffic: a1 has found nobody to join$/)).toBe(1)
  await tier.serf('m1', 1, ['-profile', 'local'])
  expect(await says(alone, 'app', /^a1 gets no traffic: no balancer is alive in the ring$/, 40_000)).toBe(1)
  await tier.serf('m2', 2, tier.joinQuickly())
  const join1 = { cluster: { ...LOCAL, join: [tier.gossip(1)] } }
  await tier.serf('twin', 3, tier.joinQuickly())
  const loser = tier.muster('twin-2', 4, { ...join1, node: { name: 'twin' } })
  expect(await says(loser, undefined, /^twin has lost its name: another node of the ring is called twin/, 40_000)).toBe(
    1,
  )
}, 90_000)

test.concurrent('a key that a member does not have', async () => {
  await using tier = await Tier.open('127.0.189')
  const [key, other] = [7, 9].map(byte => Buffer.alloc(16, byte).toString('base64')) as [string, string]
  const flags = ['-profile', 'local', '-encrypt', key]
  await tier.serf('m1', 21, flags)
  const one = tier.muster('k1', 22, { cluster: { ...LOCAL, encrypt: key, join: [`${tier.ip(21)}:7946`] } })
  await eventually(
    () => one.status(),
    ({ members }) => members.alive === 2,
  )
  await tier.serf('m3', 23, [
    '-profile',
    'local',
    '-encrypt',
    other,
    '-retry-join',
    one.address,
    '-retry-interval',
    '1s',
  ])
  expect(
    await says(
      one,
      undefined,
      /^127\.\S+ speaks with a key that this node does not have; one of them has missed a rotation/,
    ),
  ).toBe(1)
}, 60_000)

test.concurrent('a balancer that is cut off is told from members that fail; a loopback address is of no use to others', async () => {
  const hosts = await Hosts.open(186, [1, 2, 3])
  await using tier = await Tier.open(hosts)
  const lb = tier.balancer(LOCAL, {})
  await untilBalances(lb)
  for (const host of [2, 3]) await plain(tier, `m${host}`, host)
  await untilReady(lb, ['m2', 'm3'])
  const flags = [
    '-bind=127.0.0.5:7946',
    '-rpc-addr=127.0.0.5:7373',
    '-node=local',
    '-tag=role=backend',
    ...tier.joinQuickly(),
  ]
  tier.run('local', [part('serf'), 'agent', ...flags], {}, 1)
  expect(
    await says(
      lb,
      'local',
      /^local is in no pool: .*refused: its address 127\.0\.0\.5 means another machine on every host/,
    ),
  ).toBe(1)
  await tier.signal('local', 'INT')
  await hosts.cutLink(1, ['gossip'])
  const cutOff = /^lb is likely cut off by the network: 2 of \d other members failed at once/
  expect(await says(lb, undefined, cutOff, 40_000)).toBe(1)
  expect(
    await says(
      lb,
      'm2',
      /^m2 failed \d+ s ago, with 1 other member at once \(m3\): lb is likely cut off.*; it takes traffic in pool web/,
    ),
  ).toBe(1)
}, 90_000)
