/** Starts that are interrupted, ends that leave something behind, and configurations that cannot work. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from './parts.ts'
import { ask, linesOf, Tier, untilReady } from './tier.ts'

const MUSTER = resolve(import.meta.dirname, '../bin/muster')

/** Prints its pid into `pids`, and does not end when it is asked to. */
const stubborn = (pids: string) => [
  'sh',
  '-c',
  `trap 'echo asked >> ${pids}' TERM; echo $$ >> ${pids}; while :; do sleep 0.05; done`,
]
/** A start that does not end: it waits for a real Serf agent that is not there. */
const waits = (tier: Tier) => ({ engine: 'serf', rpc: `${tier.ip(9)}:7373` })

test('signals during a start end it: the second one hurries, and no service stays behind', async () => {
  await using tier = await Tier.open('127.0.170')
  const pids = join(tier.directory, 'pids')
  const services = { slow: { command: stubborn(pids), stop: { timeout: '30s' } } }
  const agent = tier.muster('a', 1, { cluster: waits(tier), services })
  await eventually(
    () => linesOf(pids),
    lines => lines.length === 1,
  )
  await tier.signal('a', 'HUP') // no reason to end
  await tier.signal('a', 'TERM')
  await eventually(
    () => linesOf(pids),
    lines => lines.includes('asked'),
  )
  await tier.signal('a', 'TERM')
  expect(await agent.part.exited).toBe(0)
  await expect(tier.signal(Number(linesOf(pids)[0]), '0')).rejects.toThrow()
})

test('SIGUSR2 during a start hands over: the services run on, and the next agent adopts them', async () => {
  await using tier = await Tier.open('127.0.171')
  const pids = join(tier.directory, 'pids')
  const services = { slow: { command: stubborn(pids), stop: { timeout: '100ms' } } }
  const agent = tier.muster('a', 1, { cluster: waits(tier), services })
  await eventually(
    () => linesOf(pids),
    lines => lines.length === 1,
  )
  await tier.signal('a', 'USR2')
  expect(await agent.part.exited).toBe(0)
  const next = tier.muster('a', 1, { services })
  const status = await eventually(
    () => next.status(),
    ({ services }) => services[0]?.state === 'ready',
  )
  const [pid] = readFileSync(pids, 'utf8').split('\n')
  expect(linesOf(pids)).toEqual([pid])
  expect(status.services[0]?.pid).toBe(Number(pid))
})

test('a second agent with the same run directory touches nothing of the first: not HAProxy, not a service', async () => {
  await using tier = await Tier.open('127.0.172')
  const balancer = tier.balancer()
  tier.backend('web-2', 2)
  await untilReady(balancer, ['web-2'])
  const before = await balancer.status()
  const file = join(tier.directory, 'second.yaml')
  const first = JSON.parse(readFileSync(join(balancer.directory, 'muster.yaml'), 'utf8')) as Record<string, object>
  const own = {
    cluster: { bind: tier.gossip(3), rpc: false },
    state_dir: join(tier.directory, 'other'),
    api: { socket: join(tier.directory, 'other.sock') },
    services: { mark: { command: ['touch', join(tier.directory, 'started')] } },
  }
  writeFileSync(file, JSON.stringify({ ...first, ...own }))
  const second = tier.run('second', [process.execPath, MUSTER, 'agent', '-f', file])
  expect(await second.exited).toBe(1)
  expect(second.output).toMatch(/another agent \(pid \d+\) runs with the run directory .* nothing was started/)
  expect(existsSync(join(tier.directory, 'started'))).toBe(false)
  expect((await balancer.status()).balancer).toEqual(before.balancer)
  expect(await ask(tier.site)).toBe('web-2')
})

test('a request that takes 12 s is answered although its balancer is asked to stop meanwhile', async () => {
  await using tier = await Tier.open('127.0.173')
  const balancer = tier.balancer()
  const answers = `setTimeout(() => { a.setHeader('x-backend-name', 'slow'); a.end('ok') }, q.url === '/slow' ? 12e3 : 0)`
  const listens = `require('node:http').createServer((q, a) => ${answers}).listen(3000, '${tier.ip(2)}')`
  const web = { command: [process.execPath, '-e', listens], pool: 'web', port: 3000 }
  tier.muster('slow', 2, { cluster: { join: [tier.gossip(1)] }, services: { web } })
  await untilReady(balancer, ['slow'])
  const asked = ask(`${tier.site}slow`)
  await ask(tier.site)
  await tier.signal('lb', 'TERM')
  expect(await asked).toBe('slow')
  expect(await balancer.part.exited).toBe(0)
})
