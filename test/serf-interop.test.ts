import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { promisify } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import { silentLog, systemClock, systemRandom } from '../src/base/index.ts'
import { Keyring } from '../src/memberlist/index.ts'
import { type Serf, type SerfConfig, type SerfEvent, startSerf } from '../src/serf/index.ts'

/**
 * Muster and real Serf agents in one ring, on loopback. The packages `serf` and `util-linux` have to be installed; without
 * them the test fails and says so.
 */
const SERF = '/usr/bin/serf'
const KEY = 'AAECAwQFBgcICQoLDA0ODw=='
const run = promisify(execFile)
const endings: (() => unknown)[] = []
let hosts = 10

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end()
})

interface RealAgent {
  at: string
  rpc: string
  pid: number
  child: ChildProcess
  output: () => string
  command(...args: string[]): Promise<string>
}

function nextIp(): string {
  return `127.0.11.${hosts++}`
}

async function realSerf(name: string, ...args: string[]): Promise<RealAgent> {
  const ip = nextIp()
  const [at, rpc] = [`${ip}:17946`, `${ip}:17373`]
  const common = ['agent', '-node', name, '-bind', at, '-rpc-addr', rpc, '-profile', 'local', '-log-level', 'debug']
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', SERF, ...common, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', chunk => (output = `${output}${chunk}`.slice(-50_000)))
  const exited = new Promise(resolve => child.once('exit', resolve).once('error', resolve))
  endings.push(() => {
    child.kill('SIGKILL')
    return exited
  })
  const command = async (verb: string, ...rest: string[]) =>
    (await run(SERF, [verb, `-rpc-addr=${rpc}`, ...rest], { timeout: 15_000 })).stdout
  await until(`serf (Debian package serf) answers: ${output}`, async () => {
    try {
      return (await command('members')).includes(name)
    } catch {
      return false
    }
  })
  return { at, rpc, pid: child.pid as number, child, output: () => output, command: command as RealAgent['command'] }
}

async function ours(
  name: string,
  more: Partial<SerfConfig> = {},
): Promise<{ serf: Serf; events: SerfEvent[]; at: string }> {
  const bind = { ip: nextIp(), port: 17946 }
  const config = { name, bind, profile: 'local', tags: { role: 'backend' }, ...more } as const
  const serf = await startSerf(config, { clock: systemClock, random: systemRandom, log: silentLog })
  const events: SerfEvent[] = []
  serf.onEvent(event => events.push(event))
  endings.push(() => serf.stop())
  return { serf, events, at: `${bind.ip}:${bind.port}` }
}

async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> {
  const deadline = Date.now() + withinMs
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not in ${withinMs} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

const statusOf = (serf: Serf, name: string) => serf.members().find(member => member.name === name)?.status
const lineOf = async (agent: RealAgent, name: string) =>
  (await agent.command('members')).split('\n').find(line => line.startsWith(`${name} `)) ?? ''

for (const encrypted of [false, true]) {
  const how = encrypted ? 'with a key' : 'without a key'
  const args = encrypted ? ['-encrypt', KEY] : []
  const more = () => (encrypted ? { keyring: new Keyring([Buffer.from(KEY, 'base64')]) } : {})

  test(`we join a real agent ${how}; tags, their change, and our leave are seen there`, async () => {
    const real = await realSerf('real', '-tag', 'dc=lausanne', ...args)
    const { serf } = await ours('muster', more())
    expect(await serf.join([real.at])).toMatchObject({ contacted: 1, errors: [] })
    expect(serf.members().find(m => m.name === 'real')).toMatchObject({ status: 'alive', tags: { dc: 'lausanne' } })
    await until('tags there', async () => /alive +role=backend/.test(await lineOf(real, 'muster')))
    await serf.setTags({ role: 'backend', 'pool.web': '3000' }, { tell: ['real'] })
    await until('new tags there', async () => (await lineOf(real, 'muster')).includes('pool.web=3000'))
    await serf.leave()
    expect(serf.state()).toBe('left')
    await until('left there', async () => /left/.test(await lineOf(real, 'muster')))
  })

  test(`a real agent joins us ${how}; its tag change, events and queries cross both ways`, async () => {
    const { serf, events, at } = await ours('muster', more())
    const real = await realSerf('real', ...args)
    serf.onEvent(event => {
      if (event.kind === 'query') void event.respond(Buffer.from(`hello ${Buffer.from(event.payload).toString()}`))
    })
    await real.command('join', at)
    await until('joined here', () => statusOf(serf, 'real') === 'alive')
    await real.command('tags', '-set', 'role=web')
    await until('tag here', () => serf.members().some(m => m.tags['role'] === 'web'))
    await real.command('event', '-coalesce=false', 'deploy', 'v1')
    await until('event here', () => events.some(e => e.kind === 'user' && e.name === 'deploy'))
    await serf.userEvent('reload', Buffer.from('p'), false)
    await until('event there', () => real.output().includes('reload'))
    const answered = await real.command('query', '-tag', 'role=^back', '-timeout', '1s', 'load', 'you')
    expect(answered).toContain("Ack from 'muster'")
    expect(answered).toContain("Response from 'muster': hello you")
    const acks: string[] = []
    const query = await serf.query({ name: '_serf_ping', payload: new Uint8Array(0), wantAck: true, timeoutMs: 5000 })
    for await (const answer of query) {
      acks.push(answer.from)
      if (acks.length === 2) break
    }
    expect(acks.sort()).toEqual(['muster', 'real'])
    if (encrypted) expect(await real.command('keys', '-list')).toContain('2/2')
  })
}

test('a real agent that leaves is left here, one that is killed is failed, and forced out it is left', async () => {
  const { serf, events, at } = await ours('muster')
  const joining = ['-retry-join', at, '-retry-interval', '1s'] // with -join, whoever is answered late ends
  const [leaver, victim] = [await realSerf('leaver', ...joining), await realSerf('victim', ...joining)]
  await until('both here', () => statusOf(serf, 'leaver') === 'alive' && statusOf(serf, 'victim') === 'alive')
  await leaver.command('leave')
  await until('left here', () => statusOf(serf, 'leaver') === 'left')
  victim.child.kill('SIGKILL')
  await until('failed here', () => statusOf(serf, 'victim') === 'failed', 40_000)
  await serf.forceLeave('victim')
  expect(statusOf(serf, 'victim')).toBe('left')
  expect(events.flatMap(e => (e.kind === 'member-failed' ? e.members.map(m => m.name) : []))).toEqual(['victim'])
})

test('a real agent that forces us out while we live sees us alive again (refutation)', async () => {
  const real = await realSerf('real')
  const { serf } = await ours('muster')
  const third = await ours('third') // with two members a real agent tells nobody: its target counts as leaving already
  await serf.join([real.at])
  await third.serf.join([real.at])
  await until('the third there', async () => /alive/.test(await lineOf(real, 'third')))
  await until('seen there', async () => /alive/.test(await lineOf(real, 'muster')))
  await real.command('force-leave', 'muster')
  await until('refuted there', async () => /alive/.test(await lineOf(real, 'muster')))
  expect(serf.local().status).toBe('alive')
})
