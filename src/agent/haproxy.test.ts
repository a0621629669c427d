import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type BalancerConfig, startBalancer } from '../balancer/index.ts'
import { silentLog, systemClock, systemRandom } from '../base/index.ts'
import { startSupervisor } from '../supervisor/index.ts'
import { haproxySupervise } from './haproxy.ts'

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
