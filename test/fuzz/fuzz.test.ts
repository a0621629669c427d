/** A minute of `npm run fuzz`: its corpora as they are, and so many changes of each. */
import { afterAll, expect, test } from 'vitest'
import { seededRandom } from '../../src/base/index.ts'
import { CrewMember } from './crew.ts'
import { fuzz } from './fuzz.ts'
import { targets } from './targets.ts'

const crew = [new CrewMember()]
afterAll(() => Promise.all(crew.map(member => member.stop())))

test.for(targets)('$name: every input of the corpus, as it is, is read or refused', async target => {
  const run = target.start(seededRandom(1))
  expect(target.corpus.length).toBeGreaterThan(1)
  for (const sample of target.corpus) expect(await run(sample, sample.bytes, seededRandom(1))).toBeTypeOf('boolean')
})

test.for(targets)('$name: broken inputs are read or refused; nothing escapes, hangs or grows', async target => {
  const report = await fuzz(target, crew, { cases: target.casesInTest, seed: 9041 })
  expect(report.accepted + report.refused).toBe(target.casesInTest)
  expect(report.accepted).toBeGreaterThan(target.casesInTest / 1000) // what is left alone reaches the inner layers
  expect(report.refused).toBeGreaterThan(target.casesInTest / 1000)
})
