import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually, members, Ring, type RingAgent, serf } from './parts.ts'
import { ask, readyIn, siteTemplate, Tier } from './tier.ts'

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
