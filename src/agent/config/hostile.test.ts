/** Files that no editor writes: refused with a sentence, soon, whatever YAML allows. */
import { expect, test } from 'vitest'
import { serfSource, yamlSource } from './source.ts'

const keys = (count: number) => `{${Array.from({ length: count }, (_, n) => `"k${n}":1`).join(',')}}`

test.for([
  [
    'a hundred thousand lists in one another, which would take the whole stack',
    '['.repeat(100_000),
    'nested deeper than',
  ],
  ['as many of YAML’s own kind', '- '.repeat(100_000), 'nested deeper than'],
  ['lists and maps as keys, whose text doubles with each level', '? '.repeat(40), 'a key has to be text'],
  ['bytes as a key', '!!binary aGVs: 1', 'a key has to be text'],
  ['a map that contains itself', 'node: &a { tags: { x: *a } }', '"*a" is a part of itself'],
  ['aliases without end', `a: &a 1\nb: [${'*a,'.repeat(1000)}]`, 'more than 100 aliases'],
] as const)('%s is refused', ([, text, words]) => {
  const { problems } = yamlSource('muster.yaml', text)
  expect(problems[0]?.message).toContain(words)
})

test('a file of Serf with thousands of wrong keys shows the first ones, and does not search long for the rest', () => {
  const { problems } = serfSource('serf.json', keys(5000))
  expect(problems).toHaveLength(5000)
  expect([problems[0]?.where, problems[4999]?.where]).toEqual(['serf.json:1:2', undefined])
})
