/** A minute of `npm run fuzz`: its corpora as they are, and so many changes of each. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { seededRandom } from '../../src/base/index.ts'
import { CrewMember } from './crew.ts'
import { fuzz } from './fuzz.ts'
import type { Target } from './target.ts'
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

test('a run that is ended ends after the cases that are under way, however many are left', async () => {
  const [target] = targets
  const ending = new AbortController()
  const cases = 10_000_000_000
  const run = fuzz({ ...(target as Target), stateCases: 1 }, crew, { cases, seed: 1, signal: ending.signal })
  setImmediate(() => ending.abort())
  const report = await run
  expect(report.accepted + report.refused).toBeLessThan(cases)
})

test.each([
  [['--help'], 0],
  [['--nonsense'], 2],
  [['--seconds', 'x'], 2],
  [['more'], 2],
])('npm run fuzz -- %s explains itself and ends with %i', async (argv, code) => {
  const main = fileURLToPath(new URL('main.ts', import.meta.url))
  const { exitCode, said, told } = await new Promise<{ exitCode: unknown; said: string; told: string }>(done =>
    execFile(process.execPath, ['--import', 'tsx', main, ...argv], (failure, said, told) =>
      done({ exitCode: failure?.code ?? 0, said, told }),
    ),
  )
  expect({ exitCode, text: code === 0 ? said : told }).toEqual({
    exitCode: code,
    text: expect.stringContaining('usage:'),
  })
  expect(told).not.toContain('    at ')
})
