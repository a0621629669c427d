import { expect, test } from 'vitest'
import { type Address, ipToBytes, seededRandom } from '../base/index.ts'
import type { Effect, Host } from './effects.ts'
import { META_BYTES_MAX } from './member.ts'
import type { Alive, PacketMessage, PushNode, Versions } from './messages.ts'
import { PROFILES, type Timing } from './profiles.ts'
import { pushPullScale, Swim } from './swim.ts'
import { decodeMessage } from './wire/decode.ts'
import { encodeMessage } from './wire/encode.ts'

const vsn: Versions = [1, 5, 2, 2, 5, 5]
const meta = Uint8Array.of(0xff, 0x80)
const host: Host = {
  ackPayload: () => undefined,
  broadcasts: () => [],
  queued: () => 0,
  localState: () => new Uint8Array(0),
}

const bytesOf = (ip: string) => ipToBytes(ip) ?? new Uint8Array(0)
const addressOf = (number: number): Address => ({ ip: `10.0.0.${number}`, port: 7946 })

/** Our core, `us` at 10.0.0.1, and a hand that plays the ring: m2, m3, … at 10.0.0.2, 10.0.0.3, … */
class Bench {
  readonly swim: Swim
  nowMs = 0
  effects: Effect[] = []

  constructor(members = 1, timing: Partial<Timing> = {}, more: { membersMax?: number; host?: Partial<Host> } = {}) {
    const own = { name: 'us', addr: bytesOf('10.0.0.1'), port: 7946, meta, vsn }
    const config = { ...PROFILES.lan, ...timing, ...own, packetOverheadBytes: 0, membersMax: more.membersMax ?? 100 }
    this.swim = new Swim(config, { random: seededRandom(1), host: { ...host, ...more.host } }, 0)
    for (let number = 2; number <= members; number++) this.hear(alive(number))
  }

  hear(message: PacketMessage, from = addressOf(9)): Effect[] {
    return this.#keep(this.swim.receive([encodeMessage(message)], from, this.nowMs))
  }

  merge(...nodes: PushNode[]) {
    const merged = this.swim.merge({ type: 'pushPull', join: true, nodes, userState: new Uint8Array(0) }, this.nowMs)
    this.#keep(merged.effects)
    return merged
  }

  run(forMs: number): Effect[] {
    const untilMs = this.nowMs + forMs
    const all: Effect[] = []
    for (let due = this.swim.nextTickMs(); due !== undefined && due <= untilMs; due = this.swim.nextTickMs()) {
      this.nowMs = due
      all.push(...this.#keep(this.swim.tick(due)))
    }
    this.nowMs = untilMs
    return all
  }

  state(name: string) {
    return this.swim.member(name)?.state
  }

  #keep(effects: Effect[]): Effect[] {
    this.effects.push(...effects)
    return effects
  }
}

function alive(number: number, more: Partial<Alive> = {}): Alive {
  const addr = bytesOf(`10.0.0.${number}`)
  return { type: 'alive', incarnation: 1, node: `m${number}`, addr, port: 7946, meta, vsn, vsnBytes: 6, ...more }
}

function entry(number: number, state: number, more: Partial<PushNode> = {}): PushNode {
  const addr = bytesOf(`10.0.0.${number}`)
  return { name: `m${number}`, addr, port: 7946, meta, incarnation: 1, state, vsn, vsnBytes: 6, ...more }
}

const sent = (effects: readonly Effect[]) =>
  effects.flatMap(effect =>
    effect.kind === 'send' ? [{ to: effect.to, messages: effect.parts.map(decodeMessage) }] : [],
  )
const messages = (effects: readonly Effect[]) => sent(effects).flatMap(packet => packet.messages)
const changes = (effects: readonly Effect[]) =>
  effects.flatMap(effect => (effect.kind === 'changed' ? [`${effect.change} ${effect.member.name}`] : []))
const dead = (node: string, from: string, incarnation = 1) => ({ type: 'dead', node, from, incarnation }) as const
const suspect = (node: string, from: string, incarnation = 1) => ({ type: 'suspect', node, from, incarnation }) as const

test('a new alive joins, a newer one with other meta updates, and a stale one is nothing (6.2)', () => {
  const bench = new Bench()
  expect(changes(bench.hear(alive(2)))).toEqual(['join us', 'join m2'])
  expect(changes(bench.hear(alive(2, { meta: Uint8Array.of(1) })))).toEqual([])
  expect(changes(bench.hear(alive(2, { meta: Uint8Array.of(1), incarnation: 2 })))).toEqual(['update m2'])
  expect(changes(bench.hear(alive(2, { incarnation: 1 })))).toEqual([])
})

test('another address for a living name is a conflict: nothing changes, nothing is passed on (6.2)', () => {
  const bench = new Bench(2)
  const effects = bench.hear(alive(2, { addr: bytesOf('10.0.0.77'), incarnation: 9 }))
  expect(effects).toMatchObject([
    { kind: 'conflict', existing: { name: 'm2' }, other: { ip: '10.0.0.77', port: 7946 } },
  ])
  expect(bench.swim.member('m2')).toMatchObject({ ip: '10.0.0.2', incarnation: 1 })
})

test('the 16-byte form of an IPv4 address is a different address (5)', () => {
  const bench = new Bench(2)
  const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 2)
  expect(bench.hear(alive(2, { addr: mapped, incarnation: 2 }))[0]?.kind).toBe('conflict')
})

test('who left may return elsewhere at once, even with an old incarnation, and so may who died (6.2; Serf waits a day)', () => {
  const bench = new Bench(3)
  bench.hear(dead('m2', 'm2'))
  expect(changes(bench.hear(alive(2, { addr: bytesOf('10.0.0.77'), incarnation: 1 })))).toEqual(['join m2'])
  bench.hear(dead('m3', 'm2'))
  expect(changes(bench.hear(alive(3, { addr: bytesOf('10.0.0.78'), incarnation: 1 })))).toEqual(['join m3'])
})

test('a name whose holder fails the probe that the claim calls for goes to the claimant', () => {
  const bench = new Bench(3)
  expect(bench.hear(alive(2, { addr: bytesOf('10.0.0.77'), incarnation: 1 }))[0]?.kind).toBe('conflict')
  const effects = bench.run(4000) // nobody answers here
  expect(bench.swim.member('m2')).toMatchObject({ ip: '10.0.0.77', state: 'alive' })
  expect(messages(effects)).toContainEqual(expect.objectContaining({ type: 'alive', node: 'm2' }))
})

test('a name whose holder answers that probe stays, also when others suspect it: a thief gets nothing', () => {
  const bench = new Bench(2)
  bench.hear(alive(2, { addr: bytesOf('10.0.0.77'), incarnation: 9 }))
  let probe: PacketMessage | undefined
  while (probe === undefined) probe = messages(bench.run(50)).find(message => message.type === 'ping')
  if (probe.type !== 'ping') throw new Error('the holder is not probed')
  bench.hear({ type: 'ack', seqNo: probe.seqNo, payload: undefined })
  bench.hear({ type: 'suspect', incarnation: 1, node: 'm2', from: 'm9' })
  bench.hear(alive(2, { addr: bytesOf('10.0.0.77'), incarnation: 9 }))
  expect(bench.swim.member('m2')).toMatchObject({ ip: '10.0.0.2', incarnation: 1 })
})

test('an alive with broken versions, a long meta, no name or no address is refused and counted', () => {
  const bench = new Bench()
  const bad: Partial<Alive>[] = [
    { vsn: [0, 5, 2, 2, 5, 5] },
    { vsn: [3, 2, 2, 2, 5, 5] },
    { meta: new Uint8Array(META_BYTES_MAX + 1) },
    { node: '' },
    { addr: new Uint8Array(5) },
  ]
  for (const more of bad) bench.hear(alive(2, more))
  expect(bench.swim.counters.aliveRefused).toBe(bad.length)
  expect(bench.swim.size).toBe(1)
})

test('the list is bounded: a flood of names is refused', () => {
  const bench = new Bench(1, {}, { membersMax: 3 })
  for (let number = 2; number < 50; number++) bench.hear(alive(number))
  expect([bench.swim.size, bench.swim.counters.membersRefused]).toEqual([3, 46])
})

test('accused of being suspect or dead, we refute with an incarnation above the accusation (6.5)', () => {
  const bench = new Bench(2)
  bench.hear(suspect('us', 'm2', 100))
  expect(bench.swim.local).toMatchObject({ state: 'alive', incarnation: 101 })
  bench.hear(dead('us', 'm2', 200))
  expect(bench.swim.local.incarnation).toBe(201)
  expect(bench.swim.healthScore).toBe(2)
  expect(messages(bench.run(1000))).toContainEqual(expect.objectContaining({ node: 'us', incarnation: 201 }))
})

test('an alive about us that we did not send is refuted, our own echo is not (6.2)', () => {
  const bench = new Bench(2)
  const own = { node: 'us', addr: bytesOf('10.0.0.1') }
  bench.hear(alive(1, own))
  expect(bench.swim.local.incarnation).toBe(1)
  bench.hear(alive(1, { ...own, meta: Uint8Array.of(1), incarnation: 7 }))
  expect(bench.swim.local).toMatchObject({ incarnation: 8, meta })
})

test('a suspect that stays silent is dead after the time the formula gives (6.6)', () => {
  const bench = new Bench(3, { probeIntervalMs: 1000 })
  bench.hear(suspect('m2', 'm9'))
  expect(bench.state('m2')).toBe('suspect')
  bench.run(3900)
  expect(bench.state('m2')).toBe('suspect')
  expect(changes(bench.run(200))).toEqual(['leave m2'])
  expect(bench.state('m2')).toBe('dead')
})

test('how long a suspect was waited for is logged in whole milliseconds', () => {
  const bench = new Bench(3, { probeIntervalMs: 1000 })
  bench.hear(suspect('m2', 'm9'))
  bench.run(3900)
  const logs = bench.swim.tick(4001.351).flatMap(effect => (effect.kind === 'log' ? [effect] : []))
  expect(logs).toContainEqual(expect.objectContaining({ fields: { member: 'm2', afterMs: 4001 } }))
})

test('confirmations shorten a suspicion, and only independent ones are passed on (6.6)', () => {
  const bench = new Bench(13, { probeIntervalMs: 1000, gossipIntervalMs: 1e6 })
  bench.hear(suspect('m2', 'm3'))
  bench.hear(suspect('m2', 'm3')) // the accuser again: not independent
  bench.run(12_000)
  expect(bench.state('m2')).toBe('suspect')
  bench.hear(suspect('m2', 'm4'))
  bench.hear(suspect('m2', 'm5'))
  bench.run(1)
  expect(bench.state('m2')).toBe('dead') // the two wanted: the minimum of 4.452 s is long past
})

test('a confirmation that finds the shortened time long past buries, and is no suspension of ours', () => {
  const bench = new Bench(13, { probeIntervalMs: 1e6, gossipIntervalMs: 1e6 })
  bench.hear(suspect('m2', 'm3'))
  bench.run(20e6) // the minimum of 4.452 probe intervals has passed, the maximum has not
  bench.hear(suspect('m2', 'm4'))
  bench.hear(suspect('m2', 'm5'))
  expect(bench.swim.nextTickMs()).toBe(bench.nowMs)
  bench.run(0)
  expect([bench.state('m2'), bench.swim.counters.suspensions]).toEqual(['dead', 0])
})

test('a suspect that speaks up in time is alive again, without an event (6.2)', () => {
  const bench = new Bench(3)
  bench.hear(suspect('m2', 'm3'))
  expect(changes(bench.hear(alive(2, { incarnation: 2 })))).toEqual([])
  expect(bench.state('m2')).toBe('alive')
})

test('a ping is acked to the source it names, else to the socket; one for another name is not (6.7)', () => {
  const bench = new Bench(2)
  const source = { sourceAddr: bytesOf('10.0.0.2'), sourcePort: 7000, sourceNode: 'm2' }
  const [named] = sent(bench.hear({ type: 'ping', seqNo: 5, node: 'us', ...source }))
  expect(named?.to).toEqual({ ip: '10.0.0.2', port: 7000 })
  expect(named?.messages[0]).toMatchObject({ type: 'ack', seqNo: 5 })
  const [bare] = sent(bench.hear({ type: 'ping', seqNo: 6, node: '' }, addressOf(8)))
  expect(bare?.to).toEqual(addressOf(8))
  expect(bench.hear({ type: 'ping', seqNo: 7, node: 'other' })).toEqual([])
})

test('a stranger that pings us is asked for its list, at most once a second', () => {
  const bench = new Bench()
  const ping = { type: 'ping', seqNo: 1, node: 'us', sourceAddr: bytesOf('10.0.0.7'), sourcePort: 7946 } as const
  const asked = () =>
    bench.hear({ ...ping, sourceNode: 'm7' }).filter(({ kind }) => kind === 'push-pull' || kind === 'unknown-ping')
  expect(asked()).toMatchObject([{ kind: 'unknown-ping' }, { kind: 'push-pull', peer: addressOf(7), node: 'm7' }])
  expect(asked()).toEqual([])
  bench.run(1000)
  expect(asked()).toHaveLength(2)
})

test('an unanswered probe asks others and a stream, then suspects (6.7)', () => {
  const bench = new Bench(3, { gossipIntervalMs: 1e6 })
  const effects = bench.run(4000)
  const kinds = messages(effects).map(({ type }) => type)
  expect(kinds).toContain('ping')
  expect(kinds).toContain('indirectPing')
  expect(effects.some(({ kind }) => kind === 'stream-ping')).toBe(true)
  expect([bench.state('m2'), bench.state('m3')]).toContain('suspect')
  expect(bench.swim.healthScore).toBeGreaterThan(0)
})

test('a direct ack in time gives the round trip and the payload to the host (6.7)', () => {
  const bench = new Bench(2)
  let ping: PacketMessage | undefined
  while (ping === undefined) ping = messages(bench.run(50)).find(({ type }) => type === 'ping')
  if (ping.type !== 'ping') throw new Error('not a ping')
  const done = bench.hear({ type: 'ack', seqNo: ping.seqNo, payload: Uint8Array.of(1) })
  expect(done.find(({ kind }) => kind === 'ping-done')).toMatchObject({
    member: { name: 'm2' },
    payload: Uint8Array.of(1),
  })
  expect(bench.hear({ type: 'ack', seqNo: ping.seqNo, payload: undefined })).toEqual([]) // used once
})

test('a suspect hears the accusation with the very next ping (Lifeguard, buddy system)', () => {
  const bench = new Bench(2, { gossipIntervalMs: 1e6 })
  bench.hear(suspect('m2', 'm9'))
  const probe = sent(bench.run(2000)).find(({ messages: [first] }) => first?.type === 'ping')
  expect(probe?.messages).toMatchObject([{ type: 'ping' }, { type: 'suspect', node: 'm2', from: 'us' }])
  expect(probe?.messages).toHaveLength(2)
})

test('we ping on behalf of others, and say so when nothing comes back (6.7)', () => {
  const bench = new Bench(3, { probeIntervalMs: 1e6, gossipIntervalMs: 1e6 })
  const source = { sourceAddr: bytesOf('10.0.0.3'), sourcePort: 7946, sourceNode: 'm3' }
  const request = { type: 'indirectPing', seqNo: 42, target: bytesOf('10.0.0.2'), port: 7946, node: 'm2' } as const
  const ask = () => messages(bench.hear({ ...request, nack: true, ...source })).find(({ type }) => type === 'ping')
  const ping = ask()
  if (ping?.type !== 'ping') throw new Error('the target was not pinged')
  const relayed = sent(bench.hear({ type: 'ack', seqNo: ping.seqNo, payload: Uint8Array.of(9) }))
  expect(relayed[0]?.to).toEqual(addressOf(3))
  expect(relayed[0]?.messages[0]).toMatchObject({ type: 'ack', seqNo: 42 })
  ask()
  expect(messages(bench.run(500))).toContainEqual({ type: 'nack', seqNo: 42 })
})

test('a death heard in a push/pull is only a suspicion, a leave is a leave, and about us it is refuted (6.11)', () => {
  const bench = new Bench(3)
  const us = { name: 'us', addr: bytesOf('10.0.0.1') }
  bench.merge(entry(2, 2), entry(3, 3), entry(4, 0), entry(1, 2, { ...us, incarnation: 5 }))
  expect(['m2', 'm3', 'm4', 'us'].map(name => bench.state(name))).toEqual(['suspect', 'left', 'alive', 'alive'])
  expect(bench.swim.local.incarnation).toBe(6)
})

test('a list whose members speak no common version is refused whole, in memberlist’s words (6.12)', () => {
  const bench = new Bench()
  const { refused } = bench.merge(entry(2, 0), entry(3, 0, { vsn: [1, 5, 2, 0, 0, 0] }))
  expect(refused).toBe("Node 'm2' delegate protocol version (5) is incompatible: [2, 0]")
  expect(bench.swim.size).toBe(1)
})

test('an entry without versions bars nobody, and is not adopted', () => {
  const bench = new Bench()
  expect(bench.merge(entry(2, 0), entry(3, 0, { vsn: undefined, vsnBytes: 0 })).refused).toBeUndefined()
  expect([bench.state('m2'), bench.state('m3')]).toEqual(['alive', undefined])
})

test('the dead are gossiped to for a while, then forgotten; the left never are (6.9, 6.10)', () => {
  const bench = new Bench(3, { probeIntervalMs: 500 })
  bench.hear(dead('m2', 'm9'))
  bench.hear(dead('m3', 'm3'))
  const to = sent(bench.run(1000)).map(packet => packet.to.ip)
  expect(to).toContain('10.0.0.2')
  expect(to).not.toContain('10.0.0.3')
  bench.run(40_000)
  expect(bench.swim.size).toBe(1)
})

test('each broadcast is sent four times in a ring below ten (6.10)', () => {
  const bench = new Bench(3, { probeIntervalMs: 1e6 })
  bench.run(5000)
  bench.hear(suspect('m2', 'm9'))
  const told = messages(bench.run(3000)).filter(({ type }) => type === 'suspect')
  expect(told).toHaveLength(4)
})

test('new meta goes out at once to those told, again after 30, 90 and 200 ms, until acked', () => {
  const bench = new Bench(3, { probeIntervalMs: 1e6, gossipIntervalMs: 1e6 })
  const first = sent(bench.swim.updateMeta(Uint8Array.of(1), ['m2', 'nobody'], 1, bench.nowMs))
  expect(first).toMatchObject([{ to: addressOf(2), messages: [{ type: 'ping' }, { node: 'us', incarnation: 2 }] }])
  expect([30, 60, 110].map(forMs => sent(bench.run(forMs)).length)).toEqual([1, 1, 1])
  const again = sent(bench.swim.updateMeta(Uint8Array.of(2), ['m3'], 2, bench.nowMs))
  const ping = again[0]?.messages[0]
  if (ping?.type !== 'ping') throw new Error('no ping before the alive')
  bench.hear({ type: 'ack', seqNo: ping.seqNo, payload: undefined })
  expect(sent(bench.run(1000))).toEqual([])
})

test('an update ends when it was sent often enough, or at once when nobody else is there (6.13)', () => {
  const alone = new Bench()
  expect(alone.swim.updateMeta(Uint8Array.of(1), [], 7, 0)).toContainEqual({ kind: 'announced', ticket: 7 })
  const bench = new Bench(3)
  const now = bench.swim.updateMeta(Uint8Array.of(1), [], 8, 0)
  expect(now.some(({ kind }) => kind === 'announced')).toBe(false)
  expect(bench.run(3000)).toContainEqual({ kind: 'announced', ticket: 8 })
})

test('leaving spreads the word, refutes nothing more, and still answers pings (6.14)', () => {
  const bench = new Bench(3)
  bench.swim.leave(0)
  expect(bench.run(3000)).toContainEqual({ kind: 'left' })
  bench.hear(dead('us', 'm2', 50))
  expect(bench.swim.local).toMatchObject({ state: 'left', incarnation: 1 })
  expect(messages(bench.hear({ type: 'ping', seqNo: 1, node: 'us' }))[0]).toMatchObject({ type: 'ack' })
})

test('after a suspension of a minute nobody is accused: every deadline has what it had left', () => {
  const bench = new Bench(5)
  const probes = messages(bench.run(1900)).filter(({ type }) => type === 'ping')
  expect(probes.length).toBeGreaterThan(0)
  bench.nowMs += 60_000
  const late = bench.swim.tick(bench.nowMs)
  expect(bench.swim.counters.suspensions).toBe(1)
  expect(messages(late).filter(({ type }) => type === 'suspect' || type === 'dead')).toEqual([])
  expect(bench.swim.aliveCount()).toBe(5)
})

test('garbage is counted and dropped, whatever its bytes', () => {
  const bench = new Bench()
  const random = seededRandom(9041)
  for (let round = 0; round < 2000; round++) bench.swim.receive([random.bytes(random.below(60))], addressOf(9), 0)
  expect(bench.swim.counters.partsRefused).toBeGreaterThan(1900)
  expect(bench.swim.size).toBe(1)
})

test('large rings exchange lists more seldom (6.11)', () => {
  expect([1, 32, 33, 64, 65, 128].map(pushPullScale)).toEqual([1, 1, 2, 2, 3, 3])
})

test('gossip rests while there is nothing to say, and keeps its beat of 200 ms when there is again', () => {
  const bench = new Bench(3, { probeIntervalMs: 3_600_000, pushPullIntervalMs: 3_600_000 })
  const gossipTimes = (forMs: number) => {
    const times: number[] = []
    const untilMs = bench.nowMs + forMs
    for (let due = bench.swim.nextTickMs(); due !== undefined && due <= untilMs; due = bench.swim.nextTickMs()) {
      bench.nowMs = due
      if (sent(bench.swim.tick(due)).length > 0) times.push(due)
    }
    bench.nowMs = untilMs
    return times
  }
  const before = gossipTimes(10_000)
  expect(before.length).toBeGreaterThan(0)
  expect(bench.swim.nextTickMs()).toBeGreaterThan(3_600_000)
  bench.nowMs += 1_234
  bench.swim.updateMeta(Uint8Array.of(1), [], 1, bench.nowMs)
  const after = gossipTimes(10_000)
  const beat = (times: readonly number[]) => Math.round((times[0] ?? 0) % 200)
  expect(after[0]).toBeLessThanOrEqual(11_434)
  expect(beat(after)).toBe(beat(before))
})

test('what the host queues is gossiped with the next beat', () => {
  const waiting: Uint8Array[] = []
  const more = { queued: () => waiting.length, broadcasts: () => waiting.splice(0) }
  const bench = new Bench(2, { probeIntervalMs: 3_600_000, pushPullIntervalMs: 3_600_000 }, { host: more })
  bench.run(10_000)
  waiting.push(Uint8Array.of(7))
  bench.swim.hostQueued(bench.nowMs)
  const [packet] = sent(bench.run(200))
  expect(packet?.messages).toContainEqual({ type: 'user', body: Uint8Array.of(7) })
})

test('news reaches the living before its few transmissions are used up on the dead, in any order of the draw', () => {
  const bench = new Bench(4, { retransmitMult: 2, probeIntervalMs: 1e6 })
  bench.run(10_000) // what was said of the members is over
  for (const node of ['m2', 'm3']) bench.hear(dead(node, 'm4'))
  bench.run(10_000)
  for (let round = 0; round < 20; round++) {
    bench.nowMs += 100
    bench.effects = bench.swim.updateMeta(Uint8Array.of(round), [], round, bench.nowMs)
    const told = sent([...bench.effects, ...bench.run(2_000)]).filter(packet =>
      packet.messages.some(message => message.type === 'alive' && message.node === 'us'),
    )
    expect(told[0]?.to).toEqual(addressOf(4))
  }
})

test('a member that is visited gets a ping at once, and nothing follows from its ack', () => {
  const bench = new Bench(3, { probeIntervalMs: 3_600_000, pushPullIntervalMs: 3_600_000 })
  bench.run(10_000)
  const [packet] = sent(bench.swim.visit('m2', bench.nowMs))
  expect(packet?.to).toEqual(addressOf(2))
  const ping = packet?.messages.find(message => message.type === 'ping')
  if (ping?.type !== 'ping') throw new Error('no ping')
  expect(bench.hear({ type: 'ack', seqNo: ping.seqNo, payload: undefined })).toEqual([])
  expect(bench.swim.visit('nobody', bench.nowMs)).toEqual([])
})
