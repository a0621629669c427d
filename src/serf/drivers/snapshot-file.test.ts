import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  existsSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type Log, type LogFields, silentLog } from '../../base/index.ts'
import { VirtualClock } from '../../testing/index.ts'
import { SnapshotRecord } from '../snapshot.ts'
import { SnapshotFile } from './snapshot-file.ts'

/** Mounting needs root; elsewhere this one property is not looked at. */
const rootTest = process.getuid?.() === 0 || process.env['CI'] === 'true' ? test : test.skip
const ALIVE = 'alive: a 10.0.0.1:7946\n'

function directory(): string {
  const made = mkdtempSync(join(tmpdir(), 'snapshot-'))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  return made
}

async function opened(path: string) {
  const said: { level: string; sentence: string; fields: LogFields }[] = []
  const hear = (level: string) => (fields: LogFields, sentence: string) => void said.push({ level, sentence, fields })
  const log: Log = { ...silentLog, error: hear('error'), warn: hear('warn'), info: hear('info') }
  const clock = new VirtualClock()
  const record = new SnapshotRecord(false)
  const file = new SnapshotFile(path, record, { clock, log })
  onTestFinished(() => file.close())
  await file.open()
  return { file, record, clock, said, text: () => readFileSync(path, 'utf8') }
}

test('lines are in the file half a second later, and at the end', async () => {
  const path = join(directory(), 'deep', 'serf.snapshot')
  const { file, record, clock, said, text } = await opened(path)
  file.append(record.memberClock(1))
  clock.advance(499)
  expect(text()).toBe('')
  clock.advance(1)
  await file.flush(false)
  expect(text()).toBe('clock: 1\n')
  file.append(record.memberClock(2))
  await file.close()
  file.append(record.memberClock(3))
  expect([text(), said]).toEqual(['clock: 1\nclock: 2\n', []])
})

test('what a crash cut off is gone, and does not become a line or a part of the next', async () => {
  const path = join(directory(), 's')
  writeFileSync(path, `${ALIVE}clock: 123\nclock: 12`)
  const { file, record, text } = await opened(path)
  expect(record.clocks.clock).toBe(123)
  file.append(record.memberClock(124))
  await file.close()
  expect(text()).toBe(`${ALIVE}clock: 123\nclock: 124\n`)
})

test('lines that make no sense among good ones are skipped, said and kept', async () => {
  const path = join(directory(), 's')
  writeFileSync(path, `# old\n???\n${ALIVE}coordinate: {}\n`)
  const { record, said, text } = await opened(path)
  expect([...record.nodes.keys()]).toEqual(['a'])
  expect(said).toMatchObject([{ level: 'warn', fields: { lines: 1 } }])
  expect(text()).toContain('???')
})

for (const [what, content] of [
  ['text', '127.0.0.1 localhost\n::1 localhost\n'],
  ['a script', '#!/bin/sh\nexit 0\n'],
  ['bytes without a line end', '\u0000\u0001\u0002ELF'],
  ['JSON', '{"clock": 7}'],
] as const) {
  test(`a foreign file (${what}) is set aside and said, and the agent starts with an empty one`, async () => {
    const path = join(directory(), 's')
    writeFileSync(path, content)
    const { file, record, said, text } = await opened(path)
    expect(said).toMatchObject([{ level: 'warn', fields: { aside: `${path}.set-aside` } }])
    expect(readFileSync(`${path}.set-aside`, 'utf8')).toBe(content)
    file.append(record.memberClock(1))
    await file.close()
    expect(text()).toBe('clock: 1\n')
  })
}

test('a file beyond 64 MiB is set aside unread', async () => {
  const path = join(directory(), 's')
  const handle = openSync(path, 'w')
  ftruncateSync(handle, 64 * 1024 * 1024 + 1)
  closeSync(handle)
  const { said, text } = await opened(path)
  expect(said).toMatchObject([{ level: 'warn', fields: { reason: 'it is larger than 67108864 bytes' } }])
  expect([text(), existsSync(`${path}.set-aside`)]).toEqual(['', true])
})

test('what is no file (a directory, a device, a pipe) is left as it is, and said', async () => {
  const base = directory()
  const [pipe, folder, device] = [join(base, 'pipe'), join(base, 'folder'), join(base, 'device')]
  execFileSync('mkfifo', [pipe])
  mkdirSync(folder)
  symlinkSync('/dev/full', device)
  for (const path of [pipe, folder, device]) {
    const before = statSync(path)
    const { file, record, clock, said } = await opened(path)
    file.append(record.memberClock(1))
    clock.advance(60_000)
    await file.close()
    expect(said).toMatchObject([{ level: 'error', fields: { reason: 'it is no file' } }])
    expect([statSync(path).mode, statSync(path).ino]).toEqual([before.mode, before.ino])
  }
})

test('a directory that cannot be written costs sentences half a minute apart, and no memory', async () => {
  const { file, record, clock, said } = await opened('/proc/nobody/writes/here/s')
  expect(said).toMatchObject([{ level: 'warn' }])
  for (let ltime = 1; ltime <= 200; ltime++) {
    file.append(record.memberClock(ltime))
    clock.advance(500)
    await file.flush(false)
  }
  expect(said.length).toBeGreaterThan(3)
  expect(said.length).toBeLessThan(7)
  await file.close()
})

test('a snapshot that shows up when the agent runs already (a disk mounted late) is set aside, not overwritten', async () => {
  const base = directory()
  const [late, path] = [join(base, 'late'), join(base, 'late', 's')]
  writeFileSync(late, 'in the way')
  const { file, record, clock, said, text } = await opened(path)
  rmSync(late)
  mkdirSync(late)
  writeFileSync(path, ALIVE)
  clock.advance(30_000)
  file.append(record.memberClock(1))
  await file.flush(false)
  expect(readFileSync(`${path}.set-aside`, 'utf8')).toBe(ALIVE)
  expect(text()).toMatch(/^clock: 1$/m)
  expect(said.map(({ level }) => level)).toEqual(['warn', 'warn', 'info'])
})

rootTest('a full disk loses lines, says so once, and once there is room the file holds their sum', async () => {
  const disk = directory()
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', disk])
  onTestFinished(() => void execFileSync('umount', [disk]))
  const path = join(disk, 's')
  const { file, record, clock, said, text } = await opened(path)
  file.append(record.record(joined('first')))
  await file.flush(false)
  writeFileSync(join(disk, 'filler'), 'x'.repeat(11_000))
  for (let i = 0; i < 300; i++) file.append(record.record(joined(`member-${i}`)))
  await file.flush(false)
  file.append(record.memberClock(9))
  await file.flush(false)
  expect(said).toMatchObject([{ level: 'warn', fields: { reason: expect.stringContaining('ENOSPC') as string } }])
  rmSync(join(disk, 'filler'))
  clock.advance(30_000)
  file.append(record.memberClock(10))
  await file.flush(false)
  expect(said.at(-1)).toMatchObject({ level: 'info', sentence: 'the snapshot is written again' })
  const again = new SnapshotRecord(false)
  expect([again.replay(text()), again.nodes.size, again.clocks.clock]).toEqual([0, 301, 10])
})

rootTest('at the end a disk that was full is tried once more at once', async () => {
  const disk = directory()
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', disk])
  onTestFinished(() => void execFileSync('umount', [disk]))
  const { file, record, text } = await opened(join(disk, 's'))
  writeFileSync(join(disk, 'filler'), 'x'.repeat(16_000))
  file.append(record.record(joined('a')))
  await file.flush(false)
  rmSync(join(disk, 'filler'))
  file.append(record.leave())
  await file.close()
  expect(text()).toContain('leave\n')
})

test('a file that has grown is compacted in place; its mode and a symbolic link to it stay', async () => {
  const base = directory()
  const [real, path] = [join(base, 'real'), join(base, 's')]
  writeFileSync(real, `${ALIVE}${'event-clock: 5\n'.repeat(9000)}`)
  chmodSync(real, 0o660)
  symlinkSync(real, path)
  const { file, record, text } = await opened(path)
  file.append(record.memberClock(7))
  await file.close()
  expect(text()).toBe(`${ALIVE}clock: 7\nevent-clock: 5\nquery-clock: 0\n`)
  expect(lstatSync(path).isSymbolicLink()).toBe(true)
  expect(statSync(real).mode & 0o777).toBe(0o660)
})

test('names so long that the compacted file is above the bound do not compact it with every line', async () => {
  const path = join(directory(), 's')
  const { file, record } = await opened(path)
  for (let i = 0; i < 600; i++) file.append(record.record(joined(`${i}-${'n'.repeat(500)}`)))
  await file.flush(false)
  const compacted = statSync(path).ino
  file.append(record.memberClock(3))
  await file.flush(false)
  expect(statSync(path).ino).toBe(compacted)
})

/** A member has joined. */
function joined(name: string) {
  const versions = { protocolMin: 1, protocolMax: 5, protocolCur: 2, delegateMin: 2, delegateMax: 5, delegateCur: 5 }
  const at = { ip: '10.0.0.7', addr: Uint8Array.of(10, 0, 0, 7), port: 7946 }
  const member = { name, ...at, tags: {}, status: 'alive', ...versions, statusLTime: 0, leftAtMs: 0 } as const
  return { kind: 'member-join', members: [member] } as const
}
