import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { BalancerStatus, ServerStatus } from '../../balancer/index.ts'
import { Scope, silentLog } from '../../base/index.ts'
import type { Engine, SerfEvent, SerfMember } from '../../serf/index.ts'
import type { ServiceStatus, Supervisor } from '../../supervisor/index.ts'
import { VirtualClock } from '../../testing/index.ts'
import { historyOf } from './journal-api.ts'
import { type Journaling, startJournaling } from './journaling.ts'

let stateDir: string
let scope: Scope
const clock = new VirtualClock()

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'journaling-'))
  scope = new Scope()
})
afterEach(async () => {
  await scope[Symbol.asyncDispose]()
  rmSync(stateDir, { recursive: true, force: true })
})

const started = (owner = scope) => startJournaling({ stateDir }, { clock, log: silentLog, pid: 7 }, owner)
const recordsOf = async ({ journal }: Journaling) => (await journal.read({ limit: 1000 })).records

function memberOf(name: string, status: SerfMember['status'], tags: SerfMember['tags'] = {}): SerfMember {
  return { name, ip: '10.0.0.2', port: 7946, status, tags } as SerfMember
}

/** A ring that says what it is told to. */
function ringOf(...members: SerfMember[]) {
  let tell: (event: SerfEvent) => void = () => undefined
  const engine = {
    local: () => members[0],
    members: () => members,
    onEvent: (listener: (event: SerfEvent) => void) => {
      tell = listener
      return () => undefined
    },
  }
  return { serf: engine as unknown as Engine, tell: (event: SerfEvent) => tell(event) }
}

/** Pool web with one server. */
function foundWith(state: ServerStatus['state'], weight = 1): Pick<BalancerStatus, 'pools'> {
  const server = { name: 'web-2', ip: '10.0.0.2', port: 80, weight, reason: 'found', state }
  return { pools: [{ name: 'web', retries: 0, waiting: 0, servers: [server as ServerStatus] }] }
}

test('every change of a member is on record, with how it was before and who saw it', async () => {
  const journaling = await started()
  const { serf, tell } = ringOf(memberOf('lb', 'alive'))
  journaling.follow(serf, true, scope)
  tell({ kind: 'member-join', members: [memberOf('web-2', 'alive')] })
  tell({ kind: 'member-update', members: [memberOf('web-2', 'alive', { 'pool.web': '3000' })] })
  tell({ kind: 'member-failed', members: [memberOf('web-2', 'failed', { 'pool.web': '3000' })] })
  tell({ kind: 'user', name: 'deploy', payload: new Uint8Array(), ltime: 1, coalesce: false })
  const address = '10.0.0.2:7946'
  const ready = { address, status: 'alive', tags: { 'pool.web': '3000' } }
  expect(await recordsOf(journaling)).toMatchObject([
    { kind: 'agent', event: 'started', node: 'lb', pid: 7 },
    { kind: 'member', event: 'join', member: 'lb', before: null },
    { kind: 'member', event: 'join', member: 'web-2', before: null, after: { address, status: 'alive', tags: {} } },
    { event: 'update', before: { tags: {} }, after: ready, seenBy: 'lb' },
    { event: 'failed', before: ready, after: { ...ready, status: 'failed' } },
  ])
})

test('how an agent ended is known to the next: stopped, handed over, killed, or never quite started', async () => {
  const { serf } = ringOf(memberOf('a', 'alive'))
  const run = async (how: (journaling: Journaling, own: Scope) => Promise<void> | void) => {
    const own = new Scope()
    const journaling = await started(own)
    journaling.follow(serf, true, own)
    await how(journaling, own)
  }
  await run(async (journaling, own) => {
    journaling.ends('stopped')
    await own[Symbol.asyncDispose]()
  })
  await run(async (journaling, own) => {
    journaling.ends('stopped')
    journaling.ends('handed over')
    await own[Symbol.asyncDispose]()
  })
  await run((_, own) => own[Symbol.asyncDispose]())
  await run(({ journal }) => journal.close()) // killed: no last word
  const last = await started()
  last.follow(serf, true, scope)
  const agents = (await last.journal.read({ kinds: ['agent'] })).records as readonly {
    event?: string
    reason?: string
  }[]
  expect(agents.map(({ event, reason }) => [event, reason?.slice(0, 16)])).toEqual([
    ...[
      ['started', undefined],
      ['stopped', undefined],
    ],
    ...[
      ['started', undefined],
      ['handed over', undefined],
    ],
    ...[
      ['started', undefined],
      ['stopped', 'its start failed'],
    ],
    ...[
      ['started', undefined],
      ['started', 'the agent before'],
    ],
  ])
})

test('services are on record with each new state, and once when they were found running', async () => {
  const journaling = await started()
  let tell: (status: ServiceStatus) => void = () => undefined
  const web = { name: 'web', state: 'ready', pid: 12, adopted: true } as ServiceStatus
  const listening = (listener: typeof tell) => {
    tell = listener
    return () => undefined
  }
  const supervisor = { services: () => [web], onChange: listening }
  journaling.followServices(supervisor as unknown as Supervisor, scope)
  tell({ ...web, lastLines: ['more output'] })
  tell({ ...web, state: 'backoff', pid: undefined, reason: 'exit status 3' })
  expect(await recordsOf(journaling)).toMatchObject([
    {
      kind: 'service',
      service: 'web',
      before: null,
      after: 'ready',
      pid: 12,
      reason: 'ran on while the agent was away',
    },
    { kind: 'service', service: 'web', before: 'ready', after: 'backoff', reason: 'exit status 3' },
  ])
})

test('receipts make the pools of any time; what changed while no agent was there is found at the start', async () => {
  const first = new Scope()
  const before = await started(first)
  before.poolsFound(foundWith('ready'))
  const found = clock.wallMs()
  clock.advance(1000)
  before.receipt({
    ...{ id: 'r1', actor: 'muster', causes: [], method: 'runtime', reasons: [], commands: [], tookMs: 1 },
    changes: [
      {
        ...{ pool: 'web', server: 'web-3', address: '10.0.0.3:80', before: null, reason: 'announced ready' },
        after: { state: 'ready', weight: 1 },
      },
    ],
  })
  await first[Symbol.asyncDispose]()
  clock.advance(1000)
  const after = await started()
  after.poolsFound(foundWith('down'))
  const serversAt = async (at: number) => {
    const answer = await historyOf(after.journal, { at })
    return 'servers' in answer ? answer.servers.map(({ server, state }) => `${server} ${state}`) : undefined
  }
  expect(await serversAt(found)).toEqual(['web-2 ready'])
  expect(await serversAt(found + 1500)).toEqual(['web-2 ready', 'web-3 ready'])
  expect(await serversAt(clock.wallMs())).toEqual(['web-2 ready'])
  expect((await recordsOf(after)).at(-1)).toMatchObject({
    causes: [{ what: 'found when the agent started' }],
    changes: [{ server: 'web-3', after: null }],
  })
  const receipts = (await recordsOf(after)).flatMap(record => (record.kind === 'receipt' ? [record.id] : []))
  expect(new Set(receipts).size, 'all agents of a container have one pid').toBe(3)
})

test('a server that is found drained as it was, is nothing new, whatever its weight is taken for', async () => {
  const journaling = await started()
  journaling.poolsFound(foundWith('drain', 3))
  expect(await recordsOf(journaling)).toHaveLength(1)
  journaling.poolsFound(foundWith('drain', 1))
  expect(await recordsOf(journaling)).toHaveLength(1)
  journaling.poolsFound(foundWith('ready', 1))
  expect(await recordsOf(journaling)).toHaveLength(2)
})

test('the journal is asked over the API, with times in ISO 8601', async () => {
  const { journal } = await started()
  journal.append({ kind: 'guard', guard: 'minimum', what: 'refused', pool: 'web' })
  const at = new Date(clock.wallMs()).toISOString()
  expect(await historyOf(journal, { what: 'web' })).toMatchObject({
    ...{ more: false, damaged: 0, begins: at },
    records: [{ at, kind: 'guard', guard: 'minimum' }],
  })
  expect(await historyOf(journal, { at: 0 })).toMatchObject({
    at: '1970-01-01T00:00:00.000Z',
    known: false,
    begins: at,
  })
})
