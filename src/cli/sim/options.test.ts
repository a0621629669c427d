import { expect, test } from 'vitest'
import { readOptions, replayOf, UsageError } from './options.ts'

test('without flags a few rings of 100 run on every core', () => {
  expect(readOptions([])).toMatchObject({ members: 100, seeds: 5, seed: undefined, from: undefined })
})

test('small rings have Serf above memberlist, large ones memberlist alone, unless told otherwise', () => {
  expect(readOptions(['--members=100'])?.core).toBe('serf')
  expect(readOptions(['--members=1000'])?.core).toBe('memberlist')
  expect(readOptions(['--members=1000', '--core=serf'])?.core).toBe('serf')
})

test('the command that replays a ring names only what is not the usual, and is understood', () => {
  expect(replayOf({ members: 100, core: 'serf', seed: 9041 })).toBe('npm run sim -- --seed=9041')
  const ring = { members: 1000, core: 'serf', seed: 9041 } as const
  const [, args = ''] = replayOf(ring).split(' -- ')
  expect(readOptions(args.split(' '))).toMatchObject(ring)
})

test.each([
  ['--members=1'],
  ['--members=1e3'],
  ['--seeds=0'],
  ['--seed=-1'],
  ['--jobs='],
  ['--core=raft'],
  ['--job=2'],
  ['stray'],
])('%s is refused before anything starts', arg => {
  expect(() => readOptions([arg])).toThrow(UsageError)
})

test('help is not a run', () => {
  expect(readOptions(['--help', '--members', '1000'])).toBeUndefined()
})
