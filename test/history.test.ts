/** The journal of a real agent, which is killed in between. */
import { execFile } from 'node:child_process'
import { appendFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import type { HistoryPage, HistoryPools } from '../src/api/index.ts'
import { eventually } from './parts.ts'
import { poolOf, siteTemplate, Tier, type TierAgent, untilReady } from './tier.ts'

const run = promisify(execFile)
const MUSTER = resolve(import.meta.dirname, '../bin/muster')

/** What the command says, and how it ends. */
async function history(agent: TierAgent, ...args: string[]): Promise<{ stdout: string; stderr: string; code: number }> {
  const argv = [MUSTER, 'history', '--socket', join(agent.directory, 'a.sock'), ...args]
  return await run(process.execPath, argv).then(
    ({ stdout, stderr }) => ({ stdout, stderr, code: 0 }),
    (failed: { stdout: string; stderr: string; code: number }) => failed,
  )
}

async function recordsOf(agent: TierAgent, ...args: string[]): Promise<HistoryPage['records']> {
  const { stdout } = await history(agent, '-o', 'json', ...args)
  return (JSON.parse(stdout) as HistoryPage).records
}

const joined = (records: HistoryPage['records']) =>
  records.filter(({ event }) => event === 'join').map(one => one['member'])

test('an agent that is killed and started again tells what happened before, and who was in the pool', async () => {
  await using tier = await Tier.open('127.0.180')
  const first = tier.balancer()
  const web = tier.backend('web-2', 2)
  await untilReady(first, ['web-2'])
  const before = await eventually(
    () => recordsOf(first),
    records => records.some(({ kind }) => kind === 'receipt') && joined(records).includes('web-2'),
  )
  const moment = new Date().toISOString()
  await tier.signal('lb', 'KILL')
  await first.part.exited
  const segments = join(first.directory, 's/journal')
  appendFileSync(join(segments, readdirSync(segments).sort().at(-1) as string), '0badc0de {"index":7,"at') // as if in the middle of a write

  const second = tier.balancer()
  await untilReady(second, ['web-2'])
  await tier.signal('web-2', 'TERM')
  await web.part.exited
  await untilReady(second, [])
  const after = await recordsOf(second)
  expect(after.slice(0, before.length)).toEqual(before)
  const restarted = after.findLast(({ event }) => event === 'started')
  expect(restarted).toMatchObject({ kind: 'agent', node: 'lb', reason: expect.stringContaining('was killed') })
  expect(restarted?.index).toBeGreaterThan(before.at(-1)?.index as number)
  expect(second.part.output).toContain('the last record of the journal was torn')

  const then = JSON.parse((await history(second, '--at', moment, '-o', 'json')).stdout) as HistoryPools
  expect(then.servers).toMatchObject([{ pool: 'web', server: 'web-2', address: `${tier.ip(2)}:3000`, state: 'ready' }])
  const table = await history(second, '--at', moment)
  expect(table.stdout).toMatch(
    /^POOL +SERVER +ADDRESS +STATE +WEIGHT +SINCE +REASON\nweb +web-2 +127\.0\.180\.2:3000 +ready/,
  )
  await eventually(
    async () => (await history(second, '--at', 'now')).stdout,
    table => table === '',
  )
  expect((await history(second, '--at', '2001-01-01')).code).toBe(1)

  const about = await history(second, 'web-2', '--kind', 'member', '--since', '10m')
  expect(about.stdout).toMatch(
    /^TIME \(UTC.*\) +WHO +HOW +TOOK +WHAT +WHY\n.* lb +gossip +- +web-2 127\.0\.180\.2:7946 joined/,
  )
  expect((await history(second, '--at', 'noon')).code).toBe(2)
})

test.for(['slots', "a template of one's own"])(
  'what HAProxy had while no agent was there is what the pools were: who is drained stays so, and nobody enters who serves (%s)',
  { timeout: 60_000 },
  async template => {
    await using tier = await Tier.open('127.0.180')
    const path = join(tier.directory, 'site.hbs')
    writeFileSync(path, siteTemplate(tier))
    const start = () =>
      tier.balancer({}, template === 'slots' ? {} : { balancer: { template: path, pools: { web: {} } } })
    const first = start()
    tier.backend('web-2', 2)
    tier.backend('web-3', 3)
    await untilReady(first, ['web-2', 'web-3'])
    await run(process.execPath, [MUSTER, 'drain', 'web-3', '--socket', join(first.directory, 'a.sock')])
    const poolsNow = async (agent: TierAgent) => {
      const { servers } = JSON.parse((await history(agent, '--at', '0s', '-o', 'json')).stdout) as HistoryPools
      return servers.map(({ server, state }) => `${server} ${state}`)
    }
    const had = ['web-2 ready', 'web-3 drain']
    await eventually(
      () => poolsNow(first),
      now => now.join() === had.join(),
    )
    const before = await recordsOf(first)
    await tier.signal('lb', 'KILL')
    await first.part.exited
    const second = start()
    await untilReady(second, ['web-2'])
    await eventually(
      () => poolOf(second),
      servers =>
        servers.some(({ name, state, reason }) => name === 'web-3' && state === 'drain' && !/found/.test(reason)),
    )
    expect(await poolsNow(second)).toEqual(had)
    const since = (await recordsOf(second)).slice(before.length)
    expect(since.filter(({ kind }) => kind === 'receipt')).toEqual([])
  },
)

test('a service that dies, an orderly end and the next start are on record', async () => {
  await using tier = await Tier.open('127.0.180')
  const service = { command: ['sh', '-c', 'sleep 0.3; exit 3'], restart: { min: '1h', max: '1h' } }
  const first = tier.muster('a', 1, { services: { brief: service } })
  await eventually(
    () => recordsOf(first, 'brief'),
    records => records.some(({ after, reason }) => after === 'backoff' && reason === 'exit status 3'),
  )
  await tier.signal('a', 'TERM')
  await first.part.exited
  const second = tier.muster('a', 1, {})
  const records = await eventually(
    () => recordsOf(second, '--kind', 'agent'),
    found => found.length === 3,
  )
  expect(records).toMatchObject([{ event: 'started' }, { event: 'stopped' }, { event: 'started' }])
  expect(records[2]).not.toHaveProperty('reason')
})
