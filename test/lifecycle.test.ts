/** Starts that are interrupted, ends that leave something behind, and configurations that cannot work. */
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { eventually, part } from './parts.ts'
import { ask, linesOf, loadOn, poolOf, siteTemplate, Tier, type TierAgent, untilReady, WEBAPP } from './tier.ts'

const MUSTER = resolve(import.meta.dirname, '../bin/muster')

/** Prints its pid into `pids`, and does not end when it is asked to. */
const stubborn = (pids: string) => [
  'sh',
  '-c',
  `trap 'echo asked >> ${pids}' TERM; echo $$ >> ${pids}; while :; do sleep 0.05; done`,
]
/** In the middle of a start that does not end: its service runs, and it waits for a real Serf agent that is not there. */
async function startsFor(tier: Tier, services: object, pids: string): Promise<TierAgent> {
  const agent = tier.muster('a', 1, { cluster: { engine: 'serf', rpc: `${tier.ip(9)}:7373` }, services })
  await eventually(
    () => linesOf(pids),
    lines => lines.length === 1,
  )
  return agent
}

test('signals during a start end it: the second one hurries, and no service stays behind', async () => {
  await using tier = await Tier.open('127.0.170')
  const pids = join(tier.directory, 'pids')
  const services = { slow: { command: stubborn(pids), stop: { timeout: '30s' } } }
  const agent = await startsFor(tier, services, pids)
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
  const agent = await startsFor(tier, services, pids)
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

/** The sample application as some service of pool `web` on some port. */
const webOn = (tier: Tier, host: number, port: number, tag: string) => {
  const ip = tier.ip(host)
  const env = { PORT: String(port), HOST: ip, SERVER_IP: ip, SERVER_NAME: `web-${host}`, SERVER_TAG: tag }
  return { command: [process.execPath, WEBAPP], env, pool: 'web', port, ready: { http: '/' } }
}

test('a service whose port has changed is drained and restarted at the next start; no request is lost', async () => {
  await using tier = await Tier.open('127.0.174')
  const balancer = tier.balancer()
  tier.muster('web-3', 3, { cluster: { join: [tier.gossip(1)] }, services: { web: webOn(tier, 3, 3000, 'a') } })
  const before = tier.muster('web-2', 2, {
    cluster: { join: [tier.gossip(1)] },
    services: { web: webOn(tier, 2, 3000, 'a') },
  })
  await untilReady(balancer, ['web-2', 'web-3'])
  const load = loadOn(tier)
  await tier.signal('web-2', 'USR2')
  expect(await before.part.exited).toBe(0)
  const next = tier.muster('web-2', 2, {
    cluster: { join: [tier.gossip(1)] },
    services: { web: webOn(tier, 2, 3001, 'b') },
  })
  await eventually(
    () => poolOf(balancer),
    servers => servers.some(({ address, state }) => address === `${tier.ip(2)}:3001` && state === 'ready'),
  )
  await load.stop()
  expect(load.stats()).toMatchObject({ lost: 0, inFlight: 0 })
  expect((await next.status()).services[0]).toMatchObject({ name: 'web', state: 'ready', port: 3001 })
  expect(next.part.output).toContain('draining and restarting it')
})

test('a service that is renamed in the file is drained, ended and replaced; one that is removed is ended', async () => {
  await using tier = await Tier.open('127.0.175')
  const balancer = tier.balancer()
  tier.muster('web-3', 3, { cluster: { join: [tier.gossip(1)] }, services: { web: webOn(tier, 3, 3000, 'a') } })
  const pids = join(tier.directory, 'pids')
  const other = { command: ['sh', '-c', `echo $$ > ${pids}; exec sleep 600`] }
  const before = tier.muster('web-2', 2, {
    cluster: { join: [tier.gossip(1)] },
    services: { web: webOn(tier, 2, 3000, 'a'), other },
  })
  await untilReady(balancer, ['web-2', 'web-3'])
  const load = loadOn(tier)
  await tier.signal('web-2', 'USR2')
  expect(await before.part.exited).toBe(0)
  const next = tier.muster('web-2', 2, {
    cluster: { join: [tier.gossip(1)] },
    services: { app: webOn(tier, 2, 3000, 'b') },
  })
  const status = await eventually(
    () => next.status(),
    ({ services }) => services.length === 1 && services[0]?.state === 'ready',
  )
  expect(status.services[0]?.name).toBe('app')
  await expect(tier.signal(Number(readFileSync(pids, 'utf8')), '0')).rejects.toThrow()
  await untilReady(balancer, ['web-2', 'web-3'])
  await load.stop()
  expect(load.stats()).toMatchObject({ lost: 0, inFlight: 0 })
})

test('HAProxy ends when the balancer is taken out of the file, and runs on when only its command has changed', async () => {
  await using tier = await Tier.open('127.0.176')
  const balancer = tier.balancer()
  tier.backend('web-2', 2)
  await untilReady(balancer, ['web-2'])
  const pid = (await balancer.status()).balancer?.haproxy.pid
  await tier.signal('lb', 'USR2')
  await balancer.part.exited
  const wrapped = join(tier.directory, 'haproxy')
  writeFileSync(wrapped, `#!/bin/sh\nexec ${part('haproxy')} "$@"\n`, { mode: 0o755 })
  const again = tier.muster('lb', 1, {
    node: { tags: { role: 'balancer' } },
    balancer: {
      haproxy: wrapped,
      stats: `${tier.ip(1)}:1936`,
      frontends: { http: { bind: `${tier.ip(1)}:8080`, pool: 'web' } },
      pools: { web: { check: { http: '/' } } },
    },
  })
  await untilReady(again, ['web-2'])
  expect((await again.status()).balancer?.haproxy.pid).toBe(pid)
  expect(again.part.output).not.toContain('restarting')
  await tier.signal('lb', 'USR2')
  await again.part.exited
  const without = tier.muster('lb', 1, {})
  await eventually(
    () => without.status(),
    ({ services }) => services.length === 0,
  )
  await expect(tier.signal(Number(pid), '0')).rejects.toThrow()
})

test('a configuration that cannot work ends with 2 before any service is started', async () => {
  await using tier = await Tier.open('127.0.177')
  const mark = join(tier.directory, 'started')
  const services = { mark: { command: ['touch', mark] } }
  const site = `${tier.ip(1)}:8080`
  const template = (name: string, text: string) => {
    const path = join(tier.directory, name)
    writeFileSync(path, text)
    return { template: path, pools: { web: {} } }
  }
  const taken = createServer().listen(8080, tier.ip(1))
  await once(taken, 'listening')
  const cases: [object, string][] = [
    [{ balancer: { template: join(tier.directory, 'none.hbs') } }, 'cannot read the template'],
    [{ balancer: template('broken.hbs', 'global\n{{#each addresses}}') }, 'broken.hbs'],
    [
      { balancer: template('refused.hbs', `global\n    no-such-word\nfrontend x\n    bind ${tier.ip(1)}:8081\n`) },
      'no-such-word',
    ],
    [
      { balancer: { frontends: { http: { bind: site, pool: 'web' } }, stats: false } },
      `balancer.frontends.http.bind: cannot listen on ${site}: `,
    ],
    [{ node: { tags: { long: 'x'.repeat(600) } } }, '512 bytes'],
  ]
  for (const [at, [config, words]] of cases.entries()) {
    const agent = tier.muster(`a${at}`, 1, { ...config, services })
    expect(await agent.part.exited, words).toBe(2)
    expect(agent.part.output).toContain(words)
  }
  taken.close()
  expect(existsSync(mark)).toBe(false)
})

test('a broken template does not keep a balancer from starting: it starts with the last good file, and says so', async () => {
  await using tier = await Tier.open('127.0.178')
  const path = join(tier.directory, 'site.hbs')
  writeFileSync(path, siteTemplate(tier))
  const config = { balancer: { template: path, pools: { web: {} } } }
  const first = tier.balancer({}, config)
  tier.backend('web-2', 2)
  await untilReady(first, ['web-2'])
  await tier.signal('lb', 'TERM')
  expect(await first.part.exited).toBe(0)
  writeFileSync(path, '{{#each addresses}}')
  const second = tier.balancer({}, config)
  expect(
    await eventually(
      () => ask(tier.site),
      name => name === 'web-2',
    ),
  ).toBe('web-2')
  expect(second.part.output).toContain('the template is broken')
  writeFileSync(path, siteTemplate(tier).replace('timeout server 9s', 'timeout server 8s'))
  await tier.signal('lb', 'HUP')
  await eventually(
    () => readFileSync(join(second.directory, 's/haproxy.cfg'), 'utf8'),
    text => text.includes('timeout server 8s'),
  )
  expect(await ask(tier.site)).toBe('web-2')
})
