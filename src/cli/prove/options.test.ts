import { expect, test } from 'vitest'
import { readProve } from './options.ts'

test('a command is what stands behind --, whatever it looks like', () => {
  const read = readProve(['--url', 'http://site/', '--rate', '7', '--', 'deploy', '--rate', '9', '--', 'x'])
  expect(read).toMatchObject({ kind: 'run', rate: 7, command: ['deploy', '--rate', '9', '--', 'x'], tailMs: 2000 })
})

test('scenarios have defaults of their own', () => {
  expect(readProve(['churn', '--seed', '7'])).toMatchObject({
    kind: 'scenario',
    rate: 300,
    durationMs: 60_000,
    seed: 7,
    kinds: ['close', 'keep-alive', 'post', 'websocket'],
  })
})

test('marks and kills are passed on as words', () => {
  expect(readProve(['mark', 'second', 'act'])).toEqual({ kind: 'tell', words: ['mark', 'second', 'act'] })
  expect(readProve(['kill-begins'])).toEqual({ kind: 'tell', words: ['kill-begins'] })
})

test('nonsense is told with what is wanted', () => {
  const site = ['--url', 'http://site/']
  for (const [args, words] of [
    [['--rate', '5', '--', 'x'], /--url: the site is wanted/],
    [['--url', 'ftp://site/'], /no http/],
    [[...site, '--'], /a command is wanted/],
    [[...site, 'deploy.sh'], /"deploy.sh" is none of churn/],
    [[...site, '--rate', '0'], /whole number from 1/],
    [[...site, '--kinds', 'get'], /"get" is none of close/],
    [[...site, '--duration', '5'], /not a duration/],
    [[...site, '--duration', '5s', '--', 'x'], /without COMMAND/],
    [[...site, '--seed', '5'], /for scenarios/],
    [['churn', ...site], /--url is for a site of yours/],
    [['churn', '--', 'x'], /its own acts/],
    [['churn', 'more'], /behind --/],
    [['mark'], /needs a name/],
    [['--nope'], /nope/],
    [[...site, '-o', 'yaml'], /yaml/],
  ] as const)
    expect(() => readProve(args)).toThrow(words)
})
