/** Whatever comes in, from peers, clients and the disk: it is read or refused, nothing escapes, and nothing grows. */
import { readFileSync } from 'node:fs'
import { RE2JS } from 're2js'
import { expect, test, vi } from 'vitest'
import { type Random, seededRandom, silentLog, systemClock } from '../base/index.ts'
import type { Member } from '../memberlist/index.ts'
import { SerfCore } from './core.ts'
import { encodeFilters, filtersMatch } from './filters.ts'
import { KeyRequests } from './key-requests.ts'
import type { RpcBackend } from './rpc/backend.ts'
import { LinearRegex, PROGRAM_STEPS_MAX } from './regex.ts'
import { RpcDispatcher } from './rpc/dispatch.ts'
import { RpcSession } from './rpc/session.ts'
import { SnapshotRecord } from './snapshot.ts'
import { encodeTags } from './tags.ts'

const recorded = <T>(name: string) =>
  JSON.parse(readFileSync(new URL(`../../test/vectors/${name}.json`, import.meta.url), 'utf8')) as T
const vectors = recorded<{ name: string; hex: string }[]>('serf').map(({ name, hex }) => ({
  name,
  bytes: Buffer.from(hex, 'hex'),
}))

const chosen = <T>(items: readonly T[], random: Random) => items[random.below(items.length)] as T
/** Heads of msgpack's long forms, line ends, numbers at their edges. */
const EDGES = [0x00, 0x0a, 0x20, 0x7f, 0x80, 0xc0, 0xc1, 0xc6, 0xcb, 0xcf, 0xd3, 0xdb, 0xdd, 0xdf, 0xff]

/** Some bytes changed, cut off, said twice, or followed by a part of another. */
function mutated(corpus: readonly Uint8Array[], random: Random): Uint8Array {
  let bytes = Uint8Array.from(chosen(corpus, random))
  for (let times = random.below(4); times > 0; times--) {
    const at = random.below(bytes.length + 1)
    const how = random.below(5)
    if (how === 0 && at < bytes.length) bytes[at] = chosen(EDGES, random)
    else if (how === 1 && at < bytes.length) bytes[at] = random.below(256)
    else if (how === 2) bytes = bytes.slice(0, at)
    else if (how === 3) bytes = Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at >> 1)])
    else bytes = Uint8Array.from([...bytes.subarray(0, at), ...chosen(corpus, random).subarray(0, 40)])
  }
  return bytes.subarray(0, 4096)
}

test('10,000 broken messages, lists and coordinates leave a member that works, and no larger than its bounds', () => {
  const random = seededRandom(9041)
  const corpus = vectors.filter(({ name }) => !name.startsWith('snapshot-')).map(({ bytes }) => bytes)
  const config = {
    ...{ name: 'self', retransmitMult: 4, gossipIntervalMs: 200, reconnectIntervalMs: 30_000 },
    ...{ reconnectTimeoutMs: 86_400_000, tombstoneTimeoutMs: 86_400_000, pruneDelayMs: 6000 },
    ...{ userEventBytesMax: 512, queryBytesMax: 1024, queryResponseBytesMax: 1024 },
  }
  const core = new SerfCore(config, random, 0)
  const member = (name: string, meta: Uint8Array): Member => ({
    ...{ name, addr: Uint8Array.of(10, 0, 0, 1), ip: '10.0.0.1', port: 7946, meta, vsn: [1, 5, 2, 2, 5, 5] },
    ...{ incarnation: 1, state: 'alive', stateChangedAtMs: 0 },
  })
  for (const name of ['self', 'alpha', 'bravo']) core.memberChanged('join', member(name, encodeTags({})), 0)
  for (let nowMs = 0; nowMs < 10_000; nowMs++) {
    const bytes = mutated(corpus, random)
    core.receive(bytes, nowMs)
    core.mergeState(bytes, nowMs % 2 === 0, nowMs)
    core.pingDone('alpha', random.float() * 100, bytes)
    core.memberChanged('update', member('bravo', bytes.subarray(0, 512)), nowMs)
    core.tick(nowMs)
    if (nowMs % 100 === 0) core.broadcasts(3, 1400)
  }
  expect(core.members()).toHaveLength(3)
  expect(Number.isFinite(core.coordinate('self')?.error)).toBe(true)
  core.tick(100_000)
  expect(core.queued).toBeLessThanOrEqual(3 * 4096)
  expect(() => core.sendQuery({ name: 'q', payload: new Uint8Array(0) }, 100_000)).not.toThrow()
})

test('5,000 broken connections are answered or closed, byte by byte or at once, and harm no agent', async () => {
  const random = seededRandom(9041)
  const { sessions } = recorded<{ sessions: { lines: { dir: string; hex?: string }[] }[] }>('serf-rpc')
  const corpus = sessions.map(({ lines }) =>
    Buffer.from(lines.map(({ dir, hex }) => (dir === 'c>s' ? (hex ?? '') : '')).join(''), 'hex'),
  )
  const keys = new KeyRequests({ memberCount: () => 0, query: async () => (async function* () {})() })
  const nothing = async () => {}
  const backend: RpcBackend = {
    ...{ members: () => [], tags: () => ({}), stats: () => ({}), onEvent: () => () => {} },
    ...{ leave: nothing, forceLeave: nothing, userEvent: nothing, setTags: nothing },
    ...{ join: async () => ({ contacted: 0, errors: [] }), query: async () => (async function* () {})() },
    keys: (operation, key) => keys.ask(operation, key),
  }
  const outcomes = { answered: 0, closed: 0 }
  for (let n = 0; n < 5000; n++) {
    const bytes = mutated(corpus, random)
    const session = new RpcSession(n % 3 === 0 ? 'sekret' : '')
    const dispatcher = new RpcDispatcher(backend, { clock: systemClock, log: silentLog }, () => n % 2 === 0)
    const chunkBytes = n % 5 === 0 ? 1 : 4096
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      session.receive(bytes.subarray(at, at + chunkBytes))
      let step = session.next()
      while (step.kind === 'answer' || step.kind === 'perform') {
        outcomes.answered++
        const refused = (failure: Error) => {
          expect(failure.constructor.name).toBe('ExpressionRefusedError')
          return undefined
        }
        if (step.kind === 'perform') (await dispatcher.perform(step.request).catch(refused))?.afterwards?.()
        step = session.next()
      }
      if (step.kind === 'wait') continue
      outcomes.closed++
      break
    }
    dispatcher.end()
  }
  expect(outcomes.answered).toBeGreaterThan(5000)
  expect(outcomes.closed).toBeGreaterThan(500)
})

test('5,000 broken snapshots are replayed as far as they make sense, and what is kept compacts to the same', () => {
  const random = seededRandom(9041)
  const corpus = vectors.filter(({ name }) => name.startsWith('snapshot-')).map(({ bytes }) => bytes)
  for (let n = 0; n < 5000; n++) {
    const text = Buffer.from(mutated(corpus, random)).toString()
    const record = new SnapshotRecord(n % 2 === 0)
    expect(record.replay(text)).toBeLessThanOrEqual(text.split('\n').length)
    const again = new SnapshotRecord(false)
    expect(again.replay(record.compacted())).toBe(0)
    expect([again.clocks, [...again.nodes]]).toEqual([record.clocks, [...record.nodes]])
    SnapshotRecord.isForeign(text)
  }
})

const COSTLY = '((a|b|ab)*){300}$'

test('a query with a hundred costly expressions is nobody’s, and is found so at once', () => {
  const [costly] = encodeFilters({ tags: { role: COSTLY } })
  const tags = { role: 'a'.repeat(480) }
  const filters = (count: number) => Array.from({ length: count }, () => costly as Uint8Array)
  expect(filtersMatch(filters(1), 'self', tags)).toBe(true)
  const { steps } = new LinearRegex(COSTLY)
  const tried = vi.spyOn(LinearRegex.prototype, 'test')
  expect(filtersMatch(filters(100), 'self', tags)).toBe(false)
  expect(tried.mock.calls.length * steps).toBeLessThanOrEqual(PROGRAM_STEPS_MAX) // three seconds, were each of them tried
  tried.mockRestore()
})

test('an expression that would unroll into hundreds of thousands of steps is refused before it is', () => {
  const meant = (expression: string) =>
    filtersMatch(encodeFilters({ tags: { role: expression } }), 'self', { role: 'aa' })
  const unrolling = vi.spyOn(RE2JS, 'compile')
  expect(meant(`((${'a|'.repeat(150)}b){0,30}){0,1000}`)).toBe(false)
  expect(unrolling).not.toHaveBeenCalled()
  unrolling.mockRestore()
  for (const sound of ['(a{1,30}){1,30}', '[a{9}]{2}', '(?:a|b){1,1000}$', '\\{1000}|a', 'x{1000}|a'])
    expect(meant(sound)).toBe(true)
})
