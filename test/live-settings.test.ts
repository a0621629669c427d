/** What of a running agent's configuration is taken over, and what stays as it is until a restart. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { execFile } from 'node:child_process'
import { expect, test } from 'vitest'
import { eventually, members } from './parts.ts'
import { Tier, type TierAgent, untilReady } from './tier.ts'

const NET = '127.0.199'
const MUSTER = resolve(import.meta.dirname, '../bin/muster')

function rewrite({ directory }: TierAgent, change: (config: Record<string, unknown>) => void): void {
  const file = join(directory, 'muster.yaml')
  const config = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
  change(config)
  writeFileSync(file, JSON.stringify(config, undefined, 2))
}

interface Outcome {
  readonly code: number
  readonly stdout: string
}

function muster(agent: TierAgent, ...args: string[]): Promise<Outcome> {
  const argv = [MUSTER, ...args, '--socket', join(agent.directory, 'a.sock')]
  return new Promise(done => {
    execFile(process.execPath, argv, (failure, stdout) =>
      done({ code: failure === null ? 0 : Number(failure.code), stdout }),
    )
  })
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

test.for(['SIGHUP', 'muster apply'])(
  'a file that cannot be read by %s is told by status and doctor and is in the journal, until it is mended',
  { timeout: 60_000 },
  async how => {
    await using tier = await Tier.open(NET)
    const agent = tier.muster('solo', 1, {})
    await eventually(
      () => agent.status(),
      ({ warnings = [] }) => warnings.length === 0,
    )
    const file = join(agent.directory, 'muster.yaml')
    const good = readFileSync(file, 'utf8')
    writeFileSync(file, good.replace('{', '{ "min_srvers": 2,'))
    const read = () => (how === 'SIGHUP' ? tier.signal('solo', 'HUP') : muster(agent, 'apply'))
    await read()
    const said = 'the configuration was not taken, the one before serves: '
    const { warnings = [] } = await eventually(
      () => agent.status(),
      status => status.warnings?.length === 1,
    )
    expect(warnings[0]).toContain(said)
    expect(warnings[0]).toContain('min_srvers')
    const doctor = await muster(agent, 'doctor')
    expect([doctor.code, doctor.stdout]).toEqual([1, expect.stringContaining(said)])
    const { stdout } = await muster(agent, 'history', '--kind', 'command')
    expect(stdout).toMatch(/refused .*apply.*muster\.yaml:1:3: unknown key "min_srvers"/)
    writeFileSync(file, good)
    await read()
    await eventually(
      () => agent.status(),
      status => status.warnings?.length === 0,
    )
    expect((await muster(agent, 'doctor')).code).toBe(0)
  },
)

test('max_connections and watch are in force when they have been applied, and go back to what they were', async () => {
  await using tier = await Tier.open(NET)
  const balancer = tier.balancer()
  await eventually(
    () => balancer.status(),
    status => status.balancer?.haproxy.state === 'ready',
  )
  const maxconn = () => /^ +maxconn (\d+)$/m.exec(readFileSync(join(balancer.directory, 's/haproxy.cfg'), 'utf8'))?.[1]
  const byDefault = maxconn()
  const set = (more: object) =>
    rewrite(balancer, config => {
      config['balancer'] = { ...(config['balancer'] as object), ...more }
    })
  set({ max_connections: 700, watch: true })
  expect((await muster(balancer, 'plan')).stdout).toContain('because global: maxconn')
  expect((await muster(balancer, 'apply')).stdout).toContain('applied by a hitless reload')
  expect(maxconn()).toBe('700')
  expect((await muster(balancer, 'plan')).stdout).toContain('HAProxy is as the files say')
  await eventually(
    () => balancer.part.output,
    output => output.includes('watching the configuration'),
  )
  set({ max_connections: 800 })
  await eventually(maxconn, now => now === '800')
  set({ max_connections: undefined, watch: false })
  await eventually(maxconn, now => now === byDefault)
  await eventually(
    () => balancer.part.output,
    output => output.includes('is not watched any more'),
  )
}, 60_000)

test('a service that was mended while it could not become ready is started anew at once, however long it may take', async () => {
  await using tier = await Tier.open(NET)
  const agent = tier.muster('solo', 1, { services: tier.services('solo', 1) })
  const service = async () => (await agent.status()).services[0]
  await eventually(service, found => found?.state === 'ready')
  const withPort = async (port: string, more: object = {}) => {
    rewrite(agent, config => {
      const { web } = config['services'] as { web: { env: object } }
      config['services'] = { web: { ...web, ...more, env: { ...web.env, PORT: port } } }
    })
    await tier.signal('solo', 'HUP')
  }
  const isStuck = (reason: string | undefined) => reason?.startsWith('not ready yet') === true
  await withPort('3999', { ready: { http: '/', timeout: '10m' } })
  const stuck = await eventually(service, found => found?.state === 'starting' && isStuck(found.reason))
  await withPort('3998')
  const again = await eventually(service, found => found?.pid !== stuck?.pid && isStuck(found?.reason), 15_000)
  await withPort('3000')
  const mended = await eventually(service, found => found?.state === 'ready', 15_000)
  expect(mended?.pid).not.toBe(again?.pid)
}, 60_000)
