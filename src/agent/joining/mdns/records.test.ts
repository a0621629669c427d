import { decode, encode } from 'dns-packet'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isClusterName } from './cluster-name.ts'
import { addressesIn, answerTo, question } from './records.ts'

const own = { cluster: 'shop', node: 'web-1', at: { ip: '10.0.0.5', port: 7946 } }
const find = (packet: Uint8Array | undefined, loopback = false) =>
  addressesIn(packet ?? new Uint8Array(0), 'shop', loopback)

test('who asks for the cluster is told service, instance, port, address and text, as Serf tells it', () => {
  const answer = answerTo(question('shop', 77), own) as Uint8Array
  const { id, type, answers } = decode(Buffer.from(answer))
  expect({ id, type }).toEqual({ id: 77, type: 'response' })
  expect(answers).toMatchObject([
    { type: 'PTR', name: '_serf_shop._tcp.local', data: 'web-1._serf_shop._tcp.local' },
    { type: 'SRV', name: 'web-1._serf_shop._tcp.local', data: { port: 7946, target: 'web-1._serf_shop._tcp.local' } },
    { type: 'A', name: 'web-1._serf_shop._tcp.local', data: '10.0.0.5' },
    { type: 'TXT', name: 'web-1._serf_shop._tcp.local', data: [Buffer.from("Serf 'shop' cluster")] },
  ])
  expect(find(answer)).toEqual([own.at])
})

test('an address of IPv6 is told and found, too', () => {
  const at = { ip: '2001:db8::5', port: 7000 }
  expect(find(answerTo(question('shop', 1), { ...own, at }))).toEqual([at])
})

test('questions for other clusters and services, and answers, are not answered', () => {
  expect(answerTo(question('shops', 1), own)).toBeUndefined()
  expect(answerTo(answerTo(question('shop', 1), own) as Uint8Array, own)).toBeUndefined()
  const printer = encode({ type: 'query', questions: [{ type: 'PTR', name: '_ipp._tcp.local' }] })
  expect(answerTo(printer, own)).toBeUndefined()
  expect(addressesIn(answerTo(question('shop', 1), own) as Uint8Array, 'other', false)).toEqual([])
})

test('the host behind a port may have a name of its own, as in the answers of a Serf agent', () => {
  const name = 'a._serf_shop._tcp.local'
  const packet = encode({
    type: 'response',
    answers: [
      { type: 'PTR', name: '_serf_shop._tcp.local', data: name },
      { type: 'SRV', name, data: { port: 7946, target: 'host-a' } },
      { type: 'A', name: 'host-a', data: '10.0.0.6' },
      { type: 'TXT', name, data: "Serf 'shop' cluster" },
    ],
  })
  expect(find(packet)).toEqual([{ ip: '10.0.0.6', port: 7946 }])
})

test('a node whose name DNS cannot carry is found all the same, and two of them are two', () => {
  const names = ['x'.repeat(100), `${'x'.repeat(99)}y`, 'a..b', '.']
  const told = names.map(node => answerTo(question('shop', 1), { ...own, node }) as Uint8Array)
  expect(told.map(packet => find(packet))).toEqual(names.map(() => [own.at]))
  const instances = told.map(packet => decode(Buffer.from(packet)).answers?.[1]?.name)
  expect(new Set(instances).size).toBe(names.length)
})

test('addresses where no agent can be are not joined: groups, any, loopback from afar, link-local ones, port 0', () => {
  const name = 'a._serf_shop._tcp.local'
  const told = (data: string, port = 7946) => {
    const address = data.includes(':') ? ({ type: 'AAAA', name, data } as const) : ({ type: 'A', name, data } as const)
    return encode({ type: 'response', answers: [{ type: 'SRV', name, data: { port, target: name } }, address] })
  }
  for (const ip of ['0.0.0.0', '224.0.0.1', '255.255.255.255', '127.0.0.1', '::', '::1', 'ff02::1', 'fe80::1'])
    expect(find(told(ip)), ip).toEqual([])
  expect(find(told('10.0.0.1', 0))).toEqual([])
  expect(find(told('127.0.0.1'), true)).toEqual([{ ip: '127.0.0.1', port: 7946 }])
})

test('one answer tells of at most 32 addresses', () => {
  const name = 'a._serf_shop._tcp.local'
  const addresses = Array.from({ length: 35 }, (_, i) => ({ type: 'A', name, data: `10.0.0.${i}` }) as const)
  const packet = encode({
    type: 'response',
    answers: [{ type: 'SRV', name, data: { port: 1, target: name } }, ...addresses],
  })
  expect(find(packet)).toHaveLength(32)
})

test('what is larger than a frame is not read: names that point at names would take the processor', () => {
  const good = answerTo(question('shop', 1), own) as Uint8Array
  const padded = (bytes: number) => Buffer.concat([good, new Uint8Array(bytes - good.length)])
  expect([find(padded(1_500)).length, find(padded(1_501)).length]).toEqual([1, 0])
})

test('any bytes are read without harm', () => {
  const good = [question('shop', 1), answerTo(question('shop', 1), own) as Uint8Array]
  const changed = fc
    .tuple(fc.constantFrom(...good), fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 8 }))
    .map(([packet, changes]) => {
      const copy = Uint8Array.from(packet)
      for (const [at, byte] of changes) if (at < copy.length) copy[at] = byte
      return copy
    })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 600 }), changed), packet => {
      expect(addressesIn(packet, 'shop', false).length).toBeLessThanOrEqual(32)
      answerTo(packet, own)
    }),
    { numRuns: 2_000 },
  )
})

test('a cluster has a name that DNS can carry', () => {
  expect(['shop', 'shop 2', 'a.b', 'Läden'].map(isClusterName)).toEqual([true, true, true, true])
  expect(['', 'a..b', 'x'.repeat(58), 'a\nb', '.'].map(isClusterName)).toEqual([false, false, false, false, false])
})
