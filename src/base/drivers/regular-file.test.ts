import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readRegularFile } from './regular-file.ts'

test('a pipe, a device, a directory and what is too large are refused, at once and in words', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'rf-'))
  const [pipe, text] = [join(directory, 'pipe'), join(directory, 'text')]
  execFileSync('mkfifo', [pipe])
  await writeFile(text, 'four')
  for (const path of [pipe, '/dev/zero', directory])
    await expect(readRegularFile(path, 10)).rejects.toThrow('is not a regular file')
  await expect(readRegularFile(text, 3)).rejects.toThrow('has 4 bytes, more than 3')
  expect(await readRegularFile(text, 4)).toBe('four')
  await expect(readRegularFile(join(directory, 'none'), 4)).rejects.toThrow('ENOENT')
  await rm(directory, { recursive: true })
})
