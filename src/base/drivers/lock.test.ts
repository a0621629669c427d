import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { lockFile, lockHolders } from './lock.ts'
import { identify, isAlive, readProcess, signalGroup, signalProcess } from './process-identity.ts'

let directory: string
let children: ChildProcess[]

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'muster-lock-'))
  children = []
})

afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(directory, { recursive: true })
})

function started(args: readonly string[], fd: number | 'ignore' = 'ignore'): ChildProcess {
  const child = spawn(args[0] as string, args.slice(1), { detached: true, stdio: ['ignore', 'pipe', 'ignore', fd] })
  children.push(child)
  return child
}

test('a lock is held once, and free again after its release', async () => {
  const path = join(directory, 'lock')
  const lock = await lockFile(path)
  expect(await lockFile(path)).toBeUndefined()
  lock?.release()
  const again = await lockFile(path)
  expect(again).toBeDefined()
  again?.release({ remove: true })
  expect(existsSync(path)).toBe(false)
})

test('a child that inherits a lock holds it as long as it lives, and is found by it', async () => {
  const path = join(directory, 'lock')
  const lock = await lockFile(path)
  const child = started(['sleep', '60'], lock?.fd)
  lock?.release()
  expect(await lockFile(path)).toBeUndefined()
  expect(lockHolders(path)).toEqual([child.pid])
  child.kill('SIGKILL')
  await once(child, 'exit')
  const free = await lockFile(path)
  expect(free).toBeDefined()
  free?.release()
})

test('a process keeps its identity through exec (an HAProxy master that reloads does just that)', async () => {
  const child = started(['sh', '-c', 'echo one; exec sh -c "echo two; exec sleep 60"'])
  const identity = identify(child.pid as number)
  expect(identity).toBeDefined()
  expect(identity && isAlive(identity)).toBe(true)
  const before = readProcess(child.pid as number)?.startTime
  let printed = ''
  for await (const text of child.stdout as NodeJS.ReadableStream) {
    printed += text.toString()
    if (printed.includes('two')) break
  }
  expect(readProcess(child.pid as number)?.startTime).toBe(before)
})

test('nobody but the very process is signalled: another start time or boot is somebody else', async () => {
  const child = started(['sleep', '60'])
  const identity = identify(child.pid as number)
  if (identity === undefined) throw new Error('the child is not there')
  for (const other of [
    { ...identity, startTime: '1' },
    { ...identity, bootId: 'another' },
  ]) {
    expect(isAlive(other)).toBe(false)
    expect(signalProcess(other, 'SIGKILL')).toBe(false)
    expect(signalGroup(other, 'SIGKILL')).toBe(false)
  }
  expect(signalProcess(identity, 'SIGTERM')).toBe(true)
  expect(await once(child, 'exit')).toEqual([null, 'SIGTERM'])
  expect(identify(identity.pid)).toBeUndefined()
})

test('a zombie is dead, though kill(pid, 0) says otherwise', async () => {
  const parent = started(['sh', '-c', 'sh -c "exit 0" & echo $!; exec sleep 60'])
  const [line] = (await once(parent.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  const pid = Number(line.toString())
  while (readProcess(pid)?.state !== 'Z') await new Promise(resolve => setImmediate(resolve))
  expect(process.kill(pid, 0)).toBe(true)
  expect(identify(pid)).toBeUndefined()
})

test('members of a group outlive their leader and are reached by its identity', async () => {
  const leader = started(['sh', '-c', 'sleep 60 & echo $!; read never <&3; sleep 60'])
  const identity = identify(leader.pid as number)
  const [line] = (await once(leader.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  const member = identify(Number(line.toString()))
  if (identity === undefined || member === undefined) throw new Error('they are not there')
  leader.kill('SIGKILL')
  await once(leader, 'exit')
  expect(isAlive(member)).toBe(true)
  expect(signalGroup(identity, 'SIGKILL')).toBe(true)
  while (isAlive(member)) await new Promise(resolve => setImmediate(resolve))
  while (signalGroup(identity, 'SIGKILL')) await new Promise(resolve => setImmediate(resolve)) // until init reaps it
})
