import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { seededRandom, type Timer, type Clock } from '../base/index.ts'
import type { Member } from '../memberlist/index.ts'
import { coalesceEvents } from './coalesce.ts'
import { SerfCore, type SerfCoreConfig } from './core.ts'
import type { SerfEffect } from './effects.ts'
import type { SerfEvent } from './events.ts'
import { decodeSerfMessage, encodeSerfMessage, type SerfMessage } from './messages.ts'
import { SnapshotRecord } from './snapshot.ts'
import { encodeTags } from './tags.ts'

const config: SerfCoreConfig = {
  name: 'self',
  retransmitMult: 4,
  gossipIntervalMs: 200,
  reconnectIntervalMs: 30_000,
  reconnectTimeoutMs: 86_400_000,
  tombstoneTimeoutMs: 86_400_000,
  pruneDelayMs: 6000,
  userEventBytesMax: 512,
  queryBytesMax: 1024,
  queryResponseBytesMax: 1024,
}

function member(name: string, last = 1): Member {
  const state = { incarnation: 1, state: 'alive', stateChangedAtMs: 0, vsn: [1, 5, 2, 2, 5, 5] } as const
  return { name, addr: Uint8Array.of(10, 0, 0, last), ip: `10.0.0.${last}`, port: 7946, meta: encodeTags({}), ...state }
}

function core(more: Partial<SerfCoreConfig> = {}, others: string[] = []): SerfCore {
  const made = new SerfCore({ ...config, ...more }, seededRandom(7), 0)
  made.memberChanged('join', member('self'), 0)
  for (const [i, name] of others.entries()) made.memberChanged('join', member(name, i + 2), 0)
  return made
}

const RIVAL = { ip: '10.0.0.9', port: 7946 }
const say = (to: SerfCore, message: SerfMessage, nowMs = 0) => to.receive(encodeSerfMessage(message), nowMs)
const spread = (from: SerfCore) => from.broadcasts(3, 1400).map(decodeSerfMessage)
const kinds = (effects: SerfEffect[]) => effects.map(e => (e.kind === 'event' ? e.event.kind : e.kind))

test('a member that said so has left, one that did not has failed (Serf 5.2)', () => {
  const c = core({}, ['a', 'b'])
  say(c, { type: 'leave', ltime: 5, node: 'a', prune: false })
  expect(c.member('a')?.status).toBe('leaving')
  expect(kinds(c.memberChanged('leave', member('a'), 1))).toEqual(['member-leave'])
  expect(kinds(c.memberChanged('leave', member('b'), 1))).toEqual(['member-failed'])
  expect([c.member('a')?.status, c.member('b')?.status]).toEqual(['left', 'failed'])
})

test('an intent that comes before its member applies when the member comes (Serf 5.6)', () => {
  const c = core()
  say(c, { type: 'leave', ltime: 5, node: 'late', prune: false })
  expect(kinds(c.memberChanged('join', member('late'), 1))).toEqual(['member-join', 'tell'])
  expect(c.member('late')).toMatchObject({ status: 'leaving', statusLTime: 5 })
})

test('who learns of a leave from a list tells its member, which refutes it if it is back', () => {
  const [a, b] = [core({}, ['b']), core({ name: 'b' }, ['b'])]
  const clocks = { ltime: 42, eventLTime: 1, queryLTime: 1 }
  const left = { leftMembers: ['b'], statusLTimes: new Map([['b', 40]]), events: [] }
  const effects = a.mergeState(encodeSerfMessage({ type: 'pushPull', ...clocks, ...left }), false, 0)
  const told = effects.find(effect => effect.kind === 'tell')
  expect([a.member('b')?.status, told?.nodes]).toEqual(['leaving', ['b']])
  // Another list dates the same leave later, as late perhaps as b's join (sim, seed 54): asked again.
  const later = { ...left, statusLTimes: new Map([['b', 41]]) }
  const again = a.mergeState(encodeSerfMessage({ type: 'pushPull', ...clocks, ...later }), false, 0)
  for (const { body } of [...effects, ...again].filter(effect => effect.kind === 'tell')) b.receive(body, 1)
  for (const message of spread(b)) say(a, message)
  expect(a.member('b')?.status).toBe('alive')
})

test('an older intent changes nothing and is not passed on', () => {
  const c = core({}, ['a'])
  say(c, { type: 'join', ltime: 9, node: 'a' })
  spread(c)
  say(c, { type: 'leave', ltime: 9, node: 'a', prune: false })
  expect(c.member('a')?.status).toBe('alive')
  expect(spread(c).filter(m => m.type === 'leave')).toEqual([])
})

test('a leave about ourselves is answered by a join of a later time (Serf 5.4), also one of the same time', () => {
  const c = core({}, ['a'])
  say(c, { type: 'leave', ltime: 9, node: 'self', prune: false })
  expect(spread(c)).toEqual([{ type: 'join', ltime: 10, node: 'self' }])
  say(c, { type: 'leave', ltime: 10, node: 'self', prune: false })
  expect(spread(c)).toContainEqual({ type: 'join', ltime: 11, node: 'self' })
  expect(c.member('self')?.status).toBe('alive')
})

test('who leaves tells some directly, and whoever hears it says so without an event (Serf 5.3)', () => {
  const [a, b] = [core({ name: 'self' }, ['b']), core({ name: 'b' }, ['self'])]
  const effects = a.broadcastLeave('self', 0, { prune: false, tell: ['b'], transmitted: () => {} })
  const told = effects.find(effect => effect.kind === 'tell')
  expect(told?.nodes).toEqual(['b'])
  const heard = b.receive(told?.body ?? new Uint8Array(0), 1)
  expect(heard).toMatchObject([{ kind: 'intent', member: { name: 'self', status: 'leaving' } }])
  expect(say(b, { type: 'join', ltime: 50, node: 'self' }, 2)).toMatchObject([
    { kind: 'intent', member: { status: 'alive' } },
  ])
})

test('a failed member that is forced out has left at once, and with prune is forgotten (Serf 5.7)', () => {
  const c = core({}, ['a', 'b'])
  c.memberChanged('leave', member('b'), 0)
  const effects = c.broadcastLeave('b', 1, { prune: true, tell: [], transmitted: () => {} })
  expect(kinds(effects)).toEqual(['member-leave', 'member-reap'])
  expect(c.member('b')).toBeUndefined()
})

test('failed members are reaped after the reconnect timeout, and tried again until then (Serf 5.8, 5.9)', () => {
  const c = core({ reconnectTimeoutMs: 60_000 }, ['a'])
  c.memberChanged('leave', member('a', 2), 0)
  const greeting = { kind: 'greet', node: 'a', to: { ip: '10.0.0.2', port: 7946 } }
  expect(c.tick(1_000)).toEqual([greeting]) // ours: a ping each second, so that who comes back empty is found at once
  expect(c.tick(30_000)).toEqual([{ kind: 'reconnect', address: 'a/10.0.0.2:7946' }, greeting])
  expect(kinds(c.tick(61_000))).toContain('member-reap')
  expect(c.members().map(m => m.name)).toEqual(['self'])
})

test('a user event is delivered once, also when another shares its time, and not when it is old (Serf 7.2)', () => {
  const c = core()
  const event = (ltime: number, name: string) =>
    kinds(say(c, { type: 'userEvent', ltime, name, payload: new Uint8Array(0), coalesce: false }))
  expect([event(1000, 'x'), event(1000, 'x'), event(1000, 'y')]).toEqual([['user'], [], ['user']])
  expect([event(489, 'edge'), event(488, 'old')]).toEqual([['user'], ['log']])
})

test('a user event over its limit is refused and moves no clock (Serf 7.1)', () => {
  const c = core()
  expect(() => c.sendUserEvent('big', new Uint8Array(600), false)).toThrow('exceeds configured limit of 512 bytes')
  expect(c.stats()['event_time']).toBe('1')
})

test('what one node knows reaches another by push/pull: events, times, who left (Serf 11)', () => {
  const [a, b] = [core({}, ['gone']), core({ name: 'other' }, ['gone'])]
  a.sendUserEvent('deploy', Buffer.from('v1'), true)
  a.broadcastLeave('gone', 0, { prune: false, tell: [], transmitted: () => {} })
  a.memberChanged('leave', member('gone'), 0)
  const effects = b.mergeState(a.localState(), true, 0)
  expect(kinds(effects)).toEqual(['intent', 'tell', 'user'])
  expect(b.member('gone')?.status).toBe('leaving')
  expect(b.eventClock.time()).toBe(a.eventClock.time())
})

test('a join that ignores old events does not deliver them', () => {
  const [a, b] = [core(), core({ name: 'other' })]
  a.sendUserEvent('deploy', Buffer.from('v1'), true)
  b.ignoreOld(true)
  expect(b.mergeState(a.localState(), true, 0)).toEqual([])
})

test('a query is acknowledged, delivered once, answered once, within its deadline (Serf 8)', () => {
  const [asker, answerer] = [core(), core({ name: 'other' })]
  const sent = asker.sendQuery({ name: 'load', payload: Buffer.from('?'), wantAck: true, timeoutMs: 1000 }, 0)
  const [bytes] = asker.broadcasts(3, 1400) as [Uint8Array]
  const effects = answerer.receive(bytes, 0)
  expect([kinds(effects), kinds(answerer.receive(bytes, 0))]).toEqual([['send', 'query'], []])
  const query = effects.find(e => e.kind === 'query')?.query
  if (query === undefined) throw new Error('no query')
  const [answer] = answerer.respond(query, Buffer.from('7'), 500)
  expect(() => answerer.respond(query, Buffer.from('8'), 500)).toThrow('already sent')
  if (answer?.kind !== 'send') throw new Error('no answer')
  expect(asker.receive(answer.body, 600)).toMatchObject([
    { kind: 'answer', answer: { from: 'other', kind: 'response' } },
  ])
  expect(asker.receive(answer.body, 600)).toEqual([])
  expect(asker.tick(1000)).toEqual([{ kind: 'answers-end', ltime: sent.ltime }])
})

test('a member that a query does not mean passes it on and stays silent (Serf 8.2)', () => {
  const [asker, answerer] = [core(), core({ name: 'other' })]
  asker.sendQuery({ name: 'load', payload: new Uint8Array(0), filters: { nodes: ['x'] }, wantAck: true }, 0)
  const [bytes] = asker.broadcasts(3, 1400) as [Uint8Array]
  expect(answerer.receive(bytes, 0)).toEqual([])
  expect(spread(answerer)).toMatchObject([{ type: 'query', name: 'load' }])
})

test('the vote over our name is lost without a majority, and won with one (Serf 10)', () => {
  for (const won of [true, false]) {
    const c = core({}, ['a'])
    c.conflict('self', RIVAL, 0)
    c.rivalAnswered()
    const query = spread(c).find(m => m.type === 'query')
    if (query?.type !== 'query') throw new Error('no vote')
    const claim = { name: 'self', addr: Uint8Array.of(10, 0, 0, won ? 1 : 9), port: 7946, tags: {}, status: 1 }
    const response = { type: 'conflictResponse', member: { ...claim, versions: [1, 5, 2, 2, 5, 5] } } as const
    const { ltime, id } = query
    const payload = encodeSerfMessage(response)
    say(c, { type: 'queryResponse', ltime, id, from: 'a', flags: 0, payload })
    expect(kinds(c.tick(10_000))).toEqual(won ? ['answers-end'] : ['answers-end', 'conflict-lost'])
  }
})

test('a vote against a shadow is not lost: others still hold the dead one that had our name', () => {
  const c = core({}, ['a'])
  c.conflict('self', RIVAL, 0)
  const query = spread(c).find(m => m.type === 'query')
  if (query?.type !== 'query') throw new Error('no vote')
  const claim = { name: 'self', addr: Uint8Array.of(10, 0, 0, 9), port: 7946, tags: {}, status: 1 }
  const response = { type: 'conflictResponse', member: { ...claim, versions: [1, 5, 2, 2, 5, 5] } } as const
  const { ltime, id } = query
  say(c, { type: 'queryResponse', ltime, id, from: 'a', flags: 0, payload: encodeSerfMessage(response) })
  expect(kinds(c.tick(10_000))).toEqual(['answers-end', 'log'])
})

test('a vote in which nobody voted is not lost, and is not held again and again', () => {
  const c = core()
  expect(kinds(c.conflict('self', RIVAL, 0))).toContain('log')
  expect(kinds(c.tick(10_000))).toEqual(['answers-end', 'log'])
  expect(c.conflict('self', RIVAL, 20_000)).toEqual([])
  expect(kinds(c.conflict('self', RIVAL, 41_000))).toContain('log')
})

test('a relay is passed on untouched, whatever is in it (Serf 3.6)', () => {
  const inner = Uint8Array.of(5, 0xff)
  const relay = { type: 'relay', addr: Uint8Array.of(10, 0, 0, 9), port: 7946, zone: '', destName: 'x', inner } as const
  expect(say(core(), relay)).toEqual([{ kind: 'send', to: { ip: '10.0.0.9', port: 7946 }, node: 'x', body: inner }])
})

test('garbage is a sentence in the log, never an exception', () => {
  const c = core({}, ['a'])
  const random = seededRandom(3)
  for (let n = 0; n < 3000; n++) {
    const body = random.bytes(random.below(60))
    if (body.length > 1) body[0] = n % 10
    c.receive(body, n)
    c.mergeState(body, n % 2 === 0, n)
  }
  expect(c.members()).toHaveLength(2)
})

test('a snapshot replays to who was alive, and a leave forgets them unless told to rejoin (Serf 14)', () => {
  const text =
    'alive: a b 10.0.0.1:7946\nalive: c 10.0.0.2:7946\nnot-alive: c\nclock: 7\n???\nevent-clock: 3\nalive: half'
  const record = new SnapshotRecord(false)
  expect(record.replay(text)).toBe(1)
  expect([...record.nodes]).toEqual([['a b', '10.0.0.1:7946']])
  expect(record.clocks).toEqual({ clock: 7, eventClock: 3, queryClock: 0 })
  record.replay('leave\n')
  expect([...record.nodes]).toEqual([])
  const rejoining = new SnapshotRecord(true)
  rejoining.replay(`${text}\nleave\n`)
  expect([...rejoining.nodes.keys()]).toContain('a b')
})

for (const name of ['snapshot-running', 'snapshot-after-leave', 'snapshot-just-compacted']) {
  test(`the recorded ${name} replays without a doubtful line, to the peers and clocks that its lines leave`, () => {
    const file = new URL('../../test/vectors/serf.json', import.meta.url)
    const vectors = JSON.parse(readFileSync(file, 'utf8')) as {
      name: string
      hex: string
      decoded: { lines: string[] }
    }[]
    const { hex, decoded } = vectors.find(vector => vector.name === name) as (typeof vectors)[number]
    const record = new SnapshotRecord(false)
    expect(record.replay(Buffer.from(hex, 'hex').toString())).toBe(0)
    const afterLeave = decoded.lines.slice(decoded.lines.lastIndexOf('leave') + 1)
    const last = (key: string) => Number(afterLeave.findLast(line => line.startsWith(`${key}: `))?.split(' ')[1] ?? 0)
    expect(record.clocks).toEqual({
      clock: last('clock'),
      eventClock: last('event-clock'),
      queryClock: last('query-clock'),
    })
    const alive = new Map<string, string>()
    for (const line of afterLeave) {
      const [key, node = '', address = ''] = line.split(' ')
      if (key === 'alive:') alive.set(node, address)
      if (key === 'not-alive:') alive.delete(node)
    }
    expect(Object.fromEntries(record.nodes)).toEqual(Object.fromEntries(alive))
    if (name === 'snapshot-just-compacted') expect(Buffer.from(record.compacted()).toString('hex')).toBe(hex)
  })
}

test('a compacted snapshot replays to the same; a name cannot write lines of its own', () => {
  const record = new SnapshotRecord(false)
  const [c] = [core({}, ['a', 'x\nleave'])]
  for (const m of c.members()) record.record({ kind: 'member-join', members: [m] })
  const again = new SnapshotRecord(false)
  expect(again.replay(record.compacted())).toBe(0)
  expect([...again.nodes.keys()]).toEqual(['self', 'a'])
})

/** A clock whose timers are called by hand. */
function handClock() {
  const timers: { atMs: number; fn: () => void }[] = []
  const clock: Clock = {
    nowMs: () => 0,
    wallMs: () => 0,
    after: (atMs, fn): Timer => {
      const timer = { atMs, fn }
      timers.push(timer)
      return { cancel: () => void timers.splice(timers.indexOf(timer), 1) }
    },
  }
  return { clock, timers }
}

test('member events are held for a quiet second and grouped by kind; queries are not held (Serf 13)', () => {
  const { clock, timers } = handClock()
  const told: SerfEvent[] = []
  const listener = coalesceEvents(event => told.push(event), clock)
  const [a, b] = core({}, ['a', 'b']).members().slice(1) as [never, never]
  listener({ kind: 'member-join', members: [a] })
  listener({ kind: 'member-join', members: [b] })
  listener({ kind: 'user', name: 'now', payload: new Uint8Array(0), ltime: 1, coalesce: false })
  expect(told.map(event => event.kind)).toEqual(['user'])
  expect(timers.map(timer => timer.atMs)).toEqual([3000, 1000])
  timers[1]?.fn()
  expect(told[1]).toEqual({ kind: 'member-join', members: [a, b] })
  expect(timers).toEqual([])
})

test('a ping that is answered moves our coordinate; a reaped member is forgotten with its own (Serf 16)', () => {
  const [c, peer] = [core({ tombstoneTimeoutMs: 1000 }, ['a']), core()]
  expect(c.coordinate('self')).toEqual(peer.coordinate('self'))
  expect([c.coordinate('a'), c.coordinate('nobody')]).toEqual([undefined, undefined])
  expect(c.pingDone('a', 60, peer.ackPayload())).toEqual([])
  expect(c.coordinate('a')).toEqual(peer.coordinate('self'))
  expect(c.coordinate('self')?.error).toBeLessThan(1.5)
  expect(c.stats()).toMatchObject({ coordinate_resets: '0' })
  say(c, { type: 'leave', ltime: 5, node: 'a', prune: false })
  c.memberChanged('leave', member('a', 2), 1)
  c.tick(20_000)
  expect([c.member('a'), c.coordinate('a')]).toEqual([undefined, undefined])
})

test('a pruned member is forgotten with its coordinate; a payload that is none is said and changes nothing', () => {
  const c = core({}, ['a'])
  c.pingDone('a', 60, core().ackPayload())
  const before = c.coordinate('self')
  expect(kinds(c.pingDone('a', 60, Uint8Array.of(2, 0x80)))).toEqual(['log'])
  expect(kinds(c.pingDone('a', 60, Uint8Array.of(1, 0xc1)))).toEqual(['log'])
  expect(c.pingDone('a', 60, undefined)).toEqual([])
  expect(c.pingDone('stranger', 60, core().ackPayload())).toEqual([])
  expect([c.coordinate('self'), c.coordinate('stranger')]).toEqual([before, undefined])
  c.memberChanged('leave', member('a', 2), 1)
  say(c, { type: 'leave', ltime: 5, node: 'a', prune: true })
  expect([c.member('a'), c.coordinate('a')]).toEqual([undefined, undefined])
})

test('with coordinates disabled acks carry nothing and nothing is kept', () => {
  const c = core({ disableCoordinates: true }, ['a'])
  expect(c.ackPayload()).toBeUndefined()
  expect(c.pingDone('a', 60, core().ackPayload())).toEqual([])
  expect([c.coordinate('self'), c.stats()['coordinate_resets']]).toEqual([undefined, undefined])
})

test('where every event is kept, who left and came back within the second has done both, in that order (serf#393)', () => {
  const { clock, timers } = handClock()
  const told: SerfEvent[] = []
  const listener = coalesceEvents(event => told.push(event), clock, { keepsAll: true })
  const [a, b] = core({}, ['a', 'b']).members().slice(1) as [never, never]
  for (const member of [a, b]) listener({ kind: 'member-leave', members: [member] })
  for (const member of [a, b]) listener({ kind: 'member-join', members: [member] })
  listener({ kind: 'member-leave', members: [a] })
  timers.at(-1)?.fn()
  expect(told).toEqual([
    { kind: 'member-leave', members: [a, b] },
    { kind: 'member-join', members: [a, b] },
    { kind: 'member-leave', members: [a] },
  ])
})

test('another node that claims our name is voted on, unless conflicts are not to be resolved (Serf 10)', () => {
  const claimed = (c: SerfCore) => {
    const effects = c.conflict('self', RIVAL, 0)
    return [spread(c).map(m => m.type === 'query' && m.name), kinds(effects)[0]]
  }
  expect(claimed(core({}, ['a']))).toEqual([['_serf_conflict'], 'log'])
  expect(claimed(core({ resolveConflicts: false }, ['a']))).toEqual([[], 'log'])
})

test('a member that comes and goes is held back, longer each time, and counts again once it has stayed (serf#269)', () => {
  const c = core({}, ['a', 'b'])
  let nowMs = 0
  const flap = (): string[] => {
    const gone = kinds(c.memberChanged('leave', member('a', 2), nowMs))
    nowMs += 2_000
    return [...gone, ...kinds(c.memberChanged('join', member('a', 2), nowMs))]
  }
  for (let i = 0; i < 3; i++) expect(flap()).toEqual(['member-failed', 'member-join'])
  expect(flap()).toEqual(['member-failed', 'log', 'intent'])
  expect(c.member('a')).toMatchObject({ status: 'failed', held: true, flaps: 3 })
  expect(kinds(c.tick(nowMs + 4_000))).not.toContain('member-join')
  expect(kinds(c.tick(nowMs + 4_000))).not.toContain('greet') // it is there
  expect(flap()).toEqual(['intent', 'log', 'intent']) // meanwhile: nobody's handlers run
  expect(kinds(c.tick(nowMs + 9_900))).not.toContain('member-join') // twice as long now
  expect(kinds(c.tick(nowMs + 10_000))).toContain('member-join')
  expect(c.member('a')).toMatchObject({ status: 'alive', held: false })
  c.tick(nowMs + 30 * 60_000)
  expect(c.member('a')?.flaps).toBeUndefined()
})
