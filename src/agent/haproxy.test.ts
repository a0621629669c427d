import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type BalancerConfig, startBalancer } from '../balancer/index.ts'
import { silentLog, systemClock, systemRandom } from '../base/index.ts'
import { type ServiceSpec, startSupervisor, type Supervisor } from '../supervisor/index.ts'
import { loadConfig } from './config/index.ts'
import { balancerConfigOf, haproxySupervise } from './haproxy.ts'

const deps = { clock: systemClock, random: systemRandom, log: silentLog }

test('an agent with another state directory adopts the HAProxy that runs, and starts no second one beside it', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'mah-'))
  const config: BalancerConfig = {
    template: 'slots',
    configPath: join(dir, 'one', 'haproxy.cfg'),
    runDir: join(dir, 'r'),
    frontends: { www: { bind: `127.0.26.1:${20_000 + (process.pid % 10_000)}`, pool: 'web' } },
    pools: { web: {} },
    node: { name: 'lb-1', ip: '127.0.26.1' },
  }
  const start = async (stateDir: string, configPath: string) => {
    const supervisor = await startSupervisor({ stateDir, runDir: config.runDir, services: [] }, deps)
    const supervise = haproxySupervise(supervisor)
    return { supervisor, balancer: await startBalancer({ ...config, configPath }, { ...deps, supervise }) }
  }
  const first = await start(join(dir, 'one'), config.configPath)
  const [before] = first.supervisor.services()
  await first.balancer.stop({ keepHaproxy: true })
  await first.supervisor.detach()
  const second = await start(join(dir, 'two'), join(dir, 'two', 'haproxy.cfg'))
  await second.balancer.settle()
  expect(second.supervisor.services()).toMatchObject([{ name: 'haproxy', pid: before?.pid, adopted: true }])
  expect(second.balancer.status().haproxy).toMatchObject({ adopted: true })
  await second.balancer.stop({ keepHaproxy: false })
  await second.supervisor.stop()
  await rm(dir, { recursive: true })
})

test('HAProxy is looked for beyond PATH unless its program is named', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'mah-'))
  const path = join(dir, 'muster.yaml')
  const pathFor = async (yaml: string) => {
    await writeFile(path, yaml)
    const config = loadConfig({ files: [{ kind: 'file', path }] })
    return config.balancer && balancerConfigOf(config, config.balancer, '10.0.0.9').haproxyPath
  }
  expect(await pathFor('balancer: {}')).toBeUndefined()
  expect(await pathFor('balancer: { haproxy: /opt/haproxy }')).toBe('/opt/haproxy')
  await rm(dir, { recursive: true })
})

test('HAProxy is never given up, however long its port is taken', async () => {
  const restarts: unknown[] = []
  const supervisor = { services: () => [], add: async (spec: ServiceSpec) => void restarts.push(spec.restart) }
  const spec = { name: 'haproxy', command: ['haproxy'], stopSignal: 'SIGUSR1', stopTimeoutMs: 1 } as const
  await haproxySupervise(supervisor as unknown as Supervisor).start(spec)
  expect(restarts).toMatchObject([{ quarantineAfter: 0 }])
})
