import { expect, test } from 'vitest'
import { type MemberStates, Roster } from './roster.ts'

const era = { nowMs: 1_000, joinedAtMs: 0, drainTimeoutMs: 30_000 }
const found = (name: string, port = 3000) => ({ pool: 'web', name, ip: '10.0.0.2', port, weight: 1 })

/** What becomes of a server that was found in HAProxy, once the ring can be asked. */
function fateOf(name: string, port: number, members: MemberStates): string {
  const roster = new Roster(false)
  const entry = roster.adopt(found(name, port), 0, true)
  roster.observe(() => ({ ip: '10.0.0.2', port, weight: 1, admin: 'ready', up: true, sessions: 0 }), 0)
  roster.update([], members, 500)
  roster.decide(era)
  return `${entry.liveness}, ${entry.decision.stance}`
}

test('a found server that its alive member no longer names was taken back, and goes out at once', () => {
  expect(fateOf('web-1', 3000, new Map([['web-1', 'alive']]))).toBe('withdrawn, maint')
})

test('so was one of several of a member, whose server is called after member and port', () => {
  expect(fateOf('web-1:3001', 3001, new Map([['web-1', 'alive']]))).toBe('withdrawn, maint')
  expect(fateOf('web-1:3001', 3001, new Map([['web-1', 'failed']]))).toBe('failed, ready')
})

test('a found server of which nobody knows the member stays', () => {
  expect(fateOf('web-9', 3000, new Map([['web-1', 'alive']]))).toBe('unexplained, ready')
})

/** Three servers found in HAProxy, serving, and a ring that names some of them. @returns what they are to be after 61 s */
function afterAMinute(claimed: readonly string[]): string[] {
  const roster = new Roster(false)
  const names = ['web-1', 'web-2', 'web-3']
  const servers = names.map((name, at) => ({ ...found(name), ip: `10.0.0.${at + 1}` }))
  const entries = servers.map(server => roster.adopt(server, 0, true))
  const wanted = servers
    .filter(server => claimed.includes(server.name))
    .map(server => ({ ...server, host: server.name, state: 'ready', liveness: 'alive' }) as const)
  const newcomer = { ...found('new'), ip: '10.0.0.9', host: 'new', state: 'ready', liveness: 'alive' } as const
  for (const nowMs of [0, 61_000]) {
    roster.observe(({ server }) => ({ ...server, admin: 'ready', up: true, sessions: 1 }), nowMs)
    roster.update([...wanted, newcomer], new Map([['new', 'alive']]), nowMs)
    roster.decide({ nowMs, joinedAtMs: 0, drainTimeoutMs: 30_000 })
  }
  return entries.map(entry => entry.decision.stance)
}

test('a new server that joins an empty half does not make it drain what was found; a ring that knows most of it does', () => {
  expect(afterAMinute([])).toEqual(['ready', 'ready', 'ready'])
  expect(afterAMinute(['web-1'])).toEqual(['ready', 'ready', 'ready'])
  expect(afterAMinute(['web-1', 'web-2'])).toEqual(['ready', 'ready', 'drain'])
})

test.each(['checks first', 'its agent first'])('a process that dies is one fall, told of by both: %s', order => {
  const roster = new Roster(false)
  const servers = [1, 2].map(
    at => ({ ...found(`web-${at}`), host: `web-${at}`, ip: `10.0.0.${at}`, state: 'ready' }) as const,
  )
  let nowMs = 0
  const look = (liveness: 'alive' | 'withdrawn', up: boolean) => {
    nowMs += 100
    const [a, b] = servers.map(server => ({ ...server, liveness: 'alive' }) as const)
    if (a !== undefined && b !== undefined) roster.update([a, { ...b, liveness }], undefined, nowMs)
    for (const { key } of roster.entries()) roster.prove(key)
    roster.observe(
      ({ server }) => ({ ...server, admin: 'ready', up: up || server.name === 'web-1', sessions: 0 }),
      nowMs,
    )
    roster.decide({ nowMs, joinedAtMs: 0, drainTimeoutMs: 30_000 })
  }
  for (let deaths = 0; deaths < 2; deaths++) {
    for (let times = 0; times < 3; times++) look('alive', true)
    if (order === 'checks first') look('alive', false)
    look('withdrawn', false)
  }
  for (let times = 0; times < 3; times++) look('alive', true)
  expect(roster.entries().map(({ decision }) => decision.stance)).toEqual(['ready', 'ready'])
})

test('who drains a server is the reason, an operator where it was one', () => {
  const roster = new Roster(false)
  const server = { ...found('web-1'), host: 'web-1', state: 'draining', liveness: 'alive' } as const
  const reasonOf = (more: { drainReason?: string }) => {
    roster.update([{ ...server, ...more }], undefined, 0)
    roster.decide(era)
    return roster.get('web', '10.0.0.2:3000')?.decision.reason
  }
  expect(reasonOf({})).toBe('its member drains it')
  expect(reasonOf({ drainReason: 'drained by root@lb-1 ("new disk")' })).toBe('drained by root@lb-1 ("new disk")')
})
