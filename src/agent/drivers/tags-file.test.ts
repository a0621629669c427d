import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { encodeTagsFile, TagsFile } from './tags-file.ts'

test('the text is that of Serf: sorted, indented, without a final newline, HTML escaped', () => {
  expect(encodeTagsFile({ role: 'web', a: '<b> & c' })).toBe(
    '{\n  "a": "\\u003cb\\u003e \\u0026 c",\n  "role": "web"\n}',
  )
  expect(encodeTagsFile({})).toBe('{}')
})

test('changes that come at the same time are all written, the last one stays, and only the owner may read it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tags-'))
  try {
    const path = join(folder, 'tags.json')
    const file = new TagsFile(path)
    await Promise.all(['1', '2', '3'].map(n => file.keep({ n })))
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ n: '3' })
    expect(statSync(path).mode & 0o777).toBe(0o600)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a file that cannot be written says so', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tags-'))
  rmSync(folder, { recursive: true })
  await expect(new TagsFile(join(folder, 'tags.json')).keep({ a: '1' })).rejects.toThrow('ENOENT')
})
