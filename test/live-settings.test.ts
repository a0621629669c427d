/** What of a running agent's configuration is taken over, and what stays as it is until a restart. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually, members } from './parts.ts'
import { Tier, type TierAgent, untilReady } from './tier.ts'

const NET = '127.0.199'

function rewrite({ directory }: TierAgent, change: (config: Record<string, unknown>) => void): void {
  const file = join(directory, 'muster.yaml')
  const config = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
  change(config)
  writeFileSync(file, JSON.stringify(config, undefined, 2))
}

const roleOf = async (agent: TierAgent, name: string) =>
  (await members(agent, 'muster')).find(row => row.name === name)?.tags['role']

test('a file that has lost its balancer leaves the node its role while HAProxy serves; one that gets it gives none', async () => {
  await using tier = await Tier.open(NET)
  const balancer = tier.balancer({}, { node: {} })
  const web = tier.backend('web-2', 2)
  await untilReady(balancer, ['web-2'])
  const given = (JSON.parse(readFileSync(join(balancer.directory, 'muster.yaml'), 'utf8')) as { balancer: object })
    .balancer
  rewrite(balancer, config => {
    delete config['balancer']
    config['node'] = { name: 'lb', tags: { rack: 'a' } }
  })
  rewrite(web, config => {
    config['balancer'] = given
    config['node'] = { name: 'web-2', tags: { rack: 'b' } }
  })
  await tier.signal('lb', 'HUP')
  await tier.signal('web-2', 'HUP')
  const rows = await eventually(
    () => members(web, 'muster'),
    found => found.every(({ tags }) => tags['rack'] !== undefined),
  )
  expect(rows.map(({ name, tags }) => [name, tags['role']])).toEqual([
    ['lb', 'balancer'],
    ['web-2', undefined],
  ])
  rewrite(balancer, config => {
    config['balancer'] = given
    config['node'] = { name: 'lb', tags: { role: 'edge' } }
  })
  await tier.signal('lb', 'HUP')
  await eventually(
    () => roleOf(web, 'lb'),
    role => role === 'edge',
  )
}, 60_000)
