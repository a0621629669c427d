import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { removeTornWrites, replaceFile, writeFileAtomic } from './atomic-file.ts'

test('many who write one file at a time all succeed; one of them is read, whole, and nothing is left beside it', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'atomic-'))
  const path = join(directory, 'file')
  const texts = Array.from({ length: 40 }, (_, nth) => `${nth}`.repeat(10_000))
  await Promise.all(texts.map((text, nth) => (nth % 2 === 0 ? writeFileAtomic : replaceFile)(path, text)))
  expect(texts).toContain(await readFile(path, 'utf8'))
  expect(await readdir(directory)).toEqual(['file'])
  await rm(directory, { recursive: true })
})

test('the first write of a path removes what killed writers left of it, and nothing else', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'atomic-'))
  const { pid: dead, ppid } = { pid: await deadPid(), ppid: process.ppid }
  const torn = [`file.${dead}.tmp`, `file.${dead}-2.tmp`]
  const others = [
    ...[`file.${ppid}.tmp`, `file.0.tmp`, `file.99999999.tmp`, `file.-1.tmp`, `file.${dead}.tmp.old`, `file.${dead}`],
    ...[`other.${dead}.tmp`, `afile.${dead}.tmp`, `file.${dead}\n.tmp`, 'file.tmp', 'file..tmp', 'fileX1.tmp'],
  ]
  for (const name of [...torn, ...others]) await writeFile(join(directory, name), 'half of i')
  await mkdir(join(directory, `file.${dead}-3.tmp`)) // nobody's temporary file
  await symlink(join(directory, 'file.tmp'), join(directory, `file.${dead}-4.tmp`))
  await writeFileAtomic(join(directory, 'file'), 'new')
  expect((await readdir(directory)).sort()).toEqual([...others, 'file', `file.${dead}-3.tmp`].sort())
  await rm(directory, { recursive: true })
})

test('a temporary file with our own pid is torn if it is older than this process', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'atomic-'))
  const [old, current] = [`file.${process.pid}-7.tmp`, `file.${process.pid}.tmp`]
  for (const name of [old, current]) await writeFile(join(directory, name), 'half of i')
  await utimes(join(directory, old), 1, 1)
  await removeTornWrites(join(directory, 'file'))
  expect(await readdir(directory)).toEqual([current])
  await removeTornWrites(join(directory, 'missing', 'file'))
  await rm(directory, { recursive: true })
})

async function deadPid(): Promise<number> {
  const child = spawn('true')
  await once(child, 'exit')
  return child.pid as number
}
