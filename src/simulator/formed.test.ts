import { expect, test } from 'vitest'
import { encodeMessage } from '../memberlist/index.ts'
import { Ring } from './ring.ts'
import { listBytes } from './traffic.ts'

test.each([false, true])('a formed ring agrees from the first moment, and goes on agreeing (Serf: %s)', serf => {
  const ring = new Ring({ members: 60, seed: 7, serf, formed: true })
  expect(ring.discord()).toBeUndefined()
  ring.clock.advance(20_000)
  expect(ring.discord()).toBeUndefined()
  ring.stop('m3')
  ring.start('m61').join(ring.member('m1').address)
  expect(ring.runUntil(ring.converged, 60_000), ring.discord()).toBeDefined()
})

test('who is slow suspects those whose answers wait, and is right again when they are read', () => {
  const ring = new Ring({ members: 10, seed: 7, formed: true })
  const dead: string[] = []
  ring.onChange = (observer, change, { name }) => {
    if (change === 'leave') dead.push(`${observer.name} ${name}`)
  }
  ring.clock.advance(5000)
  ring.member('m2').slow(40_000)
  ring.clock.advance(40_000)
  expect(dead.filter(line => line.endsWith(' m2')).length).toBe(9)
  expect(dead.filter(line => line.startsWith('m2 ')).length).toBeGreaterThan(0)
  expect(ring.runUntil(ring.converged, 60_000), ring.discord()).toBeDefined()
})

test('a cut of one way loses what is sent that way, and no other', () => {
  const { network, clock } = new Ring({ members: 2, seed: 1 })
  const mend = network.sever(['m1'], true)
  const arrived: string[] = []
  const send = () => {
    network.packet('m1', 'm2', () => arrived.push('there'))
    network.packet('m2', 'm1', () => arrived.push('back'))
    clock.advance(10)
  }
  send()
  mend()
  send()
  expect(arrived.toSorted()).toEqual(['back', 'back', 'there'])
})

test('the weight of a list is near what memberlist would write', () => {
  const ring = new Ring({ members: 100, seed: 1, formed: true })
  const list = ring.member('m1').swim.ownList(false)
  const bytes = encodeMessage(list).length
  expect(Math.abs(listBytes(list.nodes, 0) - bytes)).toBeLessThan(bytes / 50)
})
