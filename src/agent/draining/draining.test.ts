import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { reasonFault } from '../../api/index.ts'
import type { BalancerStatus, Leftover, Server } from '../../balancer/index.ts'
import { type Clock, silentLog, systemClock } from '../../base/index.ts'
import type { Engine, QueryAnswer, QueryEvent, SerfEvent, SerfMember } from '../../serf/index.ts'
import { VirtualClock } from '../../testing/index.ts'
import { assertReason, Drains } from './draining.ts'
import { type DrainedBalancer, HeldDrains } from './draining-balancer.ts'
import { DrainsFile } from '../drivers/drains-file.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'draining-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A ring whose queries reach every balancer that is there, and the balancers' own pools. */
class FakeRing {
  readonly names: string[]
  /** Balancers that are alive and answer nothing. */
  readonly frozen = new Set<string>()
  queries = 0
  readonly #listeners = new Map<string, (event: SerfEvent) => void>()

  constructor(names: readonly string[]) {
    this.names = [...names]
  }

  engine(self: string): Engine {
    const member = (name: string, role: string) => ({
      name,
      ip: '10.0.0.1',
      port: 7946,
      status: 'alive',
      tags: { role },
    })
    const members = () => [
      ...this.names.map(name => member(name, 'balancer')),
      member('web-1', ''),
      member('web-2', ''),
    ]
    const engine = {
      members,
      local: () => member(self, 'balancer'),
      onChange: () => () => undefined,
      onEvent: (listener: (event: SerfEvent) => void) => {
        this.#listeners.set(self, listener)
        return () => this.#listeners.delete(self)
      },
      query: async (params: Parameters<Engine['query']>[0]) => this.#ask(params),
    }
    return engine as unknown as Engine & { members(): SerfMember[] }
  }

  async *#ask(params: Parameters<Engine['query']>[0]): AsyncIterable<QueryAnswer> {
    this.queries++
    const asked = this.names.filter(name => !this.frozen.has(name) && (params.filters?.nodes ?? [name]).includes(name))
    for (const from of asked) {
      const listener = this.#listeners.get(from)
      if (listener === undefined) continue
      const payload = await new Promise<Uint8Array>(answered => {
        const respond = async (answer: Uint8Array) => answered(answer)
        listener({ kind: 'query', name: params.name, payload: params.payload, respond } as unknown as QueryEvent)
      })
      yield { kind: 'response', from, payload }
    }
  }
}

const QUIET: Leftover = {
  ...{ sessions: 0, oldestMs: undefined, quietMs: undefined },
  ...{ isOpen: false, isReachable: true, servers: [] },
}

class FakeBalancer implements DrainedBalancer {
  readonly states = new Map([
    ['web-1', 'ready'],
    ['web-2', 'ready'],
  ])
  left = QUIET
  min = 1
  isStickyPool = false
  woken = 0

  status(): BalancerStatus {
    const servers = [...this.states].map(([name, state]) => ({ ...where(name), name, state }))
    return { pools: [{ name: 'web', servers }] } as unknown as BalancerStatus
  }
  leftOn = async (endpoints: readonly string[]) => new Map(endpoints.map(one => [one, this.left]))
  minServers = () => this.min
  isSticky = () => this.isStickyPool
  wake = () => void this.woken++
}

const where = (name: string) => ({ ip: `10.0.0.${name.slice(-1)}`, port: 3000 })
const servers: Server[] = ['web-1', 'web-2'].map(name => ({
  ...{ pool: 'web', name, host: name, weight: 1, state: 'ready' as const, liveness: 'alive' as const },
  ...where(name),
}))

async function hold(ring: FakeRing, name: string, balancer = new FakeBalancer(), clock: Clock = systemClock) {
  const file = new DrainsFile(join(folder, `${name}.json`))
  const held = new HeldDrains(balancer, { clock, log: silentLog, serf: ring.engine(name), file })
  await held.load()
  const stop = held.start()
  const drained = () => {
    const applied = held.apply(servers).filter(server => server.state === 'draining')
    for (const { name: one } of applied) balancer.states.set(one, 'drain')
    return applied.map(server => server.name)
  }
  return { held, balancer, drained, stop, [Symbol.dispose]: stop }
}

function operator(ring: FakeRing, at = 'lb-1', clock: Clock = systemClock): Drains & Disposable {
  const drains = new Drains({ clock, log: silentLog, serf: ring.engine(at) })
  return Object.assign(drains, { [Symbol.dispose]: () => drains.stop() })
}

const ORDER = { server: 'web-2', user: 'root', reason: 'new disk', force: false }

test('a drain is in force on every balancer, survives their restart, and is taken back everywhere', async () => {
  const ring = new FakeRing(['lb-1', 'lb-2'])
  const first = await hold(ring, 'lb-1')
  using second = await hold(ring, 'lb-2')
  using drains = operator(ring)
  expect(await drains.drain(ORDER)).toMatchObject({ by: 'root@lb-1', takenBack: false, silent: [] })
  expect([first.drained(), second.drained()]).toEqual([['web-2'], ['web-2']])
  expect(first.held.reasonFor({ pool: 'web', name: 'web-2', ...where('web-2') })).toMatch(
    /by root@lb-1 since .*new disk/,
  )
  expect(first.held.apply(servers)[1]).toMatchObject({ drainReason: 'drained by root@lb-1 ("new disk")' })
  first.stop()
  using again = await hold(ring, 'lb-1')
  expect(again.drained()).toEqual(['web-2'])
  expect((await drains.list()).drains).toMatchObject([{ server: 'web-2', takenBack: false }])
  expect((await drains.undo({ server: 'web-2' })).drains).toMatchObject([{ takenBack: true }])
  expect([again.drained(), second.drained()]).toEqual([[], []])
  await expect(drains.undo({ server: 'web-2' })).rejects.toThrow('not drained by anybody')
})

test('whoever it is and whatever they say, it is a record that balancers read, or refused', async () => {
  const ring = new FakeRing(['lb-1'])
  using _one = await hold(ring, 'lb-1')
  using drains = operator(ring)
  const user = `\u001b[31mroot\n${'x'.repeat(100)}`
  const shown = `[31mroot${'x'.repeat(100)}`.slice(0, 64)
  expect((await drains.drain({ ...ORDER, user, waitMs: 1 })).by).toBe(`${shown}@lb-1`)
  const taken = await drains.undo({ server: 'web-2', user: 'eve' })
  expect(taken.drains).toMatchObject([{ by: 'eve@lb-1', takenBack: true }])
  await expect(drains.drain({ ...ORDER, reason: '\u{1F525}'.repeat(180) })).rejects.toThrow('too long')
  await expect(drains.drain({ ...ORDER, reason: 'a\nb' })).rejects.toThrow('nothing is changed')
})

test('asked again it is the same drain; who asked first stays on record', async () => {
  const ring = new FakeRing(['lb-1'])
  using _one = await hold(ring, 'lb-1')
  using drains = operator(ring)
  const first = await drains.drain(ORDER)
  expect(await drains.drain({ server: 'web-2', user: 'eve', force: false })).toEqual(first)
})

test('a balancer that is silent is named, and holds it as soon as it answers', async () => {
  const ring = new FakeRing(['lb-1', 'lb-2'])
  using _one = await hold(ring, 'lb-1')
  using late = await hold(ring, 'lb-2')
  ring.frozen.add('lb-2')
  using drains = operator(ring)
  expect(await drains.drain(ORDER)).toMatchObject({ done: false, silent: ['lb-2'] })
  expect(late.drained()).toEqual([])
  ring.frozen.delete('lb-2')
  await vi.waitFor(() => expect(late.drained()).toEqual(['web-2']), 5_000)
})

test('an agent whose drain was taken back at another one tells nobody of it any more', async () => {
  const ring = new FakeRing(['lb-1', 'lb-2'])
  const clock = new VirtualClock()
  using one = await hold(ring, 'lb-1')
  using late = await hold(ring, 'lb-2')
  ring.frozen.add('lb-2')
  using first = operator(ring, 'lb-1', clock)
  using second = operator(ring, 'web-1', clock)
  await first.drain(ORDER)
  await second.undo({ server: 'web-2' })
  ring.frozen.delete('lb-2')
  const { queries } = ring
  clock.advance(20_000)
  const afterOneEach = queries + 2
  await vi.waitFor(() => expect(ring.queries).toBe(afterOneEach))
  await vi.waitFor(() => expect(late.drained()).toEqual([]))
  clock.advance(600_000)
  await new Promise(resolve => setImmediate(resolve))
  expect(ring.queries).toBe(afterOneEach)
  expect([one.drained(), late.drained()]).toEqual([[], []])
})

test('a new balancer asks the others', async () => {
  const ring = new FakeRing(['lb-1', 'lb-2'])
  using _one = await hold(ring, 'lb-1')
  using drains = operator(ring)
  await drains.drain(ORDER)
  using fresh = await hold(ring, 'lb-2')
  await vi.waitFor(() => expect(fresh.drained()).toEqual(['web-2']), 5_000)
})

test('below the minimum it is refused, also where it comes from the wire without having been asked first', async () => {
  const ring = new FakeRing(['lb-1', 'lb-2'])
  using one = await hold(ring, 'lb-1')
  using two = await hold(ring, 'lb-2')
  two.balancer.min = 2
  using drains = operator(ring)
  const words = 'web-2 is not drained: pool web has 2 servers in traffic on lb-2 and must keep 2; 1 would be left'
  await expect(drains.drain(ORDER)).rejects.toThrow(words)
  expect([one.drained(), two.drained()]).toEqual([[], []])
  const forged = JSON.stringify(['put', { s: 'web-2', n: 'x', a: systemClock.wallMs() }])
  for await (const _ of await ring.engine('x').query({ name: 'muster-drains', payload: Buffer.from(forged) }));
  expect(two.drained()).toEqual([])
  expect((await drains.drain({ ...ORDER, force: true })).forced).toBe(true)
  expect(two.drained()).toEqual(['web-2'])
})

test('of two who are drained at once the second is refused, though HAProxy still has both in traffic', async () => {
  const ring = new FakeRing(['lb-1', 'lb-2'])
  using one = await hold(ring, 'lb-1')
  using two = await hold(ring, 'lb-2')
  using drains = operator(ring)
  using elsewhere = operator(ring, 'lb-2')
  const both = await Promise.allSettled([
    drains.drain({ ...ORDER, server: 'web-1' }),
    elsewhere.drain({ ...ORDER, server: 'web-2' }),
  ])
  expect(both.map(({ status }) => status)).toContain('rejected')
  await vi.waitFor(() => expect(one.drained()).toEqual(two.drained()))
  expect(one.drained().length).toBeLessThan(2)
})

test('the only balancer of pools that have servers does not leave; one of two does', () => {
  const pools = [{ name: 'web', servers: ['web-1', 'web-2'] }]
  using alone = operator(new FakeRing(['lb-1']))
  expect(() => alone.assertOtherBalancer(pools, 'lb-1 does not leave')).toThrow(
    'lb-1 does not leave: no other balancer is alive in the ring, and pool web has 2 servers; nobody would send requests there; ' +
      'to go on all the same: --force --reason "why"',
  )
  expect(() => alone.assertOtherBalancer([{ name: 'web', servers: [] }], 'it')).not.toThrow()
  using one = operator(new FakeRing(['lb-1', 'lb-2']))
  expect(() => one.assertOtherBalancer(pools, 'it')).not.toThrow()
})

test('a list that is cut off says so; by name each one is told', async () => {
  const ring = new FakeRing(['lb-1'])
  using _one = await hold(ring, 'lb-1')
  using drains = operator(ring)
  const drain = async (server: string) => {
    const payload = Buffer.from(JSON.stringify(['put', { s: server, n: 'x', a: systemClock.wallMs() }]))
    for await (const _ of await ring.engine('x').query({ name: 'muster-drains', payload }));
  }
  for (let at = 0; at < 64; at++) await drain(`db-${at}`)
  expect(await drains.list()).not.toHaveProperty('more')
  await drain('zoe')
  const list = await drains.list()
  expect([list.drains.length, list.more]).toEqual([64, true])
  expect((await drains.list({ server: 'zoe' })).drains).toMatchObject([{ server: 'zoe' }])
})

test('a reason is what the API takes for one, and is refused in the same words', () => {
  expect(() => assertReason('r\u202ed', false)).toThrow(`${reasonFault('r\u202ed')}; nothing is changed`)
  expect(() => assertReason('x'.repeat(200), true)).not.toThrow()
  expect(() => assertReason(undefined, true)).toThrow('--force wants a reason')
})

test('what is not there is said, and drains nothing', async () => {
  const ring = new FakeRing(['lb-1'])
  using _one = await hold(ring, 'lb-1')
  using drains = operator(ring)
  await expect(drains.drain({ ...ORDER, server: 'web-9' })).rejects.toThrow('no server of any pool is called web-9')
  await expect(drains.drain({ ...ORDER, server: '../x' })).rejects.toThrow('cannot be the name of a server')
  await expect(drains.drain({ ...ORDER, pool: 'api' })).rejects.toThrow('no server of pool api')
  using nobody = operator(new FakeRing([]))
  await expect(nobody.drain(ORDER)).rejects.toThrow('no balancer is alive')
})

test('a sticky server is empty only when the last request there is some seconds old', async () => {
  const ring = new FakeRing(['lb-1'])
  using one = await hold(ring, 'lb-1')
  one.balancer.isStickyPool = true
  one.balancer.left = { ...QUIET, quietMs: 3_000 }
  using drains = operator(ring)
  expect(await drains.drain(ORDER)).toMatchObject({ done: false, balancers: [{ bound: true }] })
  one.drained()
  one.balancer.left = { ...QUIET, quietMs: 6_000 }
  expect((await drains.list()).drains).toMatchObject([{ done: true, balancers: [{ bound: false }] }])
})

test('drained servers come back where all others die, unless it was forced, and go again', async () => {
  const ring = new FakeRing(['lb-1'])
  const clock = new VirtualClock()
  using one = await hold(ring, 'lb-1', new FakeBalancer(), clock)
  const drains = new Drains({ clock, log: silentLog, serf: ring.engine('lb-1') })
  await drains.drain(ORDER)
  expect(one.drained()).toEqual(['web-2'])
  one.balancer.states.set('web-1', 'down')
  clock.advance(1_000)
  expect(one.drained()).toEqual(['web-2']) // checks may just have begun
  clock.advance(6_000)
  expect(one.drained()).toEqual([])
  expect(one.held.reasonFor({ pool: 'web', name: 'web-2', ...where('web-2') })).toContain('in traffic all the same')
  one.balancer.states.set('web-1', 'ready')
  clock.advance(1_000)
  expect(one.drained()).toEqual(['web-2'])
  await drains.drain({ ...ORDER, force: true })
  one.balancer.states.set('web-1', 'down')
  clock.advance(60_000)
  expect(one.drained()).toEqual(['web-2'])
})
