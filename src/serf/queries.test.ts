import { expect, test } from 'vitest'
import { seededRandom } from '../base/index.ts'
import type { Member } from '../memberlist/index.ts'
import { Keyring } from '../memberlist/index.ts'
import { SerfCore, type SerfCoreConfig } from './core.ts'
import { answerKeys } from './drivers/key-answers.ts'
import type { ReceivedQuery, SerfEffect } from './effects.ts'
import { encodeFilters } from './filters.ts'
import {
  decodeSerfMessage,
  encodeSerfMessage,
  QueryFlag,
  type QueryMessage,
  type QueryResponse,
  type Relay,
} from './messages.ts'
import { encodeTags } from './tags.ts'

const NONE = new Uint8Array(0)
const config: SerfCoreConfig = {
  ...{ name: 'self', retransmitMult: 4, gossipIntervalMs: 200, reconnectIntervalMs: 30_000 },
  ...{ reconnectTimeoutMs: 86_400_000, tombstoneTimeoutMs: 86_400_000, pruneDelayMs: 6000 },
  ...{ userEventBytesMax: 512, queryBytesMax: 1024, queryResponseBytesMax: 1024 },
}

function member(name: string, last: number, protocolMax: number, role: string): Member {
  const state = { incarnation: 1, state: 'alive', stateChangedAtMs: 0, vsn: [1, protocolMax, 2, 2, 5, 5] } as const
  const at = { addr: Uint8Array.of(10, 0, 0, last), ip: `10.0.0.${last}`, port: 7946 }
  return { name, ...at, meta: encodeTags({ role }), ...state }
}

/** Ourselves, a web server, among these; by default all speak a protocol that relays. */
function core(others: readonly string[] = [], protocolMax: (name: string) => number = () => 5): SerfCore {
  const made = new SerfCore(config, seededRandom(7), 0)
  for (const [i, name] of ['self', ...others].entries())
    made.memberChanged('join', member(name, i + 1, protocolMax(name), name === 'self' ? 'web' : 'db'), 0)
  return made
}

const asked: QueryMessage = {
  ...{ type: 'query', ltime: 5, id: 77, addr: Uint8Array.of(10, 0, 0, 9), port: 7946, sourceNode: 'asker' },
  ...{ filters: [], flags: 0, relayFactor: 0, timeoutNs: 1e9, name: 'load', payload: NONE },
}
const hear = (c: SerfCore, query: Partial<QueryMessage>, nowMs = 0) =>
  c.receive(encodeSerfMessage({ ...asked, ...query }), nowMs)
const kinds = (effects: readonly SerfEffect[]) => effects.map(({ kind }) => kind)
const spread = (c: SerfCore) => c.broadcasts(3, 1400).map(decodeSerfMessage)
const sentBy = (effects: readonly SerfEffect[]) => effects.flatMap(e => (e.kind === 'send' ? [e] : []))
const delivered = (effects: readonly SerfEffect[]) =>
  (effects.find(({ kind }) => kind === 'query') as { query: ReceivedQuery }).query

test('a query is passed on unchanged by everybody, unless it says not to be (Serf 8.2)', () => {
  for (const [flags, passedOn] of [
    [0, 1],
    [QueryFlag.ack, 1],
    [QueryFlag.noBroadcast, 0],
    [QueryFlag.noBroadcast | QueryFlag.ack, 0],
  ] as const) {
    const c = core(['a'])
    const effects = hear(c, { flags })
    expect(kinds(effects)).toEqual((flags & QueryFlag.ack) === 0 ? ['query'] : ['send', 'query'])
    expect(spread(c)).toHaveLength(passedOn)
  }
})

test('a query whose every filter matches is for us; one filter that does not is silence, ack included (Serf 8.3)', () => {
  const both = (tags: Record<string, string>, nodes: string[]) => encodeFilters({ nodes, tags })
  const heard = (filters: Uint8Array[]) => kinds(hear(core(['a']), { filters, flags: QueryFlag.ack }))
  expect(heard(both({ role: 'we' }, ['a', 'self']))).toEqual(['send', 'query'])
  expect(heard(both({ role: '^e' }, ['self']))).toEqual([])
  expect(heard(both({ role: 'web' }, ['a']))).toEqual([])
  expect(heard([...both({}, ['self']), NONE])).toEqual([])
})

test('two queries of one time are two queries, the same one twice is one (Serf 8.2)', () => {
  const c = core()
  expect([{ id: 1 }, { id: 2 }, { id: 1 }].map(query => kinds(hear(c, query)))).toEqual([['query'], ['query'], []])
})

test('of 512 times the clock has room for, the one before the first is too old; so with user events (Serf 7.2)', () => {
  const c = core()
  hear(c, { ltime: 1000 })
  expect(kinds(hear(c, { ltime: 488 }))).toEqual(['log'])
  expect(kinds(hear(c, { ltime: 489 }))).toEqual(['query'])
  const event = (ltime: number) =>
    kinds(c.receive(encodeSerfMessage({ type: 'userEvent', ltime, name: 'e', payload: NONE, coalesce: false }), 0))
  event(1000)
  expect([event(488), event(489)]).toEqual([['log'], ['event']])
})

test('a response is limited by its encoded length; a refusal for size leaves room for a smaller one (Serf 8.4)', () => {
  const c = core()
  const query = delivered(hear(c, { id: 0x1000_0000 }))
  const room = 1024 - 41 - 'self'.length
  expect(() => c.respond(query, new Uint8Array(room + 1), 0)).toThrow('response exceeds limit of 1024 bytes')
  const [sent] = sentBy(c.respond(query, new Uint8Array(room), 0))
  expect([sent?.body.length, sent?.to, sent?.node]).toEqual([1024, { ip: '10.0.0.9', port: 7946 }, 'asker'])
  expect(() => c.respond(query, NONE, 0)).toThrow('response already sent')
  const late = delivered(hear(c, { id: 2 }))
  expect(() => c.respond(late, NONE, 1001)).toThrow('response is past the deadline')
})

test('a query of our own that is too large is refused, and no clock has moved (Serf 8.1)', () => {
  const c = core(['a'])
  const before = c.queryClock.time()
  expect(() => c.sendQuery({ name: 'q', payload: new Uint8Array(1000) }, 0)).toThrow(
    'query exceeds limit of 1024 bytes',
  )
  expect([c.queryClock.time(), spread(c)]).toEqual([before, []])
})

test('without a timeout the ring has as long as its size needs: 3.2 s up to 9 members, 6.4 s from 10 on (Serf 8.1)', () => {
  for (const [others, timeoutMs] of [
    [0, 3200],
    [8, 3200],
    [9, 6400],
  ] as const) {
    const c = core(Array.from({ length: others }, (_, i) => `m${i}`))
    expect(c.sendQuery({ name: 'q', payload: NONE }, 1000).deadlineMs).toBe(1000 + timeoutMs)
  }
})

test('a timeout of years is sent and taken as 104 days, which is what a number holds exactly', () => {
  const c = core(['a'])
  c.sendQuery({ name: 'q', payload: NONE, timeoutMs: 9.2e12 }, 0)
  expect(spread(c)).toMatchObject([{ type: 'query', timeoutNs: Number.MAX_SAFE_INTEGER }])
  const years = Buffer.from(encodeSerfMessage({ ...asked, timeoutNs: Number.MAX_SAFE_INTEGER }))
  years.fill(0x7f, years.length - 8, years.length - 7) // the last field is the timeout, of eight bytes
  expect(delivered(c.receive(years, 0)).message.timeoutNs).toBe(Number.MAX_SAFE_INTEGER)
})

test('acks and responses count once for each member, by time and id, until the deadline (Serf 8.6)', () => {
  const c = core(['a', 'b'])
  const { ltime, id, deadlineMs } = c.sendQuery({ name: 'q', payload: NONE, wantAck: true, timeoutMs: 1000 }, 0)
  const answer = (response: Partial<QueryResponse>, nowMs = 10) => {
    const whole = { type: 'queryResponse', ltime, id, from: 'a', flags: 0, payload: NONE, ...response } as const
    return c
      .receive(encodeSerfMessage(whole), nowMs)
      .flatMap(e => (e.kind === 'answer' ? [`${e.answer.kind} ${e.answer.from}`] : []))
  }
  expect(answer({})).toEqual(['response a'])
  expect(answer({ payload: Uint8Array.of(1) })).toEqual([])
  expect(answer({ flags: QueryFlag.ack })).toEqual(['ack a'])
  expect(answer({ flags: QueryFlag.ack })).toEqual([])
  expect(answer({ from: 'b', id: id + 1 })).toEqual([])
  expect(answer({ from: 'b', ltime: ltime + 1 })).toEqual([])
  expect(answer({ from: 'b' }, deadlineMs)).toEqual(['response b'])
  expect(kinds(c.tick(deadlineMs))).toContain('answers-end')
  expect(answer({ from: 'b', flags: QueryFlag.ack }, deadlineMs)).toEqual([])
})

test('answers go to the asker, and by way of as many others as it wants, who can relay (Serf 8.5)', () => {
  const relayed = (c: SerfCore, relayFactor: number) => {
    const query = delivered(hear(c, { relayFactor }))
    const [direct, ...relays] = sentBy(c.respond(query, Uint8Array.of(1), 0))
    for (const { body } of relays) {
      const relay = decodeSerfMessage(body) as Relay
      expect([relay.destName, relay.port, Buffer.from(relay.inner)]).toEqual([
        'asker',
        7946,
        Buffer.from(direct?.body ?? []),
      ])
    }
    return relays.map(({ node }) => node).sort()
  }
  expect(relayed(core(['a', 'b', 'c']), 0)).toEqual([])
  expect(relayed(core(['a', 'b']), 2)).toEqual(['a', 'b'])
  expect(relayed(core(['a']), 2)).toEqual([])
  expect(
    relayed(
      core(['a', 'old', 'c'], name => (name === 'old' ? 4 : 5)),
      3,
    ),
  ).toEqual(['a', 'c'])
})

test('internal queries never reach the application: a ping is acked, an unknown one acked and said (Serf 9)', () => {
  const c = core()
  const flags = QueryFlag.ack
  expect(kinds(hear(c, { name: '_serf_ping', flags, id: 1 }))).toEqual(['send', 'internal-query'])
  expect(kinds(hear(c, { name: '_serf_stats', flags, id: 2 }))).toEqual(['send', 'internal-query', 'log'])
  expect(kinds(hear(c, { name: '_serf_conflict', payload: Buffer.from('self'), id: 3 }))).toEqual(['internal-query'])
  expect(kinds(hear(c, { name: '_serf_list-keys', id: 4 }))).toEqual(['internal-query', 'key-query'])
})

test('a list of keys that does not fit is cut, and says how many of how many it shows (Serf 9)', async () => {
  const c = core()
  const keyring = new Keyring(Array.from({ length: 60 }, (_, i) => new Uint8Array(32).fill(i)))
  const bare = { keyring } as unknown as Parameters<typeof answerKeys>[1]
  const query = { ...asked, name: '_serf_list-keys' }
  const payload = (await answerKeys(query, bare, bytes => c.encodeResponse(query, bytes))) as Uint8Array
  expect(c.encodeResponse(query, payload).length).toBeLessThanOrEqual(1024)
  const answer = decodeSerfMessage(payload)
  if (answer.type !== 'keyResponse') throw new Error('not a key response')
  expect([answer.result, answer.keys?.[0]]).toEqual([true, answer.primaryKey])
  expect(answer.message).toBe(`truncated key list response, showing first ${answer.keys?.length} of 60 keys`)
})

test('queries for one node alone share one time of the clock, are not passed on, and their answers are not waited for', () => {
  const c = core(['a'])
  const all = ['_serf_install-key', '_serf_use-key'].map(name => ({ name, payload: NONE }))
  const told = () => c.directQueries(all).map(one => decodeSerfMessage(one) as QueryMessage)
  const [first, second] = [told(), told()]
  expect(first.map(({ flags }) => flags)).toEqual([QueryFlag.noBroadcast, QueryFlag.noBroadcast])
  expect(new Set(first.map(({ id }) => id)).size).toBe(2)
  expect([...first, ...second].map(({ ltime }) => ltime - (first[0]?.ltime ?? 0))).toEqual([0, 0, 1, 1])
  expect(spread(c)).toEqual([])
})

test('of a member that has but a removed key, key queries and relays are not heard: they may be recordings', () => {
  const c = core(['a'])
  const stale = (query: Partial<QueryMessage>) => c.receive(encodeSerfMessage({ ...asked, ...query }), 0, true)
  for (const name of ['_serf_install-key', '_serf_use-key', '_serf_remove-key']) expect(stale({ name })).toEqual([])
  const relay: Relay = {
    type: 'relay',
    addr: Uint8Array.of(10, 0, 0, 3),
    port: 7946,
    zone: '',
    destName: 'x',
    inner: NONE,
  }
  expect(c.receive(encodeSerfMessage({ ...relay, inner: encodeSerfMessage(asked) }), 0, true)).toEqual([])
  expect(spread(c)).toEqual([])
  expect(kinds(stale({ id: 3 }))).toEqual(['query'])
  expect(kinds(hear(c, { name: '_serf_use-key' }))).toContain('key-query') // by who has the present key
})
