import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { type Address, formatAddress, silentLog, sleep, systemClock } from '../../../base/index.ts'
import type { QueryEvent, SerfEvent } from '../../events.ts'
import type { SerfMember } from '../../member.ts'
import type { RpcBackend, RpcQueryAnswer } from '../backend.ts'
import { connectRpc } from './client.ts'
import { startRpcServer } from './server.ts'

const hasSerf = existsSync('/usr/bin/serf')
const realTest = hasSerf || process.env['CI'] === 'true' ? test : test.skip
const deps = { log: silentLog, clock: systemClock }
const loopback = (port: number): Address => ({ ip: '127.0.0.1', port })

function member(name: string, tags: Record<string, string>, status: SerfMember['status'] = 'alive'): SerfMember {
  const versions = { protocolMin: 1, protocolMax: 5, protocolCur: 2, delegateMin: 2, delegateMax: 5, delegateCur: 5 }
  const addr = Uint8Array.of(10, 0, 0, 7)
  return { name, addr, ip: '10.0.0.7', port: 7946, tags, status, ...versions, statusLTime: 0, leftAtMs: 0 }
}

/** An agent in memory: two members, and a list of what was asked of it. */
class SmallAgent implements RpcBackend {
  readonly asked: unknown[] = []
  readonly listeners = new Set<(event: SerfEvent) => void>()
  own: Record<string, string> = { role: 'web' }

  members = () => [member('web-1', this.own), member('gone', {}, 'failed')]
  tags = () => this.own
  stats = () => ({ agent: { name: 'web-1' }, serf: { members: '2' } })
  afterLeave = () => void this.asked.push('stop')

  async setTags(tags: Record<string, string>): Promise<void> {
    if (JSON.stringify(tags).length > 512) throw new Error('Encoded length of tags exceeds limit of 512 bytes')
    this.own = tags
  }
  async join(addresses: readonly string[], options: { ignoreOld: boolean }) {
    this.asked.push(['join', ...addresses, options.ignoreOld])
    const errors = addresses
      .filter(address => address.startsWith('192.'))
      .map(address => ({ address, error: new Error('no route') }))
    return { contacted: addresses.length - errors.length, errors }
  }
  async leave(): Promise<void> {
    this.asked.push('leave')
  }
  async forceLeave(name: string, prune: boolean): Promise<void> {
    this.asked.push(['force-leave', name, prune])
  }
  async userEvent(name: string, payload: Uint8Array, coalesce: boolean): Promise<void> {
    this.asked.push(['event', name, Buffer.from(payload).toString(), coalesce])
    for (const listener of this.listeners) listener({ kind: 'user', name, payload, ltime: 3, coalesce })
  }
  onEvent(listener: (event: SerfEvent) => void) {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }
  async *query(): AsyncGenerator<RpcQueryAnswer> {
    yield { kind: 'ack', from: 'web-1' }
    yield { kind: 'response', from: 'web-1', payload: Buffer.from('1.5\n') }
    await sleep(systemClock, 200) // as until the deadline: the command picks at random among what has come, the end too
  }
}

async function served(config: { authKey?: string; connectionsMax?: number } = {}) {
  const agent = new SmallAgent()
  const server = await startRpcServer({ bind: loopback(0), ...config }, { ...deps, backend: agent })
  onTestFinished(() => server.stop())
  return { agent, address: server.address }
}

/** Runs the real command against `address`. */
function serf(address: Address, ...args: string[]): Promise<{ status: number; out: string }> {
  const [command = '', ...rest] = args
  return new Promise(resolve => {
    execFile('/usr/bin/serf', [command, `-rpc-addr=${formatAddress(address)}`, ...rest], (failure, stdout, stderr) => {
      resolve({ status: failure === null ? 0 : Number(failure.code), out: stdout + stderr })
    })
  })
}

realTest('the serf command lists, filters and prints members of our agent', async () => {
  const { address } = await served()
  const all = await serf(address, 'members')
  expect(all.out).toMatch(/^web-1 +10\.0\.0\.7:7946 +alive +role=web$/m)
  expect((await serf(address, 'members', '-status=failed')).out).toMatch(/^gone /)
  const json = JSON.parse((await serf(address, 'members', '-format=json', '-tag', 'role=w.b')).out) as unknown
  const protocol = { max: 5, min: 2, version: 5 }
  expect(json).toEqual({
    members: [{ name: 'web-1', addr: '10.0.0.7:7946', port: 7946, tags: { role: 'web' }, status: 'alive', protocol }],
  })
  expect(await serf(address, 'members', '-name=(')).toEqual({
    status: 1,
    out: 'Error retrieving members: client closed\n',
  })
})

realTest('the serf command joins, tags, sends events, asks, forces out and leaves through our agent', async () => {
  const { agent, address } = await served()
  expect((await serf(address, 'join', '10.0.0.8', '192.0.2.1')).out).toContain('by contacting 1 nodes')
  expect(await serf(address, 'join', '192.0.2.1')).toEqual({
    status: 1,
    out: 'Error joining the cluster: 1 error occurred:\n\t* Failed to join 192.0.2.1: no route\n\n\n',
  })
  expect((await serf(address, 'tags', '-set', 'dc=x', '-delete', 'role')).out).toContain('Successfully updated')
  expect(agent.own).toEqual({ dc: 'x' })
  expect((await serf(address, 'tags', '-set', `big=${'x'.repeat(600)}`)).out).toContain('exceeds limit of 512 bytes')
  expect((await serf(address, 'event', '-coalesce=false', 'deploy', 'v1')).status).toBe(0)
  expect((await serf(address, 'query', 'load')).out).toContain("Response from 'web-1': 1.5")
  expect((await serf(address, 'force-leave', '-prune', 'gone')).status).toBe(0)
  expect((await serf(address, 'info')).out).toContain('name = web-1')
  expect(await serf(address, 'leave')).toEqual({ status: 0, out: 'Graceful leave complete\n' })
  expect(agent.asked).toEqual([
    ['join', '10.0.0.8', '192.0.2.1', true],
    ['join', '192.0.2.1', true],
    ['event', 'deploy', 'v1', false],
    ['force-leave', 'gone', true],
    'leave',
    'stop',
  ])
})

realTest('the serf command needs the key of an agent that has one', async () => {
  const { address } = await served({ authKey: 'sekret' })
  expect((await serf(address, 'members')).out).toBe('Error retrieving members: Authentication required\n')
  expect((await serf(address, 'members', '-rpc-auth=wrong')).out).toContain('Invalid authentication token')
  expect((await serf(address, 'members', '-rpc-auth=sekret')).out).toContain('web-1')
  await expect(connectRpc(address, { timeoutMs: 5000, authKey: 'no' })).rejects.toMatchObject({ code: 'RPC_AUTH' })
})

test('our client sees what our agent does: members, tags, streams, answers to queries', async () => {
  const { agent, address } = await served()
  using client = await connectRpc(address, { timeoutMs: 5000 })
  expect((await client.members({ status: 'alive' })).map(({ name }) => name)).toEqual(['web-1'])
  await client.tags({ a: '1' }, ['role'])
  expect(agent.own).toEqual({ a: '1' })
  expect(await client.join(['10.0.0.8'])).toBe(1)
  await expect(client.join(['192.0.2.1'])).rejects.toMatchObject({ code: 'RPC_REFUSED' })
  const answers: RpcQueryAnswer[] = []
  for await (const answer of client.query({ name: 'load' })) answers.push(answer)
  expect(answers.map(({ kind, from }) => [kind, from])).toEqual([
    ['ack', 'web-1'],
    ['response', 'web-1'],
  ])
  const stream = client.stream('user:deploy,query')
  const first = stream.next()
  await client.stats() // the agent handles requests in order, so the stream is open
  await client.event('other', new Uint8Array(0))
  await client.event('deploy', Buffer.from('v2'))
  expect((await first).value).toMatchObject({ kind: 'user', name: 'deploy', ltime: 3 })
  let answered = ''
  const query: QueryEvent = {
    ...{ kind: 'query', name: 'q', payload: new Uint8Array(0), ltime: 9, id: 1, sourceNode: 'x' },
    deadlineMs: systemClock.nowMs() + 60_000,
    respond: async payload => void (answered = Buffer.from(payload).toString()),
  }
  for (const listener of agent.listeners) listener(query)
  const asked = (await stream.next()).value
  await client.respond(asked?.handle ?? 0, Buffer.from('here'))
  expect(answered).toBe('here')
  await expect(client.respond(77, Buffer.from('x'))).rejects.toThrow('No pending queries matching ID')
  await stream.return()
  expect(agent.listeners.size).toBe(0)
})

test('an agent that is not there, or is something else, is a typed error', async () => {
  await expect(connectRpc(loopback(1), { timeoutMs: 5000 })).rejects.toMatchObject({ code: 'RPC_UNREACHABLE' })
  const other = createServer(socket => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  await new Promise<void>(resolve => void other.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void other.close())
  const { port } = other.address() as { port: number }
  await expect(connectRpc(loopback(port), { timeoutMs: 5000 })).rejects.toMatchObject({
    code: /^RPC_(PROTOCOL|CLOSED)$/,
  })
})

test('garbage and unknown commands cost a client its connection and nobody else theirs', async () => {
  const { address } = await served({ connectionsMax: 2 })
  using client = await connectRpc(address, { timeoutMs: 5000 })
  for (const garbage of [
    Uint8Array.of(0xc1),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Uint8Array.of(0xdd, 255, 255, 255, 255),
  ]) {
    await new Promise<void>(resolve => {
      const socket = connect({ host: address.ip, port: address.port }, () => socket.write(garbage))
      socket.on('error', () => {}).on('close', () => resolve())
    })
  }
  expect((await client.members()).length).toBe(2)
})

realTest('our client drives a real serf agent: members, tags, events, queries, leave', async () => {
  const [bind, rpc] = ['127.0.0.1:23946', loopback(23373)]
  const args = ['agent', '-node=real', `-bind=${bind}`, `-rpc-addr=${formatAddress(rpc)}`, '-tag=role=web']
  const child = spawn('/usr/bin/serf', [...args, '-event-handler=query:load=echo 1.5'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const exited = new Promise<number | null>(resolve => child.on('exit', resolve))
  await new Promise<void>(resolve => child.stdout.on('data', chunk => String(chunk).includes('Log data') && resolve()))
  using client = await connectRpc(rpc, { timeoutMs: 5000 })
  expect(await client.members()).toMatchObject([{ name: 'real', ip: '127.0.0.1', port: 23946, tags: { role: 'web' } }])
  await client.tags({ dc: 'x' })
  expect((await client.stats())['tags']).toEqual({ role: 'web', dc: 'x' })
  const stream = client.stream('user')
  const first = stream.next()
  await client.stats()
  await client.event('deploy', Buffer.from('v3'), false)
  expect((await first).value).toMatchObject({ kind: 'user', name: 'deploy' })
  await stream.return()
  const answers: string[] = []
  for await (const { kind, payload } of client.query({ name: 'load', timeoutMs: 500 })) {
    answers.push(`${kind} ${Buffer.from(payload ?? []).toString()}`)
  }
  expect(answers.sort()).toEqual(['ack ', 'response 1.5\n'])
  await expect(client.join(['127.0.0.1:1'])).rejects.toMatchObject({ code: 'RPC_REFUSED' })
  await client.leave()
  expect(await exited).toBe(0)
})
