/** An agent that comes back to a running HAProxy and finds other files than it left: nothing of that costs a request. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from './parts.ts'
import { type MusterConfig, loadOn, poolOf, readyIn, Tier, type TierAgent, untilReady, verdictOn } from './tier.ts'

test('neither another balancer.config, nor a lost state directory, nor an emptied run directory loses a request', async () => {
  await using tier = await Tier.open('127.0.181')
  const start = (more: object = {}): TierAgent =>
    tier.muster('lb', 1, {
      node: { tags: { role: 'balancer' } },
      balancer: {
        stats: `${tier.ip(1)}:1936`,
        frontends: { http: { bind: `${tier.ip(1)}:8080`, pool: 'web' } },
        pools: { web: { check: { http: '/' } } },
        ...more,
      },
    } satisfies MusterConfig)
  let lb = start()
  const names = ['web-1', 'web-2']
  for (const [at, name] of names.entries()) tier.backend(name, at + 2)
  await untilReady(lb, names)
  const { haproxy } = (await lb.status()).balancer ?? {}
  const load = loadOn(tier)
  for (const change of ['config', 'state', 'run'] as const) {
    await lb.part.end('SIGKILL')
    if (change !== 'config') rmSync(join(lb.directory, change[0] as string), { recursive: true, force: true })
    lb = start(change === 'config' ? { config: join(lb.directory, 'other.cfg') } : {})
    await untilReady(lb, names)
    await eventually(
      () => poolOf(lb),
      servers => servers.every(server => server.reason === 'announced ready'),
    )
    expect((await lb.status()).balancer?.haproxy).toMatchObject({ pid: haproxy?.pid, state: 'ready' })
  }
  expect(await verdictOn(tier, load)).toMatchObject({ lost: 0, doubled: 0 })
  expect(await readyIn(lb)).toEqual(names)
}, 120_000)
