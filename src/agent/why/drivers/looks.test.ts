import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { systemClock } from '../../../base/index.ts'
import { getOnce } from './get-once.ts'
import { lookAtProcess } from './process-look.ts'

const ASK = { timeoutMs: 1_000, clock: systemClock }

test('a server is asked once: its status, and the beginning of what it says', async () => {
  const server = createServer((asked, answer) => {
    if (asked.url === '/never') return
    answer.statusCode = asked.url === '/up' ? 500 : 200
    answer.end(asked.url === '/long' ? 'x'.repeat(1_000_000) : 'database gone')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const target = (path: string) => ({ kind: 'http' as const, ip: '127.0.0.1', port, path })
  try {
    const failed = { asked: 'GET /up', code: 500, body: 'database gone', problem: 'answered 500' }
    expect(await getOnce(target('/up'), ASK)).toMatchObject(failed)
    expect(await getOnce(target('/up'), { ...ASK, takesAny: true })).not.toHaveProperty('problem')
    expect((await getOnce(target('/long'), ASK)).body).toHaveLength(200)
    const late = await getOnce(target('/never'), { ...ASK, timeoutMs: 50 })
    expect(late).toMatchObject({ asked: 'GET /never', problem: 'no answer within 50 ms' })
    expect(await getOnce({ kind: 'tcp', ip: '127.0.0.1', port }, ASK)).not.toHaveProperty('problem')
  } finally {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  expect((await getOnce(target('/up'), ASK)).problem).toContain('ECONNREFUSED')
})

test('a process tells where it listens and whether it is stopped; one that is gone tells nothing', async () => {
  const script =
    "require('net').createServer().listen(0, '127.0.0.1', function () { console.log(this.address().port) })"
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'], detached: true })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const pid = child.pid as number
  expect(lookAtProcess(pid)).toEqual({ isFrozen: false, listens: [Number(line.toString())] })
  child.kill('SIGSTOP')
  await expect.poll(() => lookAtProcess(pid).isFrozen).toBe(true)
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(lookAtProcess(pid)).toEqual({ isFrozen: false, listens: undefined })
})
