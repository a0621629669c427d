import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { silentLog, sleep, systemClock } from '../../base/index.ts'
import { type BalancerConfig, socketPaths } from '../config.ts'
import { haproxySpec } from '../start.ts'
import { findHaproxy, parseProcesses, reload, showProcesses } from './haproxy-process.ts'
import { askMaster } from './runtime-socket.ts'
import { spawnSupervise } from './spawn-supervise.ts'

const endings: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const ending of endings.splice(0).reverse()) await ending()
})

const HEAD = '#<PID>          <type>          <reloads>       <uptime>        <version>\n'

test('who serves is what @1 says: HAProxy 3.2 lists a worker before it has loaded the file', () => {
  const loading = `${HEAD}20239           master          3 [failed: 0]   0d00h00m01s     3.2.26-1
# workers
20252           worker          0               0d00h00m00s     3.2.26-1
# old workers
20245           worker          1               0d00h00m02s     3.2.26-1
20241           worker          2               0d00h00m09s     3.2.26-1
`
  expect(parseProcesses(loading, 'Name: HAProxy\nPid: 20245\n')).toEqual({
    masterPid: 20_239,
    reloads: 3,
    failed: 0,
    workerPid: 20_245,
    oldWorkerPids: [20_241],
  })
})

test('before the first worker has loaded its file, nobody serves', () => {
  const text = `${HEAD}20239           master          0 [failed: 0]   0d00h00m01s     2.6.12\n# workers\n# programs\n`
  const processes = parseProcesses(text, "Can't find the target PID matching the prefix '@1'\n")
  expect(processes).toMatchObject({ masterPid: 20_239, workerPid: undefined, oldWorkerPids: [] })
})

test('a reload that fails is told at once, twice too; the worker serves on as the current one, and the next succeeds', async () => {
  const { socket, configPath, text } = await startHaproxy()
  const look = () => showProcesses(socket, systemClock)
  const { workerPid: first } = await look()
  await writeFile(configPath, `${text}nonsense\n`)
  for (let i = 0; i < 2; i++) {
    const startedAtMs = performance.now()
    await expect(reload(socket, systemClock)).rejects.toThrow('could not load')
    expect(performance.now() - startedAtMs).toBeLessThan(5_000)
    expect(await look()).toMatchObject({ workerPid: first, oldWorkerPids: [] })
  }
  await writeFile(configPath, text)
  const second = await reload(socket, systemClock)
  expect(second).not.toBe(first)
  expect((await look()).workerPid).toBe(second)
})

test('a worker that has ended is told at once, also by versions that keep the connection then', async () => {
  const { socket } = await startHaproxy()
  const answer = await askMaster(socket, '@!99999999 show stat', { timeoutMs: 5_000, clock: systemClock })
  expect(answer).toContain("Can't find the target PID")
})

/** A real HAProxy whose worker serves. */
async function startHaproxy(): Promise<{ socket: string; configPath: string; text: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'mh-'))
  const supervise = spawnSupervise(silentLog)
  endings.push(
    () => rm(directory, { recursive: true }),
    () => supervise.stop(),
  )
  const configPath = join(directory, 'haproxy.cfg')
  const text = `global\n  stats socket ${join(directory, 'admin')} mode 600 level admin\n`
  await writeFile(configPath, text)
  const config: BalancerConfig = {
    template: 'slots',
    configPath,
    runDir: directory,
    frontends: {},
    pools: {},
    node: { name: 'lb-1', ip: '127.0.0.1' },
  }
  await supervise.start(haproxySpec(config, (await findHaproxy()).path))
  const socket = socketPaths(config).master
  const isUp = () =>
    showProcesses(socket, systemClock).then(
      processes => processes.workerPid !== undefined,
      () => false,
    )
  while (!(await isUp())) await sleep(systemClock, 5)
  return { socket, configPath, text }
}
