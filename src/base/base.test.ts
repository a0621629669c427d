import { expect, test } from 'vitest'
import { ipFromBytes, ipToBytes, parseHostPort } from './address.ts'
import { BoundedQueue } from './bounded-queue.ts'
import { seededRandom, shuffle } from './random.ts'
import { Scope } from './scope.ts'

test('an address survives the way to bytes and back, in the form of RFC 5952', () => {
  for (const ip of ['10.0.0.1', '::1', '::', 'fe80::1', '2001:db8::5:0:1', '1:2:3:4:5:6:7:8', 'fe80::']) {
    expect(ipFromBytes(ipToBytes(ip) as Uint8Array)).toBe(ip)
  }
})

test('an IPv4-mapped address reads as plain IPv4; other lengths are no address', () => {
  expect(ipFromBytes(ipToBytes('::ffff:10.1.2.3') as Uint8Array)).toBe('10.1.2.3')
  expect(ipFromBytes(new Uint8Array(5))).toBeUndefined()
  expect(ipToBytes('example.org')).toBeUndefined()
})

test('host and port are read in every form of Serf, and nothing else is', () => {
  expect(parseHostPort('10.0.0.1', 7946)).toEqual({ host: '10.0.0.1', port: 7946 })
  expect(parseHostPort('web-1:80', 7946)).toEqual({ host: 'web-1', port: 80 })
  expect(parseHostPort('[::1]:80', 7946)).toEqual({ host: '::1', port: 80 })
  expect(parseHostPort('::1', 7946)).toEqual({ host: '::1', port: 7946 })
  for (const bad of ['', 'a b', 'a:99999', 'a:b', 'a/b']) expect(parseHostPort(bad, 1)).toBeUndefined()
})

test('a seed replays a shuffle', () => {
  const draw = () => shuffle([1, 2, 3, 4, 5, 6, 7, 8], seededRandom(9041))
  expect(draw()).toEqual(draw())
})

test('a full queue refuses and counts', () => {
  const queue = new BoundedQueue<number>(2)
  expect([queue.push(1), queue.push(2), queue.push(3)]).toEqual([true, true, false])
  expect([queue.shift(), queue.shift(), queue.shift(), queue.dropped]).toEqual([1, 2, undefined, 1])
})

test('a scope ends what it owns last first, goes on past a failure, and throws it', async () => {
  const ended: string[] = []
  const scope = new Scope()
  scope.defer(() => void ended.push('first'))
  scope.defer(() => {
    throw new Error('second failed')
  })
  scope.defer(() => void ended.push('third'))
  await expect(scope[Symbol.asyncDispose]()).rejects.toThrow('second failed')
  expect(ended).toEqual(['third', 'first'])
})
