import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DrainsFile } from './drains-file.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'drains-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const RECORD = { server: 'web-2', node: 'lb-1', atMs: 1_795_000_000_000, reason: 'disk', forced: false, undone: false }

test('what is kept is read again; no file is no record', async () => {
  const file = new DrainsFile(join(folder, 'drains.json'))
  expect(await file.read()).toEqual({ records: [], unreadable: 0 })
  await Promise.all([file.keep([]), file.keep([RECORD, { ...RECORD, server: 'web-3' }])])
  expect((await file.read()).records.map(record => record.server)).toEqual(['web-2', 'web-3'])
  expect((await file.read()).records[0]).toEqual(RECORD)
})

test('a file that somebody has edited: what can be read counts, a torn or endless one is an error', async () => {
  const path = join(folder, 'drains.json')
  const file = new DrainsFile(path)
  await file.keep([RECORD])
  const good = JSON.parse(readFileSync(path, 'utf8')) as unknown[]
  writeFileSync(path, JSON.stringify([...good, { s: '../x' }, 7]))
  expect(await file.read()).toEqual({ records: [RECORD], unreadable: 2 })
  for (const bad of ['[{"s":', '{}', '', ' '.repeat(1 << 20)]) {
    writeFileSync(path, bad)
    await expect(file.read()).rejects.toThrow(SyntaxError)
  }
})
