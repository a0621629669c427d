import { expect, test } from 'vitest'
import { UsageError } from '../usage-error.ts'
import { readCommand, replayOf } from './options.ts'

test('without flags a few rings of 100 run on every core', () => {
  expect(readCommand([])).toMatchObject({ kind: 'swarm', members: 100, seeds: 5, seed: undefined, from: undefined })
})

test('small rings have Serf above memberlist, large ones memberlist alone, unless told otherwise', () => {
  expect(readCommand(['--members=100'])).toMatchObject({ core: 'serf' })
  expect(readCommand(['--members=1000'])).toMatchObject({ core: 'memberlist' })
  expect(readCommand(['--members=1000', '--core=serf'])).toMatchObject({ core: 'serf' })
})

test('the command that replays a ring names only what is not the usual, and is understood', () => {
  expect(replayOf({ members: 100, core: 'serf', seed: 9041 })).toBe('npm run sim -- --seed=9041')
  const ring = { members: 1000, core: 'serf', seed: 9041 } as const
  const [, args = ''] = replayOf(ring).split(' -- ')
  expect(readCommand(args.split(' '))).toMatchObject(ring)
})

test('a file, or an option that only scenarios have, is a scenario; what it says is read with the file', () => {
  expect(readCommand(['storm.yaml', '--members', '9', '--slow=members=2,for=1s', '-o', 'svg'])).toMatchObject({
    kind: 'scenario',
    file: 'storm.yaml',
    flags: { members: ['9'], slow: ['members=2,for=1s'] },
    output: 'svg',
  })
  expect(readCommand(['--loss', '0.1', '--seed=7'])).toMatchObject({
    kind: 'scenario',
    file: undefined,
    flags: { loss: ['0.1'], from: ['7'], seeds: ['1'] },
  })
})

test('the studies take sizes and seeds', () => {
  expect(readCommand(['scale', '--members', '10,100', '--seeds=2', '--from=5'])).toMatchObject({
    kind: 'study',
    study: 'scale',
    members: [10, 100],
    seeds: [5, 6],
  })
  expect(readCommand(['lifeguard', '--full'])).toMatchObject({ study: 'lifeguard', full: true })
})

test.each([
  [['--members=1']],
  [['--members=1e3']],
  [['--seeds=0']],
  [['--seed=-1']],
  [['--jobs=']],
  [['--core=raft']],
  [['--job=2']],
  [['a.yaml', 'stray']],
  [['-o', 'json']],
  [['a.yaml', '-o', 'pdf']],
  [['a.yaml', '--full']],
  [['scale', '--full']],
  [['scale', '--loss=0.1']],
  [['lifeguard', '--members=10']],
])('%s is refused before anything starts', args => {
  expect(() => readCommand(args)).toThrow(UsageError)
})

test('who wants a form for the swarm is told how to get a scenario', () => {
  expect(() => readCommand(['--members=9', '-o', 'json'])).toThrow(/such as --duration 2m, it is a scenario/)
  expect(() => readCommand(['--members=9', '--full'])).toThrow('--full is for muster sim lifeguard')
})

test('help is not a run', () => {
  expect(readCommand(['--help', '--members', '1000'])).toEqual({ kind: 'help' })
})
