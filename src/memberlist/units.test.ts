import { expect, test } from 'vitest'
import { seededRandom } from '../base/index.ts'
import { Alarms } from './alarms.ts'
import { Awareness } from './awareness.ts'
import { BroadcastQueue, retransmitLimit } from './broadcast-queue.ts'
import type { Announced } from './member.ts'
import { PlainTable } from './member-table.ts'
import { PROFILES } from './profiles.ts'
import { Suspicion, suspicionTimes } from './suspicion.ts'

const bytes = (length: number, mark = 0) => new Uint8Array(length).fill(mark)

test('alarms run in the order of their time, and cancelled ones never', () => {
  const alarms = new Alarms()
  const ran: number[] = []
  const random = seededRandom(3)
  for (let i = 0; i < 200; i++) {
    const dueMs = random.below(1000)
    const alarm = alarms.set(dueMs, () => void ran.push(dueMs))
    if (i % 3 === 0) alarms.cancel(alarm)
  }
  alarms.runDue(500)
  expect(ran.every(dueMs => dueMs <= 500)).toBe(true)
  alarms.runDue(1000)
  expect(ran).toEqual(ran.toSorted((a, b) => a - b))
  expect([ran.length, alarms.nextMs()]).toEqual([133, undefined])
})

test('the health score stays between 0 and 7, and stretches only the probe interval (Lifeguard)', () => {
  const awareness = new Awareness(8)
  for (const [delta, score] of [
    [-1, 0],
    [3, 3],
    [3, 6],
    [3, 7],
    [-1, 6],
  ] as const) {
    awareness.apply(delta)
    expect(awareness.score).toBe(score)
  }
  expect(awareness.scaleMs(1000)).toBe(7000)
})

test('suspicion times are those observed on real agents (6.6)', () => {
  expect(suspicionTimes(3, PROFILES.lan)).toEqual({ minMs: 4000, maxMs: 24_000, confirmationsWanted: 0 })
  expect(suspicionTimes(13, PROFILES.lan)).toEqual({ minMs: 4452, maxMs: 26_712, confirmationsWanted: 2 })
  expect(suspicionTimes(100, PROFILES.lan)).toMatchObject({ minMs: 8000, maxMs: 48_000 })
  const plain = { ...PROFILES.lan, suspicionMaxTimeoutMult: 1 }
  expect(suspicionTimes(100, plain)).toEqual({ minMs: 8000, maxMs: 8000, confirmationsWanted: 0 })
  expect(suspicionTimes(1000, PROFILES.lan)).toMatchObject({ minMs: 12_000, maxMs: 72_000 })
})

test('one confirmation at 13 members leaves 12.7 s, two leave the minimum, the accuser counts for nothing (6.6)', () => {
  const suspicion = new Suspicion('m1', suspicionTimes(13, PROFILES.lan), 100)
  expect(suspicion.dueMs()).toBe(26_812)
  expect([suspicion.confirm('m1'), suspicion.confirm('m2'), suspicion.confirm('m2')]).toEqual([false, true, false])
  expect(suspicion.dueMs()).toBe(100 + 12_667)
  expect([suspicion.confirm('m3'), suspicion.confirm('m4')]).toEqual([true, false])
  expect(suspicion.dueMs()).toBe(100 + 4452)
})

test('each message is sent 4, 8, 12 times in rings of 9, 13, 100 (6.10)', () => {
  expect([3, 9, 10, 13, 99, 100].map(n => retransmitLimit(4, n))).toEqual([4, 4, 8, 8, 8, 12])
  expect(retransmitLimit(4, 0)).toBe(1)
})

test('a packet takes the least sent first, then the largest that fits, then the newest (6.10)', () => {
  const queue = new BroadcastQueue()
  for (const [length, mark] of [
    [10, 1],
    [50, 2],
    [50, 3],
    [100, 4],
  ] as const)
    queue.add({ message: bytes(length, mark) })
  const marks = () => queue.fill(2, 120, 9).map(message => message[0])
  expect(marks()).toEqual([4, 1]) // 102 of 120, then only the small one fits
  expect(marks()).toEqual([3, 2, 1]) // the unsent pair first; of those sent once the large one no longer fits
})

test('a message is taken once per packet, and is done after its last transmission', () => {
  const queue = new BroadcastQueue()
  let done = 0
  queue.add({ message: bytes(10), done: () => void done++ })
  expect([queue.fill(2, 1000, 2).length, done, queue.fill(2, 1000, 2).length, done, queue.size]).toEqual([
    1, 0, 1, 1, 0,
  ])
})

test('newer news about the same member replace the older, whose waiter is told; pruning drops the most sent', () => {
  const queue = new BroadcastQueue()
  const done: string[] = []
  queue.add({ key: 'm1', message: bytes(10, 1), done: () => void done.push('old') })
  queue.add({ key: 'm1', message: bytes(20, 2), done: () => void done.push('new') })
  expect([done, queue.size]).toEqual([['old'], 1])
  queue.fill(2, 1000, 9)
  queue.add({ key: 'm2', message: bytes(5) })
  queue.prune(1)
  expect([done, queue.fill(2, 1000, 9)[0]?.length]).toEqual([['old', 'new'], 5])
})

test('whatever is replaced, sent and pruned in whatever order, the queue is as one that is sorted every time', () => {
  const random = seededRandom(11)
  const queue = new BroadcastQueue()
  let sorted: { key: string; message: Uint8Array; order: number; transmits: number }[] = []
  const done: number[] = []
  const doneSorted: number[] = []
  for (let order = 0; order < 6000; order++) {
    const key = `m${random.below(order % 1000 < 500 ? 20 : 200)}`
    const message = bytes(20 + random.below(5))
    queue.add({ key, message, done: () => done.push(order) })
    doneSorted.push(...sorted.filter(item => item.key === key).map(item => item.order))
    sorted = [...sorted.filter(item => item.key !== key), { key, message, order, transmits: 0 }]
    if (random.below(3) > 0) continue
    const sent: Uint8Array[] = []
    let free = 300 - 2
    const byNeed = sorted.toSorted(
      (a, b) => a.transmits - b.transmits || b.message.length - a.message.length || b.order - a.order,
    )
    for (const item of byNeed) {
      if (item.message.length > free) continue
      free -= item.message.length + 2
      sent.push(item.message)
      item.transmits++
    }
    doneSorted.push(...byNeed.filter(item => item.transmits >= 4).map(item => item.order))
    sorted = sorted.filter(item => item.transmits < 4)
    expect(queue.fill(2, 300, 4)).toEqual(sent)
    expect([queue.size, done.splice(0)]).toEqual([sorted.length, doneSorted.splice(0)])
  }
})

test('a round of probes reaches every member once before any twice (SWIM 4.3)', () => {
  const table = new PlainTable(seededRandom(5))
  for (let number = 0; number < 10; number++) table.add(member(`m${number}`), 0)
  for (let round = 0; round < 3; round++) {
    const probed = Array.from(
      { length: 10 },
      () =>
        table.nextProbe(
          () => true,
          () => false,
        )?.name,
    )
    expect(new Set(probed).size).toBe(10)
  }
  expect(
    table.nextProbe(
      () => false,
      () => false,
    ),
  ).toBeUndefined()
})

test('the reapable go at the end of a round, and random choices are distinct', () => {
  const table = new PlainTable(seededRandom(5))
  for (let number = 0; number < 20; number++) table.add(member(`m${number}`), 0)
  expect(new Set(table.randomMembers(5, ({ name }) => name !== 'm3')).size).toBe(5)
  for (let tick = 0; tick < 21; tick++)
    table.nextProbe(
      () => true,
      ({ name }) => name === 'm7',
    )
  expect([table.size, table.get('m7')]).toEqual([19, undefined])
})

function member(name: string): Announced {
  const addr = Uint8Array.of(10, 0, 0, 1)
  return { name, addr, ip: '10.0.0.1', port: 1, meta: bytes(0), vsn: [1, 5, 2, 2, 5, 5] }
}
