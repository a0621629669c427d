/** A service is being replaced, by its drain, when the agent itself is to end: nobody's request is lost, and no process is. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually, serf } from './parts.ts'
import { ask, linesOf, Tier, type TierAgent, untilReady } from './tier.ts'

const NET = '127.0.201'
const SLOW_MS = 6_000

/** Writes its version and pid when it starts; answers `/slow` after six seconds. */
function web(tier: Tier, version: string): object {
  const listens = `const [pids, host] = process.argv.slice(1)
    require('node:fs').appendFileSync(pids, process.env.VERSION + ' ' + process.pid + '\\n')
    const answer = (q, a) => { a.setHeader('x-backend-name', process.env.VERSION); a.end('ok') }
    const server = require('node:http').createServer((q, a) => void setTimeout(answer, q.url === '/slow' ? ${SLOW_MS} : 0, q, a))
    server.listen(3000, host)`
  const command = [process.execPath, '-e', listens, pidsOf(tier), tier.ip(2)]
  return { web: { command, env: { VERSION: version }, pool: 'web', port: 3000, ready: { http: '/' } } }
}

const pidsOf = (tier: Tier) => join(tier.directory, 'pids')
const versions = (tier: Tier) => linesOf(pidsOf(tier)).map(line => line.split(' ')[0])

const configOf = (tier: Tier, version: string) => ({
  cluster: { join: [tier.gossip(1)] },
  services: web(tier, version),
})

/** The service is changed while it answers slowly. @returns its agent, its pid, and the answer to come */
async function changing(tier: Tier): Promise<{ agent: TierAgent; pid: number; answer: Promise<string> }> {
  const balancer = tier.balancer()
  const agent = tier.muster('web-2', 2, configOf(tier, 'a'))
  await untilReady(balancer, ['web-2'])
  const pid = Number(linesOf(pidsOf(tier))[0]?.split(' ')[1])
  const answer = ask(`${tier.site}slow`)
  const busy = async () => (await balancer.status()).balancer?.pools[0]?.servers[0]?.sessions
  await eventually(busy, sessions => sessions === 1)
  const file = join(agent.directory, 'muster.yaml')
  const config = JSON.parse(readFileSync(file, 'utf8')) as object
  writeFileSync(file, JSON.stringify({ ...config, services: web(tier, 'b') }))
  await tier.signal('web-2', 'HUP')
  await eventually(
    () => agent.status(),
    ({ services }) => services[0]?.state === 'stopping',
  )
  return { agent, pid, answer }
}

test('SIGUSR2 while a service is drained to be replaced leaves it to the next agent, which adopts it and goes on', async () => {
  await using tier = await Tier.open(NET)
  const { agent, pid, answer } = await changing(tier)
  await tier.signal('web-2', 'USR2')
  expect(await agent.part.exited).toBe(0)
  const record = JSON.parse(readFileSync(join(agent.directory, 's/services/web.json'), 'utf8')) as { pid: number }
  expect(record.pid).toBe(pid)
  const next = tier.muster('web-2', 2, configOf(tier, 'b'))
  await eventually(
    () => next.status(),
    ({ services }) => services[0]?.pid === pid,
  )
  expect(await answer).toBe('a')
  await eventually(
    () => next.status(),
    ({ services }) => services[0]?.state === 'ready' && services[0].pid !== pid,
    40_000,
  )
  expect(versions(tier)).toEqual(['a', 'b'])
}, 90_000)

test('SIGTERM while a service is drained to be replaced waits for what it answers, and starts no other', async () => {
  await using tier = await Tier.open(NET)
  const { agent, answer } = await changing(tier)
  await tier.signal('web-2', 'TERM')
  expect(await answer).toBe('a')
  expect(await agent.part.exited).toBe(0)
  expect(versions(tier)).toEqual(['a'])
}, 90_000)

test('SIGTERM to a balancer that has left by command is the first one: HAProxy answers what it has begun', async () => {
  await using tier = await Tier.open(NET)
  const balancer = tier.balancer()
  tier.muster('web-2', 2, configOf(tier, 'a'))
  await untilReady(balancer, ['web-2'])
  const answer = ask(`${tier.site}slow`)
  const busy = async () => (await balancer.status()).balancer?.pools[0]?.servers[0]?.sessions
  await eventually(busy, sessions => sessions === 1)
  await serf(balancer, 'leave')
  await tier.signal('lb', 'TERM')
  expect(await answer).toBe('a')
  expect(await balancer.part.exited).toBe(0)
}, 90_000)
