import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ask, siteTemplate, Tier, type TierAgent, untilReady } from './tier.ts'

interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function muster(agent: TierAgent, ...args: string[]): Promise<Outcome> {
  const program = join(import.meta.dirname, '../bin/muster')
  const argv = [program, ...args, '--socket', join(agent.directory, 'a.sock')]
  return new Promise(resolve => {
    execFile(process.execPath, argv, (failure, stdout, stderr) =>
      resolve({ code: failure === null ? 0 : Number(failure.code), stdout, stderr }),
    )
  })
}

test('a plan shows what HAProxy would refuse, with the exit code of the apply; nor is a template taken that nobody could come in by', async () => {
  await using tier = await Tier.open('127.0.198')
  const template = join(tier.directory, 't.hbs')
  writeFileSync(template, siteTemplate(tier))
  const balancer = tier.balancer({}, { balancer: { stats: `${tier.ip(1)}:1936`, template, pools: { web: {} } } })
  tier.backend('web-1', 2)
  await untilReady(balancer, ['web-1'])

  writeFileSync(template, siteTemplate(tier).replace('mode http', 'foo bar'))
  const plan = await muster(balancer, 'plan')
  expect(plan.stdout).toMatch(/HAProxy would refuse it[\s\S]*haproxy.cfg \(planned\):4\].*unknown keyword 'foo'/)
  expect(plan.code).toBe(1)
  expect((await muster(balancer, 'apply')).code).toBe(plan.code)
  expect((await muster(balancer, 'apply', '--dry-run')).code).toBe(plan.code)
  writeFileSync(template, '# nobody could come in\n')
  expect(await muster(balancer, 'apply')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('no client could come in') as unknown,
  })
  expect(await ask(tier.site)).toBe('web-1')
  writeFileSync(template, siteTemplate(tier))
  expect((await muster(balancer, 'apply')).code).toBe(0)
}, 60_000)
