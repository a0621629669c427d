import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { replaceFile, writeFileAtomic } from './atomic-file.ts'

test('many who write one file at a time all succeed; one of them is read, whole, and nothing is left beside it', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'atomic-'))
  const path = join(directory, 'file')
  const texts = Array.from({ length: 40 }, (_, nth) => `${nth}`.repeat(10_000))
  await Promise.all(texts.map((text, nth) => (nth % 2 === 0 ? writeFileAtomic : replaceFile)(path, text)))
  expect(texts).toContain(await readFile(path, 'utf8'))
  expect(await readdir(directory)).toEqual(['file'])
  await rm(directory, { recursive: true })
})
