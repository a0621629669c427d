import { expect, test } from 'vitest'
import { type RingMember, type RingView, standingOf } from './join-list.ts'

const member = (name: string, ip: string, isAlive = true): RingMember => ({ name, ip, port: 7946, isAlive })
const ring = (...others: RingMember[]): RingView => ({ self: member('self', '10.0.0.1'), others })
const answered = (ips: string[], alive: string[] = []) => ({ at: ips.map(ip => ({ ip, port: 7946 })), alive })

test("this node's own address in the list that all nodes share is never asked", () => {
  expect(standingOf('10.0.0.1', undefined, ring())).toBe('here')
  expect(standingOf('self/10.0.0.1:7946', undefined, ring())).toBe('here')
})

test('an address is asked once, also when gossip has already found who is there', () => {
  expect(standingOf('10.0.0.2', undefined, ring(member('b', '10.0.0.2')))).toBe('unknown')
})

test('a number stands for the member that has it, in any spelling and under any name', () => {
  const at = answered(['10.0.0.2'])
  expect(standingOf('10.0.0.2', at, ring(member('b', '10.0.0.2')))).toBe('here')
  expect(standingOf('10.0.0.2:7946', at, ring(member('b', '10.0.0.2', false), member('c', '10.0.0.3')))).toBe('gone')
  expect(standingOf('10.0.0.2', at, ring(member('b', '10.0.0.2', false), member('b2', '10.0.0.2')))).toBe('here')
  expect(standingOf('[FD00:0::2]:7946', answered(['fd00::2']), ring(member('b', 'fd00::2', false)))).toBe('gone')
})

test('a name stands for all that it led to when it answered', () => {
  const at = answered(['10.0.0.2', '10.0.0.3'])
  expect(standingOf('seeds', at, ring(member('b', '10.0.0.2'), member('c', '10.0.0.3')))).toBe('here')
  expect(standingOf('seeds', at, ring(member('b', '10.0.0.2'), member('c', '10.0.0.3', false)))).toBe('gone')
})

test('an address that no member calls its own stands for somebody who was alive when it answered', () => {
  const at = answered(['192.0.2.1'], ['b', 'c'])
  expect(standingOf('192.0.2.1', at, ring(member('b', '10.0.0.2'), member('c', '10.0.0.3')))).toBe('here')
  expect(standingOf('192.0.2.1', at, ring(member('b', '10.0.0.2'), member('c', '10.0.0.3', false)))).toBe('gone')
  expect(standingOf('192.0.2.1', answered([]), ring(member('b', '10.0.0.2', false)))).toBe('gone')
})
