import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually, members, Ring, type RingAgent, serf } from './parts.ts'
import { ask, loadOn, readyIn, siteTemplate, Tier, untilReady, verdictOn } from './tier.ts'

const tagsOf = async (agent: RingAgent) =>
  (await members(agent, 'serf')).find(row => row.name === agent.name)?.tags ?? {}

test('SIGHUP takes over the tags of the files and keeps those set at run time, which Serf wipes', async () => {
  await using ring = new Ring('127.0.144')
  const found: Record<string, Readonly<Record<string, string>>> = {}
  for (const [host, kind] of (['serf', 'muster'] as const).entries()) {
    const file = join(ring.directory, `${kind}.json`)
    const write = (tags: object) => writeFileSync(file, JSON.stringify({ tags }))
    write({ role: 'web', rack: 'a' })
    const agent = await ring.start(kind, kind, host + 1, [`-config-file=${file}`])
    await serf(agent, 'tags', '-set', 'said=over-rpc')
    write({ role: 'web', rack: 'b' })
    agent.part.child.kill('SIGHUP')
    found[kind] = await eventually(
      () => tagsOf(agent),
      tags => tags['rack'] === 'b',
    )
  }
  expect(found).toEqual({
    serf: { role: 'web', rack: 'b' },
    muster: { role: 'web', rack: 'b', said: 'over-rpc' },
  })
}, 60_000)

test("SIGHUP reads a user's template again; one that is wrong changes nothing, and neither does a wrong file", async () => {
  await using tier = await Tier.open('127.0.145')
  const path = join(tier.directory, 'site.hbs')
  writeFileSync(path, siteTemplate(tier, 'balance roundrobin'))
  const balancer = tier.balancer({}, { balancer: { template: path, pools: { web: {} } } })
  await eventually(
    () => balancer.status(),
    status => status.balancer?.haproxy.pid !== undefined,
  )
  tier.web('web-2', 2)
  await tier.serf('web-2', 2, ['-tag', 'role=backend', '-join', tier.gossip(1)])
  await eventually(
    () => readyIn(balancer),
    names => names.join() === 'web-2',
  )
  const file = () => readFileSync(join(balancer.directory, 's/haproxy.cfg'), 'utf8')
  writeFileSync(path, siteTemplate(tier, 'balance leastconn'))
  await tier.signal('lb', 'HUP')
  await eventually(file, text => text.includes('balance leastconn'))
  writeFileSync(path, siteTemplate(tier, '{{nobody}}'))
  await tier.signal('lb', 'HUP')
  await eventually(
    () => balancer.part.output,
    output => output.includes('failed to reload'),
  )
  writeFileSync(join(balancer.directory, 'muster.yaml'), 'nod: {}\n')
  await tier.signal('lb', 'HUP')
  await eventually(
    () => balancer.part.output,
    output => output.includes('unknown key'),
  )
  expect(file()).toContain('balance leastconn')
  expect(await ask(tier.site)).toBe('web-2')
}, 60_000)

test('SIGHUP starts, changes and ends services: what is new is ready first, what goes is let go of, and no request is lost', async () => {
  await using tier = await Tier.open('127.0.179')
  const balancer = tier.balancer()
  const web = tier.backend('web-2', 2)
  await untilReady(balancer, ['web-2'])
  const before = (await web.status()).services[0]?.pid
  const file = join(web.directory, 'muster.yaml')
  const config = JSON.parse(readFileSync(file, 'utf8')) as { services: Record<string, { env: object; port: number }> }
  const { web: first } = config.services
  if (first === undefined) throw new Error('no service')
  const write = (services: object) => writeFileSync(file, JSON.stringify({ ...config, services }))
  const load = loadOn(tier)
  const second = { ...first, env: { ...first.env, PORT: '3001', SERVER_NAME: 'second' }, port: 3001 }
  write({ web: first, second })
  await tier.signal('web-2', 'HUP')
  await untilReady(balancer, ['web-2:3000', 'web-2:3001'])
  write({ web: { ...first, env: { ...first.env, SERVER_TAG: 'changed' } }, second: { ...second, weight: 3 } })
  await tier.signal('web-2', 'HUP')
  const isRenewed = async () => {
    const status = await web.status()
    const service = status.services.find(({ name }) => name === 'web')
    return service?.state === 'ready' && service.pid !== before
  }
  await eventually(isRenewed, done => done, 30_000)
  await untilReady(balancer, ['web-2:3000', 'web-2:3001'])
  write({ second: { ...second, weight: 3 } })
  await tier.signal('web-2', 'HUP')
  await eventually(
    async () => (await web.status()).services.map(({ name }) => name).join(),
    names => names === 'second',
    40_000,
  )
  await untilReady(balancer, ['web-2'])
  const { lost, doubled, unknown } = await verdictOn(tier, load)
  expect({ lost, doubled, unknown }).toEqual({ lost: 0, doubled: 0, unknown: 0 })
}, 90_000)
