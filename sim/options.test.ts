import { expect, test } from 'vitest'
import { readOptions, replayOf, UsageError } from './options.ts'

test('without flags a few rings of 100 run on every core', () => {
  expect(readOptions([])).toMatchObject({ members: 100, seeds: 5, seed: undefined, from: undefined })
})

test('the command that replays a seed is understood, and names the size only when it is not the usual one', () => {
  expect(replayOf(100, 9041)).toBe('npm run sim -- --seed=9041')
  const [, args = ''] = replayOf(1000, 9041).split(' -- ')
  expect(readOptions(args.split(' '))).toMatchObject({ members: 1000, seed: 9041 })
})

test.each([['--members=1'], ['--members=1e3'], ['--seeds=0'], ['--seed=-1'], ['--jobs='], ['--job=2'], ['stray']])(
  '%s is refused before anything starts',
  arg => {
    expect(() => readOptions([arg])).toThrow(UsageError)
  },
)

test('help is not a run', () => {
  expect(readOptions(['--help', '--members', '1000'])).toBeUndefined()
})
