import { expect, test } from 'vitest'
import { seededRandom } from '../base/index.ts'
import { type Announced, type Entry, type MemberState, PlainTable } from '../memberlist/index.ts'
import { ColumnTable, Roll } from './column-table.ts'

const SEED = 9041
const STATES: readonly MemberState[] = ['alive', 'suspect', 'dead', 'left']

test('does what a plain table does, draw by draw', () => {
  const roll = new Roll()
  for (let number = 60; number > 0; number--) roll.enter(`m${number}`) // by others, in another order
  const tables = [new PlainTable(seededRandom(SEED)), new ColumnTable(roll, seededRandom(SEED))]
  const random = seededRandom(7)
  for (let act = 0; act < 5000; act++) {
    const name = `m${random.below(100)}`
    const kind = random.below(4)
    const state = STATES[random.below(4)] ?? 'alive'
    const [plain, columns] = tables.map(table => {
      if (kind === 0) return told(table.get(name) ?? table.add(announced(name), act))
      if (kind === 1) return told(changed(table.get(name), state, act))
      if (kind === 2) return told(table.nextProbe(isUp, member => member.state === 'left'))
      return table.randomMembers(act % 30, isUp).map(told)
    })
    expect(columns).toEqual(plain)
  }
  const [plain, columns] = tables.map(table => [table.size, [...table.all()].map(told).toSorted()])
  expect(columns).toEqual(plain)
})

test('what a view forgets of a member is not there when the member returns', () => {
  const table = new ColumnTable(new Roll(), seededRandom(SEED))
  const member = table.add(announced('m1'), 0)
  member.incarnation = 7
  member.isSilent = true
  member.claim = { ...announced('m1'), type: 'alive', node: 'm1', incarnation: 8, vsnBytes: 6 }
  const anybody = () => true
  for (let tries = 0; tries < 2; tries++) table.nextProbe(anybody, anybody)
  expect([table.size, table.get('m1')]).toEqual([0, undefined])
  const { incarnation, isSilent, claim, state } = table.add(announced('m1'), 5)
  expect([incarnation, isSilent, claim, state]).toEqual([0, false, undefined, 'dead'])
})

test('who still has a member in hand that is reaped meanwhile, such as a probe, reads what it was', () => {
  const table = new ColumnTable(new Roll(), seededRandom(SEED))
  const member = table.add(announced('m1'), 0)
  const anybody = () => true
  for (let tries = 0; tries < 2; tries++) table.nextProbe(anybody, anybody)
  expect([table.get('m1'), member.name, member.vsn]).toEqual([undefined, 'm1', [1, 5, 2, 2, 5, 5]])
})

const isUp = (member: Entry): boolean => member.state === 'alive' || member.state === 'suspect'

function changed(member: Entry | undefined, state: MemberState, nowMs: number): Entry | undefined {
  member?.enter(state, nowMs)
  if (member !== undefined) member.incarnation++
  if (member !== undefined) member.isSilent = nowMs % 2 === 0
  return member
}

function told(member: Entry | undefined): string {
  if (member === undefined) return 'nobody'
  const { name, ip, port, incarnation, state, stateChangedAtMs, isSilent } = member
  return [name, ip, port, incarnation, state, stateChangedAtMs, isSilent].join(' ')
}

function announced(name: string): Announced {
  const host = Number(name.slice(1))
  const addr = Uint8Array.of(10, 0, 0, host)
  return { name, addr, ip: `10.0.0.${host}`, port: 1, meta: new Uint8Array(0), vsn: [1, 5, 2, 2, 5, 5] }
}
