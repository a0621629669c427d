import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadConfig } from '../load.ts'
import { FileTooLargeError, systemWorld } from './world.ts'

test('a file of up to 4 MiB is read whole, one that is larger is refused by its name', () => {
  const folder = mkdtempSync(join(tmpdir(), 'world-'))
  try {
    const path = join(folder, 'text')
    const text = `é${'x'.repeat(4 * 2 ** 20 - 2)}`
    writeFileSync(path, text)
    expect(systemWorld.readText(path) === text).toBe(true)
    writeFileSync(path, `${text}x`)
    expect(() => systemWorld.readText(path)).toThrow(FileTooLargeError)
    expect(() => systemWorld.readText(path)).toThrow(path)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a device without an end is refused, as a configuration and as a keyring', () => {
  expect(() => loadConfig({ flags: { 'keyring-file': ['/dev/zero'] } })).toThrow('/dev/zero holds more than 4 MiB')
  expect(() => loadConfig({ files: [{ kind: 'file', path: '/dev/zero' }] })).toThrow('/dev/zero holds more than 4 MiB')
})

test('a pipe, which has no size, is read to its end, as with a process substitution', () => {
  const folder = mkdtempSync(join(tmpdir(), 'world-'))
  try {
    const pipe = join(folder, 'pipe')
    execFileSync('mkfifo', [pipe])
    spawn('sh', ['-c', 'head -c 200000 /dev/zero > "$0"', pipe])
    expect(systemWorld.readText(pipe)).toHaveLength(200_000)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
