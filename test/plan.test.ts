import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { ApplyReport, PlanReport } from '../src/api/index.ts'
import { eventually } from './parts.ts'
import { ask, siteTemplate, Tier, type TierAgent, untilReady } from './tier.ts'

interface Outcome {
  readonly code: number
  readonly stdout: string
}

function muster(agent: TierAgent, ...args: string[]): Promise<Outcome> {
  const program = join(import.meta.dirname, '../bin/muster')
  const argv = [program, ...args, '--socket', join(agent.directory, 'a.sock')]
  return new Promise(resolve => {
    execFile(process.execPath, argv, (failure, stdout) =>
      resolve({ code: failure === null ? 0 : Number(failure.code), stdout }),
    )
  })
}

function siteWith(tier: Tier, pools: object): object {
  const frontends = { http: { bind: `${tier.ip(1)}:8080`, pool: 'web' } }
  return { balancer: { stats: `${tier.ip(1)}:1936`, frontends, pools } }
}

const GENERATIONS = /^(\d+) +\S+ +(\S+) +[0-9a-f]{12} +(in force)?$/gm

test('plan says what apply then does; rollback goes back, survives kill -9, and ends with the next apply', async () => {
  await using tier = await Tier.open('127.0.184')
  const start = (server: string) => tier.balancer({}, siteWith(tier, { web: { timeouts: { server } } }))
  const balancer = start('30s')
  tier.backend('web-1', 2)
  await untilReady(balancer, ['web-1'])
  const file = () => readFileSync(join(balancer.directory, 's/haproxy.cfg'), 'utf8')
  expect((await muster(balancer, 'plan', '--detailed-exitcode')).stdout).toContain('HAProxy is as the files say')

  const yaml = join(balancer.directory, 'muster.yaml')
  writeFileSync(yaml, readFileSync(yaml, 'utf8').replace('"30s"', '"12s"'))
  const plan = await muster(balancer, 'plan', '--diff', '--detailed-exitcode')
  expect(plan.code).toBe(6)
  expect((await muster(balancer, 'plan', '--detailed-exit')).code).toBe(2)
  expect(plan.stdout).toMatch(
    /^plan ([0-9a-f]{12}): a hitless reload\n\n {2}because backend web: timeout server changed/,
  )
  expect(plan.stdout).toMatch(/balancer\.pools\.web\.timeouts\.server {2}30000 → 12000 {2}\(.*muster\.yaml/)
  expect(plan.stdout).toMatch(/^\+ {4}timeout server 12000ms$/m)
  expect(file()).toContain('timeout server 30000ms')
  const id = /^plan (\S+):/.exec(plan.stdout)?.[1] as string
  expect((await muster(balancer, 'apply', '--plan', '0123456789ab')).code).toBe(1)
  expect((await muster(balancer, 'apply', '--plan', id)).stdout).toMatch(
    /^applied by a hitless reload in \d+ ms, receipt /,
  )
  expect(file()).toContain('timeout server 12000ms')

  const back = await muster(balancer, 'rollback')
  expect(back.stdout).toContain('applied by a hitless reload')
  expect(file()).toContain('timeout server 30000ms')
  await tier.signal('lb', 'KILL')
  start('12s')
  await untilReady(balancer, ['web-1'])
  expect(file()).toContain('timeout server 30000ms')
  expect((await muster(balancer, 'status')).stdout).toContain('generation 1 of the configuration serves')
  const listed = (await muster(balancer, 'rollback', '--list')).stdout
  expect([...listed.matchAll(GENERATIONS)].map(([, number, , current]) => [number, current])).toEqual([
    ['1', 'in force'],
    ['2', undefined],
  ])
  const applied = async () => JSON.parse((await muster(balancer, 'apply', '-o', 'json')).stdout) as ApplyReport
  expect((await applied()).plan).toMatchObject({
    method: 'reload',
    id: expect.stringMatching(/^[0-9a-f]{12}$/) as string,
  })
  expect(file()).toContain('timeout server 12000ms')
  const nothing = JSON.parse((await muster(balancer, 'plan', '-o', 'json')).stdout) as PlanReport
  expect(await applied()).toMatchObject({ plan: { method: 'nothing', id: nothing.id }, isApplied: true })
  expect(await ask(tier.site)).toBe('web-1')
  const history = (await muster(balancer, 'history', '--kind', 'command,receipt')).stdout
  expect(history).toContain('rollback to generation 1')
}, 60_000)

test('what was gone back to serves after a restart also where the files held more that was never applied', async () => {
  await using tier = await Tier.open('127.0.194')
  const start = (server: string) => tier.balancer({}, siteWith(tier, { web: { timeouts: { server } } }))
  const balancer = start('30s')
  tier.backend('web-1', 2)
  await untilReady(balancer, ['web-1'])
  const file = () => readFileSync(join(balancer.directory, 's/haproxy.cfg'), 'utf8')
  const yaml = join(balancer.directory, 'muster.yaml')
  const write = (before: string, after: string) =>
    writeFileSync(yaml, readFileSync(yaml, 'utf8').replace(`"${before}"`, `"${after}"`))
  write('30s', '12s')
  await muster(balancer, 'apply')
  write('12s', '13s')
  await muster(balancer, 'rollback')
  expect(file()).toContain('timeout server 30000ms')
  await tier.signal('lb', 'KILL')
  start('13s')
  await untilReady(balancer, ['web-1'])
  expect(file()).toContain('timeout server 30000ms')
  await muster(balancer, 'apply')
  expect(file()).toContain('timeout server 13000ms')
}, 60_000)

test('files of which one part cannot be taken over change nothing at all', async () => {
  await using tier = await Tier.open('127.0.194')
  const balancer = tier.balancer({}, siteWith(tier, { web: { timeouts: { server: '30s' } } }))
  tier.backend('web-1', 2)
  await untilReady(balancer, ['web-1'])
  const yaml = join(balancer.directory, 'muster.yaml')
  const text = readFileSync(yaml, 'utf8').replace('"30s"', '"14s"')
  writeFileSync(yaml, text.replace('"role": "balancer"', `"role": "balancer", "big": "${'x'.repeat(600)}"`))
  expect((await muster(balancer, 'apply')).code).toBe(1)
  expect(readFileSync(join(balancer.directory, 's/haproxy.cfg'), 'utf8')).toContain('timeout server 30000ms')
  const { stdout } = await muster(balancer, 'status')
  expect(stdout).toContain('the configuration was not taken, the one before serves: Encoded length of tags')
  writeFileSync(yaml, text)
  expect((await muster(balancer, 'apply')).code).toBe(0)
  expect((await muster(balancer, 'status')).stdout).not.toContain('was not taken')
}, 60_000)

test('watched files are taken over when they have changed; a broken one is said once, and the one before serves', async () => {
  await using tier = await Tier.open('127.0.185')
  const path = join(tier.directory, 'site.hbs')
  writeFileSync(path, siteTemplate(tier, 'balance roundrobin'))
  const balancer = tier.balancer({}, { balancer: { template: path, watch: true, pools: { web: {} } } })
  const file = () => readFileSync(join(balancer.directory, 's/haproxy.cfg'), 'utf8')
  await eventually(
    () => balancer.part.output,
    output => output.includes('watching the configuration'),
  )
  writeFileSync(path, siteTemplate(tier, 'balance leastconn'))
  await eventually(file, text => text.includes('balance leastconn'))
  writeFileSync(path, siteTemplate(tier, 'balance {{nobody}}'))
  await eventually(
    () => balancer.part.output,
    output => output.includes('was not taken'),
  )
  writeFileSync(path, siteTemplate(tier, 'balance first'))
  await eventually(file, text => text.includes('balance first'))
  expect(balancer.part.output.match(/was not taken/g)?.length).toBe(1)
}, 60_000)
