import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { Balancer } from '../index.ts'
import { classicTemplate, endAll, get, rig, type Rig, until, web } from '../../testing/index.ts'

afterEach(endAll)

const ORDER = { actor: 'operator', causes: [{ what: 'a test' }] }

async function serving(made: Rig): Promise<Balancer> {
  const balancer = await made.start()
  const a = await web('127.0.198.31')
  balancer.wanted([a.server])
  await until(() => balancer.status().pools[0]?.servers[0]?.state === 'ready')
  await balancer.settle()
  return balancer
}

/** The worker first: without its master it goes on answering for a moment, and has ended by itself a moment later. */
function kill({ supervise }: Rig, balancer: Balancer): void {
  for (const pid of [balancer.status().haproxy.workerPid, supervise.pid]) process.kill(pid as number, 'SIGKILL')
}

async function answers(port: number): Promise<boolean> {
  return get(port).then(
    ({ status }) => status === 200,
    () => false,
  )
}

test('an HAProxy that died over a file that it would not take comes back: the last good file is written anew', async () => {
  const made = await rig()
  const balancer = await serving(made)
  const good = await readFile(made.config.configPath, 'utf8')
  await writeFile(made.config.configPath, 'garbage\n')
  kill(made, balancer)
  await until(() => answers(made.port), 10_000)
  expect(await readFile(made.config.configPath, 'utf8')).toBe(good)
  expect(await readFile(`${made.config.configPath}.edited`, 'utf8')).toBe('garbage\n')
  await until(() => balancer.status().problem === undefined)
  expect((await balancer.plan()).method).toBe('nothing')
})

test('the same for a file that is gone', async () => {
  const made = await rig()
  const balancer = await serving(made)
  await rm(made.config.configPath)
  kill(made, balancer)
  await until(() => answers(made.port), 10_000)
})

test('where no file is one that HAProxy takes, the status has its words, and the configuration that is applied then starts it', async () => {
  const first = await rig()
  const page = join(first.config.runDir, '503.http')
  const path = join(first.config.runDir, 'own.hbs')
  await writeFile(page, 'HTTP/1.0 503 Sorry\r\n\r\nsorry\n')
  const bind = `127.0.21.1:${first.port}`
  await writeFile(path, classicTemplate({ bind, defaults: `errorfile 503 ${page}` }))
  const made = await rig({ ...first.config, template: { path } }, { port: first.port })
  const balancer = await serving(made)
  await rm(page)
  kill(made, balancer)
  await until(() => balancer.status().problem?.includes('HAProxy does not run, nothing is served') === true)
  await until(() => balancer.status().problem?.includes(page) === true)
  expect(balancer.status().haproxy.state).toBe('unreachable')
  expect((await balancer.plan()).refusal).toContain(page)
  await expect(balancer.apply(undefined, ORDER)).rejects.toThrow(page)
  await writeFile(path, classicTemplate({ bind }))
  const outlook = await balancer.plan()
  expect(outlook).toMatchObject({
    method: 'file',
    commands: [],
    reasons: [expect.stringMatching('HAProxy does not run') as unknown],
  })
  expect(outlook.refusal).toBeUndefined()
  const receipt = await balancer.apply(undefined, { ...ORDER, expected: outlook.id })
  expect(receipt).toMatchObject({ method: 'file', reasons: outlook.reasons })
  await until(() => answers(made.port), 10_000)
  await until(() => balancer.status().problem === undefined)
  expect((await balancer.plan()).method).toBe('nothing')
})
