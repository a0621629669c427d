import { Command } from 'commander'
import { expect, test } from 'vitest'
import type { RpcEventRecord, SerfMember } from '../serf/index.ts'
import { EXIT, exitCodeOf, explained } from './exit.ts'
import { changeLine, changesBetween } from './members-watch.ts'
import { eventText } from './monitor.ts'
import { compared, verdict } from './reachability.ts'
import { addRingCommands } from './ring.ts'
import { tagsFrom } from './tag-options.ts'
import { UsageError } from './usage-error.ts'

function member(name: string, o: Partial<SerfMember> = {}): SerfMember {
  const versions = { protocolMin: 1, protocolMax: 5, protocolCur: 2, delegateMin: 2, delegateMax: 5, delegateCur: 5 }
  const addr = Uint8Array.of(10, 0, 0, 7)
  const one = { name, addr, ip: '10.0.0.7', port: 7946, tags: {}, status: 'alive' as const }
  return { ...one, ...versions, statusLTime: 0, leftAtMs: 0, ...o }
}

test('every command of the ring has -o and an example that begins with muster or makes a key', () => {
  const muster = new Command('muster')
  addRingCommands(muster)
  for (const command of muster.commands) {
    expect([command.name(), command.options.some(({ long }) => long === '--output')]).toEqual([command.name(), true])
    let help = ''
    command.configureOutput({ writeOut: text => void (help += text) }).outputHelp()
    expect(help).toMatch(/Example:\n {2}\$ .*muster /)
  }
})

test('watching names who is new, who changed, and who is gone', () => {
  const before = [member('a'), member('b'), member('c'), member('d')]
  const after = [member('a'), member('b', { status: 'failed' }), member('c', { tags: { role: 'db' } }), member('e')]
  const changes = changesBetween(before, after)
  expect(changes.map(({ change, member: { name } }) => `${name} ${change}`)).toEqual([
    'b failed',
    'c updated',
    'e joined',
    'd gone',
  ])
  expect(changeLine(changes[1] as (typeof changes)[number], 0)).toBe(
    '1970-01-01T00:00:00Z  c  updated  10.0.0.7:7946  role=db',
  )
})

test('an event of the monitor is one line, whatever its names hold', () => {
  const event: RpcEventRecord = {
    ...{ kind: 'user', members: [], name: 'a\nb', payload: Buffer.from('x\ny'), ltime: 3, handle: 0, coalesce: false },
  }
  expect(eventText(event)).toBe('user a\uFFFDb ltime=3 coalesce=false payload="x\\ny"')
  expect(eventText({ ...event, kind: 'member-join', members: [member('n1', { tags: { role: 'web' } })] })).toBe(
    'member-join n1 10.0.0.7:7946 alive role=web',
  )
})

test('reachability names who is missing, who answers too much, and who answers twice', () => {
  expect(verdict(compared(2, new Set(['a', 'b']), ['b', 'a']))).toBe('Successfully contacted all live nodes')
  const found = compared(3, new Set(['a', 'b']), ['b', 'c', 'b'])
  expect([found.missing, found.surplus, found.doubled]).toEqual([['a'], ['c'], ['b']])
  expect(verdict(found).split('\n').length).toBe(3)
})

test('a tag needs a key and an equals sign; its value may hold further ones', () => {
  expect(tagsFrom(['a=b=c', 'd='])).toEqual({ a: 'b=c', d: '' })
  for (const text of ['a', '=b', '']) expect(() => tagsFrom([text])).toThrow(UsageError)
})

test("an error in the agent's words says what to do, and each cause has its exit status", () => {
  const failure = (code: string, message: string) => Object.assign(new Error(message), { code })
  expect(explained(failure('RPC_AUTH', 'Authentication required'))).toContain('SERF_RPC_AUTH')
  expect(explained(failure('RPC_REFUSED', '1 error occurred:\n\t* x\n\n'))).toBe('1 error occurred:\n\t* x')
  expect(exitCodeOf(failure('RPC_TIMED_OUT', ''))).toBe(EXIT.timedOut)
})
