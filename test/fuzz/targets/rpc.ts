import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { assert, type Clock, type Random, silentLog } from '../../../src/base/index.ts'
import { CodecError } from '../../../src/codec/index.ts'
import {
  encodeTags,
  REQUEST_BYTES_MAX,
  type RpcBackend,
  RpcAuthError,
  RpcClient,
  RpcClosedError,
  RpcDispatcher,
  RpcProtocolError,
  RpcRefusedError,
  RpcSession,
  type RpcSubscription,
  type SerfEvent,
  type SerfMember,
} from '../../../src/serf/index.ts'
import { recorded } from '../corpus.ts'
import { type Sample, type Target, target } from '../target.ts'
import { chunksOf } from './memberlist.ts'

const member: SerfMember = {
  ...{ name: 'web-1', addr: Uint8Array.of(10, 0, 0, 1), ip: '10.0.0.1', port: 7946, tags: { role: 'web', dc: 'east' } },
  ...{
    status: 'alive',
    protocolMin: 2,
    protocolMax: 5,
    protocolCur: 5,
    delegateMin: 2,
    delegateMax: 5,
    delegateCur: 5,
  },
  ...{ statusLTime: 4, leftAtMs: 0 },
}
const text = (words: string) => Buffer.from(words)
const EVENTS: readonly SerfEvent[] = [
  { kind: 'member-join', members: [member] },
  { kind: 'user', name: 'deploy', payload: text('v2'), ltime: 7, coalesce: true },
  {
    ...{ kind: 'query', name: 'load', payload: text(''), ltime: 8, id: 1, sourceNode: 'web-1', deadlineMs: 1e12 },
    respond: async () => {},
  },
]
/** Nothing ever becomes late here. */
const clock: Clock = { nowMs: () => 1000, after: () => ({ cancel: () => {} }) } as unknown as Clock

/** An agent that answers everything at once, and tells a new listener of one event of each kind. */
const backend: RpcBackend = {
  members: () => [member, { ...member, name: 'db-1', status: 'failed' }],
  join: async addresses => ({ contacted: addresses.length, errors: [] }),
  leave: async () => {},
  forceLeave: async () => {},
  userEvent: async () => {},
  tags: () => member.tags,
  setTags: async tags => void encodeTags(tags),
  stats: () => ({ agent: { name: 'web-1' }, serf: { health_score: '0' } }),
  onEvent: listener => {
    for (const event of EVENTS) listener(event)
    return () => {}
  },
  query: async () =>
    (async function* () {
      yield { kind: 'ack', from: 'web-1' } as const
      yield { kind: 'response', from: 'web-1', payload: text('1.5') } as const
    })(),
  coordinate: () => ({ vec: [0, 0, 0, 0, 0, 0, 0, 0], error: 1.5, adjustment: 0, height: 1e-5 }),
  keys: async () => ({
    ...{ error: '', keys: new Map([['EBESExQVFhcYGRobHB0eHw==', 2]]), primaryKeys: new Map(), messages: new Map() },
    ...{ errors: 0, members: 2, answers: 2 },
  }),
  logs: { recent: () => ['2026/11/20 09:43:12 [INFO] agent: joined'], onLine: () => () => {} },
}

/** How our own code breaks, whoever catches it. */
const BROKEN =
  /undefined|null \(|not a function|not iterable|call stack|Invalid (array|string|typed)|out of (range|bounds)/i

async function answersTo(
  requests: Iterable<Uint8Array>,
  authKey: string,
): Promise<{ answers: Uint8Array; closed: boolean }> {
  const session = new RpcSession(authKey)
  const sent: Uint8Array[] = []
  let sentBytes = 0
  const send = (bytes: Uint8Array) => {
    sentBytes += bytes.length
    sent.push(bytes)
    return sentBytes < 1 << 20
  }
  const dispatcher = new RpcDispatcher(backend, { clock, log: silentLog }, send)
  let closed = false
  for (const chunk of requests) {
    session.receive(chunk)
    for (let step = session.next(); step.kind !== 'wait' && !closed; step = closed ? step : session.next()) {
      if (step.kind === 'answer') send(step.bytes)
      else if (step.kind === 'close') {
        assert(!BROKEN.test(step.reason), step.reason)
        closed = true
      } else {
        try {
          const answer = await dispatcher.perform(step.request)
          send(answer.bytes)
          answer.afterwards?.()
        } catch (failure) {
          if (!(failure instanceof Error && 'code' in failure && failure.code === 'SERF_EXPRESSION_REFUSED'))
            throw failure
          closed = true
        }
      }
    }
    assert(session.buffered <= REQUEST_BYTES_MAX + chunk.length, `${session.buffered} bytes wait`)
    if (closed) break
  }
  await Promise.resolve()
  dispatcher.end()
  const answers = Buffer.concat(sent)
  const said = BROKEN.exec(answers.toString('latin1'))
  assert(said === null, `an answer says ${said?.[0]}`)
  return { answers, closed }
}

interface Session {
  readonly name: string
  readonly lines: readonly { readonly dir: string; readonly hex?: string }[]
}

const server = target<Sample>({
  name: 'rpc-server',
  family: 'binary',
  corpus: recorded<{ sessions: Session[] }>('serf-rpc').sessions.map(({ name, lines }) => ({
    name,
    bytes: Buffer.from(lines.map(({ dir, hex }) => (dir === 'c>s' ? (hex ?? '') : '')).join(''), 'hex'),
  })),
  share: 6,
  casesInTest: 8000,
  stateCases: 1,
  start: () => async (_, bytes, random) => {
    const authKey = random.below(4) === 0 ? 'sekret' : ''
    return !(await answersTo(chunksOf(bytes, random), authKey)).closed
  },
})

/** What a client may ask, and what of the answer proves that it was read. */
const CALLS: Readonly<Record<string, (client: RpcClient) => Promise<unknown>>> = {
  greet: client => client.greet('sekret', 1000),
  members: client => client.members(),
  filtered: client => client.members({ status: 'alive' }),
  join: client => client.join(['10.0.0.2']),
  stats: client => client.stats(),
  coordinate: client => client.coordinate('web-1'),
  keys: client => client.listKeys(),
  event: client => client.event('deploy', text('v2')),
  tags: client => client.tags({ role: 'db' }),
  leave: client => client.leave(),
  stream: client => lastOf(client.stream()),
  events: async client => lastOf(await client.events('user:deploy')),
  monitor: async client => lastOf(await client.monitor('debug')),
  query: async client => lastOf(await client.ask({ name: 'load' })),
}

async function lastOf<T>(items: AsyncIterable<T> | RpcSubscription<T>): Promise<T | undefined> {
  let last: T | undefined
  for await (const item of items) last = item
  return last
}

/** As much of a socket as the client touches. */
class Wire extends EventEmitter {
  readonly written: Uint8Array[] = []
  write(bytes: Uint8Array): boolean {
    this.written.push(bytes)
    return true
  }
  destroy(): void {
    this.emit('close')
  }
}

interface Answered extends Sample {
  readonly call: (client: RpcClient) => Promise<unknown>
}

function clientOn(wire: Wire): RpcClient {
  return new RpcClient(wire as unknown as Socket, { clock, answerTimeoutMs: 1000 })
}

/** What our own agent, whose bytes are those of the recorded ones, answers to each call. */
async function answered(name: string, call: Answered['call']): Promise<Answered> {
  const wire = new Wire()
  const client = clientOn(wire)
  const outcome = call(client).catch(() => undefined)
  await Promise.resolve()
  const greeting = Buffer.from('82a7436f6d6d616e64a968616e647368616b65a353657100' + '81a756657273696f6e01', 'hex')
  const { answers } = await answersTo(name === 'greet' ? wire.written : [greeting, ...wire.written], '')
  client.close()
  await outcome
  return { name, call, bytes: name === 'greet' ? answers : answers.subarray(GREETED_BYTES) }
}

/** `{Error: "", Seq: 0}` */
const GREETED_BYTES = 1 + 6 + 1 + 4 + 1

const client = target<Answered>({
  name: 'rpc-client',
  family: 'binary',
  corpus: await Promise.all(Object.entries(CALLS).map(([name, call]) => answered(name, call))),
  share: 6,
  casesInTest: 7000,
  stateCases: 1,
  start:
    () =>
    async ({ call }, bytes, random) => {
      const wire = new Wire()
      const asked = clientOn(wire)
      const outcome = wasRead(call(asked))
      await Promise.resolve()
      for (const chunk of chunksOf(bytes, random)) wire.emit('data', chunk)
      await settle(random)
      wire.emit('close')
      return outcome
    },
})

/** Now and then the connection ends before whoever asked has seen the answer. */
async function settle(random: Random): Promise<void> {
  for (let turns = random.below(4) === 0 ? 0 : 12; turns > 0; turns--) await Promise.resolve()
}

async function wasRead(outcome: Promise<unknown>): Promise<boolean> {
  try {
    await outcome
    return true
  } catch (failure) {
    if (failure instanceof RpcProtocolError) {
      assert(failure.cause instanceof CodecError, `not a refusal: ${String(failure.cause)}`)
      return false
    }
    if (failure instanceof RpcClosedError || failure instanceof RpcRefusedError) return false
    if (failure instanceof RpcAuthError) return false
    throw failure
  }
}

export const rpcTargets: readonly Target[] = [server, client]
