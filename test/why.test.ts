/** Injected causes on real parts: whatever is broken, the first line of `muster why` names it. */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { Hosts } from './hosts.ts'
import { eventually, part, serf } from './parts.ts'
import { ask, siteTemplate, Tier, type TierAgent, untilReady } from './tier.ts'

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

/** Answers what its file says, `500 database gone`; `/users` has an answer of its own, `/slow` takes 3 s. Works until it is killed. */
const APP = `
const { readFileSync } = require('node:fs')
require('node:http').createServer((asked, answer) => {
  const [, code, body] = /^(\\d+) ?(.*)/.exec(readFileSync(process.env.MODE, 'utf8'))
  if (asked.url === '/slow') return void setTimeout(() => answer.end('at last'), 3000)
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
  const flags = [...tags.flatMap(tag => ['-tag', tag]), '-join', tier.gossip(1), '-profile', 'local']
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

const CHECK = { check: { http: '/up', interval: '200ms', timeout: '200ms', fall: 3 } }

test('plain serf agents: whatever is wrong with a server, its member or its tags is the first line', async () => {
  await using tier = await Tier.open('127.0.186')
  const lb = balancer(tier, { web: CHECK, one: CHECK })
  await eventually(
    () => lb.status(),
    status => status.balancer?.haproxy.pid !== undefined,
  )
  const names = ['m1', 'm2', 'm4', 'm5', 'm6', 'm7', 'm8', 'm17', 'm18', 'm20']
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
  await serf(members.get('m17') as never, 'tags', '-delete', 'role')

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
  expect(await says(lb, 'm9', /^m9 gets no new clients in pool web: its tag gives it weight 0$/)).toBe(1)
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
  const twin = ['-bind', `${tier.ip(18)}:7947`, '-rpc-addr', `${tier.ip(18)}:7374`, '-node', 'm13']
  const more = ['-tag', 'role=backend', '-join', tier.gossip(1), '-profile', 'local']
  tier.run('m13', [part('serf'), 'agent', ...twin, ...more], {}, 18)
  expect(await says(lb, 'm13', /^m13 is not in pool web: m17|^m13 is not in pool web/)).toBe(1)
  for (let at = 0; at < 40; at++) await ask(`${tier.site}users`)
  expect(
    await says(
      lb,
      'm18',
      /^m18 takes traffic in pool web and its checks pass, but \d+ of \d+ requests were answered with 5xx/,
    ),
  ).toBe(1)
  expect(await why(lb, 'm77')).toMatchObject({
    exit: 1,
    first: expect.stringMatching(/nobody knows "m77".*did you mean m7/),
  })
}, 90_000)
