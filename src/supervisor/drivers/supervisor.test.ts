import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  identify,
  isAlive,
  type Log,
  type LogFields,
  lockHolders,
  seededRandom,
  systemClock,
} from '../../base/index.ts'
import {
  AlreadySupervisedError,
  type ServiceSpec,
  type ServiceStatus,
  type Supervisor,
  startSupervisor,
} from '../index.ts'

// Real processes on real files. Every service here ends by itself within a minute, should the test be killed.

let directory: string
let supervisors: Supervisor[]
let agents: ChildProcess[]

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'muster-sup-'))
  supervisors = []
  agents = []
  logged = []
})

afterEach(async () => {
  for (const agent of agents) agent.kill('SIGKILL')
  await Promise.all(supervisors.map(supervisor => supervisor.stop({ timeoutMs: 0 })))
  rmSync(directory, { recursive: true, force: true })
})

const stateDir = () => join(directory, 'state')
const configOf = (services: ServiceSpec[]) => ({ stateDir: stateDir(), runDir: join(directory, 'run'), services })

/** What the supervisors here have logged: level, sentence and fields. */
let logged: { level: string; sentence: string; fields: LogFields }[]

function logOf(more: LogFields): Log {
  const at = (level: string) => (fields: LogFields, sentence: string) =>
    void logged.push({ level, sentence, fields: { ...more, ...fields } })
  const levels = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  return { ...levels, child: fields => logOf({ ...more, ...fields }) }
}

async function supervise(...services: ServiceSpec[]): Promise<Supervisor> {
  const deps = { clock: systemClock, random: seededRandom(1), log: logOf({}) }
  const supervisor = await startSupervisor(configOf(services), deps)
  supervisors.push(supervisor)
  return supervisor
}

/** Resolves with the first status, present or coming, that fits. */
function reached(supervisor: Supervisor, fits: (status: ServiceStatus) => boolean): Promise<ServiceStatus> {
  return new Promise(resolve => {
    const end = supervisor.onChange(status => {
      if (!fits(status)) return
      end()
      resolve(status)
    })
    const now = supervisor.services().find(fits)
    if (now === undefined) return
    end()
    resolve(now)
  })
}

/** Collects output from now on. */
function lines(supervisor: Supervisor): { until(last: string): Promise<string[]> } {
  const found: string[] = []
  let look = () => {}
  supervisor.onOutput((_, line) => {
    found.push(line)
    look()
  })
  return {
    until: last =>
      new Promise(resolve => {
        look = () => found.at(-1) === last && resolve(found)
        if (found.includes(last)) resolve(found)
      }),
  }
}

async function gone(pid: number): Promise<void> {
  while (identify(pid) !== undefined) await new Promise(resolve => setImmediate(resolve))
}

/** An agent in a process of its own that supervises `services` and says when they run. */
async function startAgent(services: ServiceSpec[]): Promise<{ process: ChildProcess; output: () => string }> {
  const base = new URL('../../base/index.ts', import.meta.url)
  const door = new URL('../index.ts', import.meta.url)
  const code = `
    import { seededRandom, silentLog, systemClock } from ${JSON.stringify(base)}
    import { startSupervisor } from ${JSON.stringify(door)}
    const deps = { clock: systemClock, random: seededRandom(1), log: silentLog }
    const supervisor = await startSupervisor(${JSON.stringify(configOf(services))}, deps)
    supervisor.onOutput((name, line) => process.stdout.write(line + '\\n'))
    process.stdout.write('supervising\\n')
    setTimeout(() => process.exit(), 60_000)`
  const args = ['--import', 'tsx', '--input-type=module', '-e', code]
  const agent = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  agents.push(agent)
  let text = ''
  agent.stdout?.on('data', chunk => {
    text += String(chunk)
  })
  while (!text.includes('supervising')) await once(agent.stdout as NodeJS.ReadableStream, 'data')
  return { process: agent, output: () => text }
}

async function killed(agent: ChildProcess): Promise<void> {
  const closed = once(agent, 'close') // 'exit' and everything it printed
  agent.kill('SIGKILL')
  await closed
}

const recordedPid = () => JSON.parse(readFileSync(join(stateDir(), 'web.json'), 'utf8')).pid as number
const sleeper: ServiceSpec = { name: 'web', command: ['sleep', '60'], restart: { minMs: 10 } }
const COUNT = 'i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo line $i; sleep 0.005; done'

test('a service is ready when its port answers, and its death is known with its signal; it is started again', async () => {
  const port = await freePort()
  const command = ['node', '-e', `net.createServer().listen(${port}, '127.0.0.1'); setTimeout(process.exit, 60_000)`]
  const supervisor = await supervise({ ...sleeper, command, ready: { kind: 'tcp', ip: '127.0.0.1', port } })
  const first = await reached(supervisor, status => status.state === 'ready')
  const backoff = reached(supervisor, status => status.state === 'backoff')
  process.kill(first.pid as number, 'SIGKILL')
  expect((await backoff).reason).toBe('killed by SIGKILL')
  const second = await reached(supervisor, status => status.state === 'ready')
  expect(second.pid).not.toBe(first.pid)
  expect(second.restarts).toBe(1)
})

test('a crash loop is quarantined with the exit status and the last lines, one without an end too', async () => {
  const command = 'echo starting; printf "caf\\303\\251 \\377" >&2; exit 3'
  const supervisor = await supervise({ ...sleeper, command, restart: { minMs: 1, quarantineAfter: 3 } })
  const status = await reached(supervisor, ({ state }) => state === 'quarantined')
  expect(status.reason).toBe('exit status 3')
  expect(status.lastLines.slice(-2)).toEqual(['starting', 'café \ufffd'])
})

test('each death is logged with its reason and the next try, and the quarantine as an error', async () => {
  const supervisor = await supervise({
    ...sleeper,
    command: ['sh', '-c', 'exit 3'],
    restart: { minMs: 1, quarantineAfter: 3 },
  })
  await reached(supervisor, ({ state }) => state === 'quarantined')
  const lines = logged.filter(({ level }) => level !== 'info')
  expect(lines.map(({ level, fields }) => [level, fields['service'], fields['reason'], fields['failures']])).toEqual([
    ['warn', 'web', 'exit status 3', 1],
    ['warn', 'web', 'exit status 3', 2],
    ['error', 'web', 'exit status 3', 3],
  ])
  expect(lines[0]?.fields['againInMs']).toBe(1)
})

test('a service that is ready again after a failure is said to be, and one that is killed for its slowness too', async () => {
  const command = `trap '' TERM; echo up; while :; do sleep 0.02; done`
  const supervisor = await supervise({ ...sleeper, command, restart: { minMs: 1 }, stopTimeoutMs: 30 })
  if (supervisor.services()[0]?.lastLines.length === 0) await nextLine(supervisor)
  process.kill(supervisor.services()[0]?.pid as number, 'SIGKILL')
  await reached(supervisor, ({ state, restarts }) => state === 'ready' && restarts === 1)
  while ((supervisor.services()[0]?.lastLines.length ?? 0) < 2) await nextLine(supervisor)
  await supervisor.stop()
  expect(logged.map(({ level, sentence }) => `${level} ${sentence}`)).toEqual([
    'warn a service failed; it is started again',
    'info a service is ready again',
    'warn a service did not end in time and is killed',
  ])
})

test('a program that does not exist is a reason in words, not an exception', async () => {
  const supervisor = await supervise({ ...sleeper, command: ['/no/such/program'], restart: { minMs: 30_000 } })
  const [status] = supervisor.services()
  expect(status?.state).toBe('backoff')
  expect(status?.reason).toMatch(/cannot start \/no\/such\/program.*ENOENT/)
})

test('who ignores the stop signal is killed with its whole group, and nothing is left on disk', async () => {
  const command = ['sh', '-c', `trap "" TERM; sleep 60 & echo child $!; while :; do sleep 1; done`]
  const supervisor = await supervise({ ...sleeper, command, stopTimeoutMs: 50 })
  const pid = supervisor.services()[0]?.pid as number
  if (supervisor.services()[0]?.lastLines.length === 0) await nextLine(supervisor)
  const child = Number(supervisor.services()[0]?.lastLines[0]?.split(' ')[1])
  await supervisor.stop()
  await gone(pid)
  await gone(child)
  expect(readdirSync(stateDir())).toEqual([])
  expect(readdirSync(join(directory, 'run'))).toEqual([])
})

test('whoever hears that a service stops finds that its drain has begun', async () => {
  const supervisor = await supervise(sleeper)
  const heard: string[] = []
  using _ending = { [Symbol.dispose]: supervisor.onChange(({ state }) => heard.push(state)) }
  await supervisor.stop('web', { drain: async () => void heard.push('the drain') })
  expect(heard.slice(0, 2)).toEqual(['the drain', 'stopping'])
})

test('the drain is over before the stop signal is sent, and its failure does not prevent it', async () => {
  const supervisor = await supervise(sleeper)
  const pid = supervisor.services()[0]?.pid as number
  let wasAlive = false
  const drain = async () => {
    wasAlive = identify(pid) !== undefined
    throw new Error('nobody answered')
  }
  await supervisor.stop('web', { drain })
  expect(wasAlive).toBe(true)
  expect(supervisor.services()[0]).toMatchObject({ state: 'stopped', reason: 'killed by SIGTERM', pid: undefined })
})

test('what a dead service leaves in its group is killed, so that the next one gets its port and lock', async () => {
  const command = ['sh', '-c', 'sleep 60 & echo $!; wait']
  const supervisor = await supervise({ ...sleeper, command })
  if (supervisor.services()[0]?.lastLines.length === 0) await nextLine(supervisor)
  const [status] = supervisor.services()
  process.kill(status?.pid as number, 'SIGKILL')
  await gone(Number(status?.lastLines[0]))
  const next = await reached(supervisor, ({ state, restarts }) => state === 'ready' && restarts === 1)
  expect(identify(next.pid as number)).toBeDefined()
})

test('detached services run on and are adopted: same pid, no line lost or repeated', async () => {
  const first = await supervise({ ...sleeper, command: COUNT })
  const before = lines(first)
  const linesBefore = await before.until('line 20')
  const pid = first.services()[0]?.pid
  await first.detach()
  const second = await supervise({ ...sleeper, command: COUNT })
  const after = await lines(second).until(`line ${linesBefore.length + 30}`)
  expect(second.services()[0]).toMatchObject({ pid, adopted: true, stale: false, state: 'ready' })
  const all = [...linesBefore, ...after]
  expect(all).toEqual(all.map((_, at) => `line ${at + 1}`))
})

test('a killed agent leaves its services to the next: same pid, every line, and death is still heard', async () => {
  const service = { ...sleeper, command: COUNT }
  const agent = await startAgent([service])
  while (!agent.output().includes('line 20\n')) await once(agent.process.stdout as NodeJS.ReadableStream, 'data')
  await killed(agent.process)
  const pid = recordedPid()
  const supervisor = await supervise(service)
  expect(supervisor.services()[0]).toMatchObject({ pid, adopted: true })
  const after = await lines(supervisor).until('line 60')
  const seen = new Set([...agent.output().split('\n'), ...after])
  for (let at = 1; at <= 60; at++) expect(seen).toContain(`line ${at}`)
  const backoff = reached(supervisor, status => status.state === 'backoff')
  process.kill(pid, 'SIGKILL')
  expect((await backoff).reason).toBe('gone, exit status unknown')
  expect((await reached(supervisor, status => status.state === 'ready')).adopted).toBe(false)
})

test('a service whose record is lost is found by the lock it holds, and not started twice', async () => {
  const agent = await startAgent([sleeper])
  await killed(agent.process)
  const pid = recordedPid()
  writeFileSync(join(stateDir(), 'web.json'), '{"version":1,"pid":')
  const supervisor = await supervise(sleeper)
  expect(supervisor.services()[0]).toMatchObject({ pid, adopted: true, stale: false, state: 'ready' })
  expect(lockHolders(join(stateDir(), 'web.lock'))).toEqual([pid])
})

test('a record of another boot, or with a reused pid, leads to a fresh start and to nobody being signalled', async () => {
  const stranger = spawn('sleep', ['60'])
  agents.push(stranger)
  const identity = identify(stranger.pid as number)
  if (identity === undefined) throw new Error('the stranger is not there')
  const first = await supervise()
  await first.detach()
  const record = {
    version: 1,
    ...identity,
    startTime: '1',
    specHash: '',
    ready: true,
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 1,
  }
  writeFileSync(join(stateDir(), 'web.json'), JSON.stringify(record))
  const supervisor = await supervise(sleeper)
  expect(supervisor.services()[0]?.adopted).toBe(false)
  await supervisor.stop()
  expect(isAlive(identity)).toBe(true)
})

test('one that is not to be adopted is restarted, and a changed specification is said to be stale', async () => {
  const first = await supervise(sleeper, { ...sleeper, name: 'other' })
  const pid = first.services()[0]?.pid as number
  await first.detach()
  const second = await supervise({ ...sleeper, adopt: false }, { ...sleeper, name: 'other', env: { A: '1' } })
  await gone(pid)
  expect(second.services()[1]).toMatchObject({ adopted: true, stale: true })
  const fresh = await reached(second, status => status.name === 'web' && status.state === 'ready' && !status.adopted)
  expect(fresh.pid).not.toBe(pid)
  await second.restart('other')
  expect(second.services()[1]).toMatchObject({ adopted: false, stale: false, state: 'ready', restarts: 0 })
})

test('a service that left the configuration is an orphan, and ends by its own stop signal', async () => {
  const command = ['sh', '-c', `trap 'echo bye > ${directory}/bye; exit' USR1; echo up; while :; do sleep 0.01; done`]
  const first = await supervise({ ...sleeper, command, stopSignal: 'SIGUSR1' })
  if (first.services()[0]?.lastLines.length === 0) await nextLine(first)
  const pid = first.services()[0]?.pid as number
  await first.detach()
  const second = await supervise()
  expect(second.orphans()).toEqual(['web'])
  await second.removeOrphan('web')
  expect(identify(pid)).toBeUndefined()
  expect(readFileSync(join(directory, 'bye'), 'utf8')).toBe('bye\n')
  expect([second.orphans(), second.services()]).toEqual([[], []])
})

test('a service that has moved to another port is adopted with the one that it still serves, and counts as ready', async () => {
  const [old, next] = [await freePort(), await freePort()]
  const at = (port: number): ServiceSpec => ({
    ...sleeper,
    command: ['node', '-e', `net.createServer().listen(${port}, '127.0.0.1'); setTimeout(process.exit, 60_000)`],
    ready: { kind: 'tcp', ip: '127.0.0.1', port },
    serves: { pool: 'web', port, weight: 1 },
  })
  const first = await supervise(at(old))
  await reached(first, ({ state }) => state === 'ready')
  await first.detach()
  const second = await supervise(at(next))
  expect(second.services()[0]).toMatchObject({ stale: true, state: 'ready', serves: { port: old } })
  await second.restart('web')
  expect(second.services()[0]).toMatchObject({ stale: false, state: 'ready', serves: { port: next } })
})

test('a renamed service waits for the port of its former self, and is started when that is gone', async () => {
  const serves = { pool: 'web', port: 3000, weight: 1 }
  const first = await supervise({ ...sleeper, serves })
  await first.detach()
  const second = await supervise({ ...sleeper, name: 'app', serves })
  expect(second.services()[0]).toMatchObject({ state: 'stopped', reason: 'waits for port 3000, which web still has' })
  expect(await second.adoptOrphan('web')).toBe(true)
  expect(second.services()[1]).toMatchObject({ name: 'web', orphan: true, state: 'ready', serves })
  await second.remove('web')
  const started = await reached(second, ({ name, state }) => name === 'app' && state === 'ready')
  expect(started.serves).toEqual(serves)
})

test('an orphan that ends by itself is not started again, and one that is not there any more leaves nothing', async () => {
  const first = await supervise(sleeper, { ...sleeper, name: 'gone' })
  const [web, other] = first.services().map(({ pid }) => pid as number)
  await first.detach()
  process.kill(other as number, 'SIGKILL')
  await gone(other as number)
  const second = await supervise()
  expect(await second.adoptOrphan('gone')).toBe(false)
  expect(await second.adoptOrphan('web')).toBe(true)
  process.kill(web as number, 'SIGKILL')
  await reached(second, ({ state }) => state === 'quarantined')
  await second.remove('web')
  expect([second.services(), readdirSync(stateDir())]).toEqual([[], ['.supervisor.lock']])
})

test('a service runs as its user where the agent may do that, and fails in words where it may not', async () => {
  const command = ['sh', '-c', 'id -un; sleep 60']
  const supervisor = await supervise(
    { ...sleeper, command, user: 'nobody' },
    { ...sleeper, name: 'x', user: 'no-such' },
  )
  if (supervisor.services()[0]?.lastLines.length === 0) await nextLine(supervisor)
  const [web, other] = supervisor.services()
  if (process.getuid?.() === 0) expect(web?.lastLines).toEqual(['nobody'])
  else expect(web?.lastLines[0]).toMatch(/setpriv/)
  expect(other?.reason).toBe('there is no user no-such')
})

test('who hands over while a service is drained to be removed leaves it with its files: the next agent adopts it', async () => {
  const first = await supervise(sleeper)
  const { pid } = await reached(first, status => status.state === 'ready')
  const drain = (signal: AbortSignal) => new Promise<void>(done => signal.addEventListener('abort', () => done()))
  const removed = first.remove('web', { drain })
  await reached(first, status => status.state === 'stopping')
  await first.detach()
  expect(await removed).toBe(false)
  expect(recordedPid()).toBe(pid)
  expect(lockHolders(join(stateDir(), 'web.lock'))).toContain(pid)
  const second = await supervise(sleeper)
  expect(second.services()).toMatchObject([{ pid, adopted: true, state: 'ready' }])
})

test('a service that is started again while it is being removed is not forgotten', async () => {
  const supervisor = await supervise(sleeper)
  const { pid } = await reached(supervisor, status => status.state === 'ready')
  const removed = supervisor.remove('web')
  await supervisor.start('web')
  expect(await removed).toBe(false)
  const again = await reached(supervisor, status => status.state === 'ready')
  expect(again.pid).not.toBe(pid)
  expect(lockHolders(join(stateDir(), 'web.lock'))).toContain(again.pid)
})

test('output that was read does not stay on disk, and every line of a flood arrives', async () => {
  const command = [
    'node',
    '-e',
    `for (let i = 0; i < 60000; i++) console.log('line', i, 'x'.repeat(50)); setTimeout(process.exit, 50_000)`,
  ]
  const supervisor = await supervise({ ...sleeper, command, logMaxBytes: 256 * 1024 })
  const found = await lines(supervisor).until(`line 59999 ${'x'.repeat(50)}`)
  expect(found.length).toBe(60_000)
  const path = join(stateDir(), 'web.log')
  while (statSync(path).blocks * 512 > 512 * 1024) await new Promise(resolve => setImmediate(resolve))
})

test('a directory that cannot be written, or one in use by a living agent, is an error before anything starts', async () => {
  writeFileSync(join(directory, 'state'), 'a file in its place')
  await expect(supervise(sleeper)).rejects.toMatchObject({ code: 'SUPERVISOR_STATE_DIR' })
  rmSync(join(directory, 'state'))
  await supervise(sleeper)
  await expect(supervise(sleeper)).rejects.toThrow(AlreadySupervisedError)
  expect(existsSync(join(stateDir(), 'web.json'))).toBe(true)
})

test('an HAProxy master reloads under the same pid and lock, and is adopted after its reload', async () => {
  const haproxy = ['/usr/sbin/haproxy', '/usr/local/sbin/haproxy'].find(existsSync)
  if (haproxy === undefined) throw new Error('this test needs HAProxy: apt-get install haproxy')
  const file = join(directory, 'h.cfg')
  const port = await freePort()
  const timeouts = 'timeout client 1s\n timeout server 1s\n timeout connect 1s'
  writeFileSync(file, `defaults\n mode http\n ${timeouts}\nfrontend f\n bind 127.0.0.1:${port}\n`)
  const service: ServiceSpec = {
    name: 'haproxy',
    command: [haproxy, '-W', '-S', join(directory, 'm.sock'), '-f', file],
    ready: { kind: 'tcp', ip: '127.0.0.1', port },
    stopSignal: 'SIGUSR1',
  }
  const first = await supervise(service)
  const { pid } = await reached(first, status => status.state === 'ready')
  const loads = () => first.services()[0]?.lastLines.filter(line => line.includes('Loading success')).length ?? 0
  while (loads() < 1) await nextLine(first)
  const reloaded = async () => {
    while (loads() < 2) await nextLine(first)
    return true
  }
  do
    expect(first.signal('haproxy', 'SIGUSR2')).toBe(true) // a master that is still starting does not hear it
  while (!(await Promise.race([reloaded(), pause(3_000, false)])))
  expect(lockHolders(join(stateDir(), 'haproxy.lock'))).toContain(pid)
  await first.detach()
  const second = await supervise(service)
  expect((await reached(second, status => status.state === 'ready')).pid).toBe(pid)
  await second.stop({ timeoutMs: 5000 })
  expect(identify(pid as number)).toBeUndefined()
  expect(readdirSync(stateDir())).toEqual([])
})

function nextLine(supervisor: Supervisor): Promise<void> {
  return new Promise(resolve => {
    const end = supervisor.onOutput(() => {
      end()
      resolve()
    })
  })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
