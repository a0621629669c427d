import { expect, test } from 'vitest'
import { formatAddress, type LogFields, seededRandom, silentLog } from '../../../base/index.ts'
import { VirtualClock } from '../../../testing/index.ts'
import type { RingMember } from '../join-list.ts'
import { Discovery } from './discovery.ts'
import { answerTo, question } from './records.ts'

const at = (host: number) => ({ ip: `10.0.0.${host}`, port: 7946 })
const self: RingMember = { ...at(1), name: 'self', isAlive: true }
const own = { cluster: 'shop', node: 'self', at: at(1) }
const answerOf = (host: number) =>
  answerTo(question('shop', 0), { cluster: 'shop', node: `n${host}`, at: at(host) }) as Uint8Array

/** A node on a link where `hosts` answer each question. */
function node(hosts: Set<number>, answers: (address: string) => boolean = () => true) {
  const clock = new VirtualClock()
  const others = new Map<string, RingMember>()
  const joins: string[] = []
  const asks: number[] = []
  const lines: string[] = []
  const told = (_: LogFields, sentence: string) => void lines.push(sentence)
  const state = { links: 1, failures: [] as string[], views: 0 }
  const cluster = {
    canJoin: () => true,
    view() {
      state.views++
      return { self, others: [...others.values()] }
    },
    async join(addresses: readonly string[]) {
      const address = addresses[0] as string
      joins.push(address)
      if (!answers(address)) return { contacted: 0, errors: [{ address, error: 'refused' }] }
      const [ip = '', port = ''] = address.split(':')
      others.set(address, { name: address, ip, port: Number(port), isAlive: true })
      return { contacted: 1, errors: [] }
    },
  }
  const log = { ...silentLog, warn: told, info: told }
  const discovery = new Discovery(own, { clock, random: seededRandom(1), log }, cluster, () => undefined)
  const multicast = {
    async ask() {
      asks.push(clock.nowMs())
      if (state.links > 0) for (const host of hosts) discovery.answered(answerOf(host))
      return { links: state.links, failures: state.failures }
    },
  }
  const ended = new AbortController()
  const done = discovery.keepAsking(multicast, ended.signal)
  const run = async (ms: number) => {
    for (let i = 0; i < ms / 50; i++) {
      clock.advance(50)
      for (let turn = 0; turn < 8; turn++) await Promise.resolve()
    }
  }
  const end = async () => {
    ended.abort()
    await done
  }
  return { clock, others, joins, asks, lines, state, discovery, run, end }
}

const addressOf = (host: number) => formatAddress(at(host))

test('asks at once, and joins what is found once nothing new has come for 100 ms', async () => {
  const one = node(new Set([1, 2, 3]))
  await one.run(50)
  expect([one.asks.length, one.joins]).toEqual([1, []])
  await one.run(200)
  expect(one.joins).toEqual([addressOf(2), addressOf(3)]) // its own answer is none
  await one.run(180_000)
  expect(one.asks).toHaveLength(4) // every 60 s, as Serf
  expect(one.joins).toHaveLength(2)
  await one.end()
})

test('alone, it asks again after 1, 2, 4, 8 and then every 15 s, and again so when its company is gone', async () => {
  const hosts = new Set<number>()
  const one = node(hosts)
  await one.run(60_000)
  expect(one.asks.map(ms => Math.round((ms - (one.asks[0] ?? 0)) / 1000))).toEqual(
    [0, 1, 3, 7, 15, 30, 45, 60].slice(0, one.asks.length),
  )
  expect(one.asks.length).toBeGreaterThanOrEqual(7)
  hosts.add(2)
  await one.run(16_000)
  expect(one.joins).toEqual([addressOf(2)])
  one.others.clear() // all gone, and back with another address
  hosts.delete(2)
  hosts.add(9)
  await one.run(6_000)
  expect(one.joins).toEqual([addressOf(2), addressOf(9)])
  await one.end()
})

test('an address that did not answer is tried again when it is found again, and told of once (Serf tries it once only)', async () => {
  let isUp = false
  const one = node(new Set([2]), () => isUp)
  await one.run(20_000)
  expect(one.joins.length).toBeGreaterThan(2)
  const named = 'an agent that mDNS has found does not answer; trying again when it is found again'
  expect(one.lines).toEqual([named])
  isUp = true
  await one.run(20_000)
  expect(one.lines).toEqual([named, 'joined an agent that mDNS has found'])
  await one.end()
})

test('whoever answers for thousands makes us try 64 addresses for each question', async () => {
  const one = node(new Set(), () => false)
  await one.run(50)
  for (let host = 0; host < 5_000; host++) {
    const away = { ip: `10.1.${host >> 8}.${host & 255}`, port: 7946 }
    one.discovery.answered(answerTo(question('shop', 0), { cluster: 'shop', node: 'x', at: away }) as Uint8Array)
  }
  await one.run(800)
  expect(one.joins).toHaveLength(64)
  await one.end()
})

test('a ring of thousands that answers at once is looked at once', async () => {
  const one = node(new Set())
  for (let port = 1; port <= 2_000; port++)
    one.others.set(`${port}`, { name: `${port}`, ip: '10.0.0.7', port, isAlive: true })
  await one.run(50)
  const viewsBefore = one.state.views
  for (let port = 1; port <= 2_000; port++) {
    const at = { ip: '10.0.0.7', port }
    one.discovery.answered(answerTo(question('shop', 0), { cluster: 'shop', node: 'x', at }) as Uint8Array)
  }
  expect(one.state.views - viewsBefore).toBe(1)
  await one.run(800)
  expect(one.joins).toEqual([])
  await one.end()
})

test('a host without a way for multicast is told so once, asks on, and says when it works', async () => {
  const hosts = new Set<number>()
  const deaf = node(hosts)
  Object.assign(deaf.state, { links: 0, failures: ['send ENETUNREACH 224.0.0.251:5353'] })
  await deaf.run(50)
  await deaf.run(10_000)
  expect(deaf.lines.filter(line => line.startsWith('nobody can be asked by mDNS'))).toHaveLength(1)
  deaf.state.links = 1
  hosts.add(2)
  await deaf.run(20_000)
  expect(deaf.lines).toContain('mDNS works now')
  expect(deaf.joins).toEqual([addressOf(2)])
  await deaf.end()
})
