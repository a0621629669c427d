import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { CODES } from './codes.ts'
import { BALANCER, DOWN, down, DRAIN, FACTS, node, SERVER, withFacts } from './sample-facts.ts'
import { verdictsOf } from './verdict.ts'

test('what to do about each verdict is in docs/why.md', () => {
  const page = readFileSync(resolve(import.meta.dirname, '../../../docs/why.md'), 'utf8')
  expect(CODES.filter(code => !page.includes(`\`${code}\``))).toEqual([])
})

test('what is wrong besides is said behind the verdict, the same sentence once', () => {
  const others = verdictsOf(withFacts({ ...down({}), drains: [DRAIN], silent: ['web-2'] }))
  expect(others.map(({ code }) => code)).toEqual(['drained', 'check-status', 'silent'])
  expect(verdictsOf({ ...FACTS, servers: [SERVER, SERVER] })).toHaveLength(1)
})

test('of a node the worst comes first, and a name that nobody knows has no verdict', () => {
  const said = verdictsOf(
    withFacts({
      ...node({}),
      servers: [DOWN, { ...SERVER, name: 'web-3' }],
      balancer: { ...BALANCER, pinned: 2 },
    }),
  )
  expect(said.map(({ code }) => code)).toEqual(['check-status', 'rolled-back'])
  expect(verdictsOf({ ...FACTS, what: 'nobody', members: [], servers: [] })).toEqual([])
})
