import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Log, seededRandom, systemClock } from '../../base/index.ts'
import type { Engine, QueryAnswer } from '../../serf/index.ts'
import { startSupervisor, type Supervisor } from '../../supervisor/index.ts'
import type { ServiceConfig } from '../config/index.ts'
import { decodeDrainRequest, encodeDrainLeft } from '../endpoints/drain.ts'
import { LocalEndpoints } from '../endpoints/local-endpoints.ts'
import type { Journaling } from '../journal/journaling.ts'
import { HostServices, specOf } from './services.ts'

// Real processes under a real supervisor; the ring is one balancer that says how many requests are left.

const PATIENT = { timeout: 20_000, interval: 20 }

let directory: string
let supervisor: Supervisor | undefined
/** What the balancer has left on every endpoint, until that is withdrawn. */
let left: number
/** How often it was asked. */
let asked: number
let logged: string[]

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'services-'))
  left = 0
  asked = 0
  logged = []
})

afterEach(async () => {
  await supervisor?.stop({ timeoutMs: 0 })
  supervisor = undefined
  rmSync(directory, { recursive: true, force: true })
})

const log: Log = {
  debug: () => undefined,
  info: (_, sentence) => void logged.push(sentence),
  warn: (_, sentence) => void logged.push(sentence),
  error: (_, sentence) => void logged.push(sentence),
  child: () => log,
}

function ring(): Engine {
  const local = { name: 'web-1', ip: '127.0.0.1', port: 7946, status: 'alive', tags: {} }
  async function* answers(question: Uint8Array): AsyncIterable<QueryAnswer> {
    asked++
    const isOut = decodeDrainRequest(question)?.phase === 'out'
    yield { kind: 'response', from: 'lb', payload: encodeDrainLeft({ left: isOut ? 0 : left, isBound: false }) }
  }
  const engine = {
    local: () => local,
    members: () => [local, { ...local, name: 'lb', tags: { role: 'balancer' } }],
    query: async ({ payload }: { payload: Uint8Array }) => answers(payload),
  }
  return engine as unknown as Engine
}

/** What the services themselves have written: each its version when it starts, and when it is asked to end. */
const lines = () => {
  const path = join(directory, 'lines')
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : []
}

/** A service of pool `web` that writes what happens to it, and ends within a minute. */
function service(name: string, version: string, more: Partial<ServiceConfig> = {}): ServiceConfig {
  const write = (what: string) => `echo ${name} ${what} >> ${directory}/lines`
  const script = `trap '${write(`${version} ends`)}; exit' TERM; ${write(`${version} starts`)}; i=0
    while [ $i -lt 1200 ]; do i=$((i+1)); sleep 0.05; done`
  return {
    ...{ name, command: ['sh', '-c', script], env: { VERSION: version }, ip: '127.0.0.1', weight: 1 },
    ...{ pool: 'web', port: name.endsWith('1') ? 3001 : 3002, readyTimeoutMs: 60_000 },
    ...{ stopSignal: 'SIGTERM', stopTimeoutMs: 5_000, drainTimeoutMs: 30_000, silentBalancer: 'proceed' },
    restart: { minMs: 100, maxMs: 1_000, stableMs: 10_000, quarantineAfter: 3 },
    logMaxBytes: 1_000_000,
    ...more,
  }
}

async function host(...services: ServiceConfig[]): Promise<{ host: HostServices; supervisor: Supervisor }> {
  const paths = { stateDir: join(directory, 's'), runDir: join(directory, 'r') }
  const deps = { clock: systemClock, random: seededRandom(1), log }
  const started = await startSupervisor({ ...paths, services: services.map(specOf) }, deps)
  supervisor = started
  const journal = { guard: () => undefined } as unknown as Journaling
  const endpoints = new LocalEndpoints(services)
  const parts = { ...deps, serf: ring(), supervisor: started, endpoints, journal, announce: () => undefined }
  const starts = services.map(({ name, env }) => `${name} ${env['VERSION']} starts`)
  await vi.waitFor(() => expect(lines().sort()).toEqual(starts.sort()), PATIENT)
  return { host: new HostServices(services, parts), supervisor: started }
}

const stateOf = (supervised: Supervisor, name: string) =>
  supervised.services().find(status => status.name === name)?.state

const NEVER = new AbortController().signal

test('the end of all services lets a drain that runs go on, and what it was to be replaced by is not started', async () => {
  const { host: services, supervisor: supervised } = await host(service('w1', 'a'))
  left = 1
  services.change([service('w1', 'b')], {})
  await vi.waitFor(() => expect(stateOf(supervised, 'w1')).toBe('stopping'), PATIENT)
  let isOver = false
  const before = asked
  const stopped = services.stopAll(true, NEVER).then(() => (isOver = true))
  await vi.waitFor(() => expect(asked).toBeGreaterThan(before + 1), PATIENT)
  expect([isOver, stateOf(supervised, 'w1'), lines()]).toEqual([false, 'stopping', ['w1 a starts']])
  left = 0
  await stopped
  await vi.waitFor(() => expect(supervised.services()).toEqual([]), PATIENT)
  services.change([service('w1', 'c')], {})
  await services.restart('w1')
  expect(supervised.services()).toEqual([])
  expect(lines()).toEqual(['w1 a starts', 'w1 a ends'])
})

test('services that are leaving are not hurried by an end that follows, and are by one that is to hurry', async () => {
  const { host: services, supervisor: supervised } = await host(service('w1', 'a'))
  left = 1
  const leaving = services.stopAll(true, NEVER)
  await vi.waitFor(() => expect(asked).toBeGreaterThan(0), PATIENT)
  const hurry = new AbortController()
  const ending = services.stopAll(true, hurry.signal)
  const before = asked
  await vi.waitFor(() => expect(asked).toBeGreaterThan(before + 1), PATIENT)
  expect(stateOf(supervised, 'w1')).toBe('stopping')
  hurry.abort()
  await Promise.all([leaving, ending])
  expect(stateOf(supervised, 'w1')).toBe('stopped')
})

/** Ends with 1 as soon as it is started, and was to open a port. */
function broken(name: string): ServiceConfig {
  const ready = { kind: 'tcp', ip: '127.0.0.1', port: 1 } as const
  return service(name, 'broken', { command: ['sh', '-c', 'exit 1'], ready })
}

test('where the first replacement fails the others run on as before, with a warning, and the next configuration goes on', async () => {
  const { host: services, supervisor: supervised } = await host(service('w1', 'a'), service('w2', 'a'))
  const other = supervised.services().find(({ name }) => name === 'w2')?.pid
  services.change([broken('w1'), broken('w2')], {})
  const isQuarantined = (name: string) => expect(stateOf(supervised, name)).toBe('quarantined')
  await vi.waitFor(() => isQuarantined('w1'), PATIENT)
  const warning =
    'the change of w2 waits and is not done: not ready as configured now: w1 (exit status 1); it goes on when that is, or with another configuration'
  expect(services.warnings()).toEqual([warning])
  expect(logged).toContain(
    'what was started is not ready; nothing else is taken away before it is, or is configured otherwise',
  )

  services.change([broken('w1'), service('w2', 'b'), service('w3', 'b', { port: 3003 })], {})
  await vi.waitFor(() => expect(stateOf(supervised, 'w3')).toBe('ready'), PATIENT)
  await vi.waitFor(() => expect(services.warnings()).toEqual([warning]), PATIENT)
  expect(supervised.services().find(({ name }) => name === 'w2')).toMatchObject({ pid: other, state: 'ready' })

  services.change([service('w1', 'c'), service('w2', 'c')], {})
  await vi.waitFor(() => expect(lines()).toContain('w2 c starts'), PATIENT)
  await vi.waitFor(() => expect(supervised.services().map(({ state }) => state)).toEqual(['ready', 'ready']), PATIENT)
  const order = lines().filter(line => !line.startsWith('w3') && !line.endsWith(' a starts'))
  expect(order).toEqual(['w1 a ends', 'w1 c starts', 'w2 a ends', 'w2 c starts'])
  expect(services.warnings()).toEqual([])
})

test('a change goes on by itself when a replacement is ready at its second start', async () => {
  const { host: services, supervisor: supervised } = await host(service('w1', 'a'), service('w2', 'a'))
  const ready = { kind: 'tcp', ip: '127.0.201.1', port: 3001 } as const
  const listens = `net.createServer().listen(3001, '127.0.201.1'); setTimeout(process.exit, 60_000)`
  const once = `test -e ${directory}/once || { touch ${directory}/once; exit 1; }; exec "$0" -e "$1"`
  const flaky = service('w1', 'b', { command: ['sh', '-c', once, process.execPath, listens], ready })
  services.change([flaky, service('w2', 'b')], {})
  await vi.waitFor(() => expect(lines()).toContain('w2 b starts'), PATIENT)
  expect(supervised.services()).toMatchObject([
    { name: 'w1', state: 'ready', restarts: 1 },
    { name: 'w2', state: 'ready' },
  ])
})

test('services that were found running otherwise than configured are not restarted while one that was is not ready', async () => {
  const { host: services, supervisor: supervised } = await host(service('w1', 'a'), service('w2', 'a'))
  services.change([broken('w1'), service('w2', 'a')], {})
  await vi.waitFor(() => expect(stateOf(supervised, 'w1')).toBe('quarantined'), PATIENT)
  await expect(services.restart('w2')).rejects.toThrow('w1 is not ready; w2 runs on as before until it is')
  await vi.waitFor(() => expect(services.warnings()).toHaveLength(1), PATIENT)
  expect([stateOf(supervised, 'w2'), lines().filter(line => line === 'w2 a starts')]).toEqual([
    'ready',
    ['w2 a starts'],
  ])
  services.change([service('w1', 'b'), service('w2', 'a')], {})
  await vi.waitFor(() => expect(lines().filter(line => line === 'w2 a starts')).toHaveLength(2), PATIENT)
  expect(lines()).toEqual(expect.arrayContaining(['w1 b starts', 'w2 a ends']))
})

test('a service that is configured no more is drained as long as it was to be when it was started', async () => {
  const { host: services, supervisor: supervised } = await host(service('w1', 'a', { drainTimeoutMs: 400 }))
  left = 1
  services.change([], {})
  await vi.waitFor(() => expect(supervised.services()).toEqual([]), PATIENT)
  expect(logged).toContain('not every balancer has let go of the service')
})

test('an end that is in a hurry from the start drains nothing', async () => {
  const { host: services, supervisor: supervised } = await host(service('w1', 'a', { drainTimeoutMs: 600_000 }))
  left = 1
  await services.stopAll(true, AbortSignal.abort())
  expect(stateOf(supervised, 'w1')).toBe('stopped')
})
