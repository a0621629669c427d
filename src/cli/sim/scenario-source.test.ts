import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ConfigError } from '../../agent/config/problems.ts'
import { LIFEGUARD, USUAL } from '../../simulator/index.ts'
import { type Flags, readScenario } from './scenario-source.ts'

const file = (text: string) => ({ name: 'storm.yaml', text })

function complaintOf(text: string, flags: Flags = {}): string {
  try {
    readScenario(file(text), flags)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  throw new Error('nothing was found wrong')
}

test('without file and flags it is the usual ring, from seed 1', () => {
  expect(readScenario(undefined, {})).toEqual({ scenario: USUAL, seeds: [1] })
})

test('a file says everything a scenario has', () => {
  const text = `
members: 50
core: serf
formed: true
duration: 5m
loss: 0.02
delay: [1ms, 20ms]
partitions: [{ at: 10s, for: 5s, members: [m1, m2], one_way: true }, { for: 1s }]
slow: [{ members: 4, at: 15s, for: 2s, pause: 64ms }]
churn: { crash: 0.5 }
events: 3
lifeguard: { buddy: false }
timing: { suspicion_mult: 5, probe_interval: 2s }
seeds: 3
from: 7`
  const { scenario, seeds } = readScenario(file(text), {})
  expect(seeds).toEqual([7, 8, 9])
  expect(scenario).toEqual({
    members: 50,
    core: 'serf',
    formed: true,
    durationMs: 300_000,
    loss: 0.02,
    delayMs: [1, 20],
    partitions: [
      { atMs: 10_000, forMs: 5000, members: ['m1', 'm2'], oneWay: true },
      { atMs: 0, forMs: 1000, members: 0.5, oneWay: false },
    ],
    slow: [{ members: 4, atMs: 15_000, forMs: 2000, pauseMs: 64, untilMs: 300_000 }],
    churn: { join: 0, leave: 0, crash: 0.5 },
    eventsPerMinute: 3,
    lifeguard: { ...LIFEGUARD, buddy: false },
    timing: { suspicionMult: 5, probeIntervalMs: 2000 },
  })
})

test('flags say the same, and win over the file', () => {
  const flags = {
    loss: ['0.1'],
    delay: ['2ms,8ms'],
    partitions: ['at=1s,for=2s,share=0.3', 'for=3s,members=[m1, m2]'],
    slow: ['members=2,for=1s'],
    churn: ['join=2,leave=1'],
    lifeguard: ['probe,buddy'],
    formed: ['true'],
  }
  const { scenario } = readScenario(file('members: 9\nloss: 0.5\nslow: [{ members: 1, for: 9s }]'), flags)
  expect(scenario).toMatchObject({
    members: 9,
    loss: 0.1,
    delayMs: [2, 8],
    formed: true,
    partitions: [{ atMs: 1000, members: 0.3 }, { members: ['m1', 'm2'] }],
    slow: [{ members: 2, forMs: 1000 }],
    churn: { join: 2, leave: 1, crash: 0 },
    lifeguard: { probe: true, suspicion: false, buddy: true },
  })
  expect(readScenario(undefined, { lifeguard: ['none'] }).scenario.lifeguard.probe).toBe(false)
})

test('what is wrong is said with its place, all at once', () => {
  expect(
    complaintOf('members: 50\nslow:\n  - { members: 4, fro: 2s }\nloss: 7\n'),
  ).toBe(`storm.yaml:4:7: loss: a share is 0 to 1, not 7
     4 | loss: 7
       |       ^
storm.yaml:3:5: slow.0: "for" is missing
     3 |   - { members: 4, fro: 2s }
       |     ^^^^^^^^^^^^^^^^^^^^^^^
storm.yaml:3:5: unknown key "fro" in slow.0; did you mean "for"?
     3 |   - { members: 4, fro: 2s }
       |     ^^^^^^^^^^^^^^^^^^^^^^^
  allowed in slow.0: members, at, for, pause, until`)
})

test.each([
  ['- 1', /storm.yaml:1:1: the file:/],
  ['a: [', /storm.yaml:1:5: Flow sequence/],
  ['members: 1', /takes a whole number from 2/],
  ['duration: 90', /duration: takes a duration such as 30s/],
  ['duration: 0.1s', /takes 1s to 24h/],
  ['delay: [9ms, 1ms]', /takes the shorter one first/],
  ['partitions: [{ for: 1s, share: 0.1, members: [m1] }]', /takes share or members, not both/],
  [
    'members: 5\nslow: [{ members: [m9], for: 1s }]',
    /storm.yaml:2:\d+: slow.0.members: there is no m9, the last is m5/,
  ],
  ['members: 5\nslow: [{ members: 9, for: 1s }]', /slow.0.members: 9 of 5 members/],
  ['events: 3', /user events need core: serf/],
  ['lifeguard: no way', /takes true, false, or which of/],
  ['timing: { gossip_interval: 0s }', /timing.gossip_interval: takes 1ms or more/],
  [
    'timing: { probe_interval: 1ns, push_pull_interval: 0 }',
    /probe_interval: takes 1ms[^]*push_pull_interval: takes 1ms/,
  ],
])('%j is refused before anything starts', (text, complaint) => {
  expect(complaintOf(text)).toMatch(complaint)
})

test('a flag is named when it is the one that is wrong', () => {
  expect(complaintOf('', { loss: ['2'] })).toMatch(/^--loss: loss: a share is 0 to 1, not 2/)
  expect(complaintOf('', { lifeguard: ['boddy'] })).toMatch(
    /^--lifeguard: unknown key "boddy" in lifeguard; did you mean "buddy"/,
  )
  expect(complaintOf('', { slow: ['members=[,for=1s'] })).toMatch(/^--slow: --slow=members=\[,for=1s cannot be read/)
})

test('the example in the docs can be read', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/simulation.md'), 'utf8')
  const example = /```yaml\n(.*?)```/s.exec(page)?.[1]
  expect(readScenario({ name: 'docs/simulation.md', text: example ?? '- none' }, {}).seeds).toEqual([1, 2, 3])
})

test('the scenarios that ship can be read', () => {
  const folder = join(import.meta.dirname, '../../../sim')
  const names = readdirSync(folder).filter(name => name.endsWith('.yaml'))
  expect(names.length).toBeGreaterThan(0)
  for (const name of names) readScenario({ name, text: readFileSync(join(folder, name), 'utf8') }, {})
})
