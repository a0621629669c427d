import { afterEach, expect, test } from 'vitest'
import { endAll, get, rig, until, web } from '../../testing/index.ts'

afterEach(endAll)

test('a server in two pools has in each the health that the checks of that pool find', async () => {
  const check = { intervalMs: 100, riseChecks: 1, fallChecks: 1 }
  const { start, port } = await rig({
    template: 'named',
    pools: { web: { check: { ...check, tcp: true } }, api: { check: { ...check, http: '/api' } } },
  })
  const balancer = await start()
  const checks: string[] = []
  balancer.onCheck(({ pool, before, after }) => checks.push(`${pool}: ${before} → ${after}`))
  const a = await web('127.0.21.2')
  let isApiWell = true
  a.http.removeAllListeners('request')
  a.http.on('request', (asked, answer) => {
    answer.statusCode = asked.url === '/api' && !isApiWell ? 500 : 200
    answer.end('here')
  })
  balancer.wanted([a.server, { ...a.server, pool: 'api' }])
  const states = () => balancer.status().pools.map(({ name, servers }) => `${name} ${servers[0]?.state}`)
  await until(() => states().join() === 'web ready,api ready')
  isApiWell = false
  await until(() => {
    balancer.wake()
    return states().includes('api down')
  })
  await balancer.settle()
  expect(states()).toEqual(['web ready', 'api down'])
  expect(checks).toEqual(['api: ready → down'])
  expect((await get(port)).body).toBe('here')
})
