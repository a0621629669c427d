import { expect, test } from 'vitest'
import { type Log, silentLog, systemClock } from '../../base/index.ts'
import { decodeMsgpack } from '../../codec/index.ts'
import type { RpcBackend } from './backend.ts'
import { RpcDispatcher } from './dispatch.ts'
import { lineFilter } from './monitor.ts'
import { decodeRecord, textField } from './records.ts'

const stamp = '2026/11/20 09:43:12'

/** A connection whose agent has this log; `isOpen` false: its reader takes nothing. */
function connection(kept: readonly string[] = []) {
  const listeners = new Set<(line: string) => void>()
  const lines: string[] = []
  const state = { isOpen: true, warnings: 0 }
  const say = (line: string) => listeners.forEach(listener => listener(line))
  const logs = {
    recent: () => kept,
    onLine: (listener: (line: string) => void) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
  // The agent's own log is what is monitored, as in life.
  const warn: Log['warn'] = (_fields, sentence) => {
    state.warnings++
    say(`${stamp} [WARN] rpc: ${sentence}`)
  }
  const push = (bytes: Uint8Array) => {
    if (!state.isOpen) return false
    const { end } = decodeMsgpack(bytes)
    lines.push(textField(decodeRecord(bytes.subarray(end)), 'Log'))
    return true
  }
  const deps = { clock: systemClock, log: { ...silentLog, warn } }
  const dispatcher = new RpcDispatcher({ logs } as unknown as RpcBackend, deps, push)
  const monitor = async (level: string, seq = 3) => {
    const answer = await dispatcher.perform({ seq, command: 'monitor', level })
    answer.afterwards?.()
    return textField(decodeRecord(answer.bytes), 'Error')
  }
  return { dispatcher, monitor, say, lines, state, listeners }
}

test('a monitor gets the kept lines of its level, oldest first, and then the live ones', async () => {
  const { monitor, say, lines } = connection([`${stamp} [DEBUG] a`, `${stamp} [WARN] b`, `${stamp} [ERR] c`])
  expect(await monitor('Warn')).toBe('')
  say(`${stamp} [INFO] d`)
  say(`${stamp} [ERR] e`)
  expect(lines.map(line => line.slice(-1))).toEqual(['b', 'c', 'e'])
})

test('a level that is none is refused in capitals, and a second monitor; stop ends the first and its lines', async () => {
  const { dispatcher, monitor, say, lines, listeners } = connection()
  expect(await monitor('loud')).toBe('Unknown log level: LOUD')
  expect(await monitor('debug')).toBe('')
  expect(await monitor('err', 4)).toBe('Monitor already exists')
  await dispatcher.perform({ seq: 5, command: 'stop', stop: 3 })
  say(`${stamp} [ERR] after`)
  expect([lines, listeners.size]).toEqual([[], 0])
  expect(await monitor('err', 6)).toBe('')
  dispatcher.end()
  expect(listeners.size).toBe(0)
})

test('a reader that is slow loses lines, is warned of once, and hears of it when it reads again', async () => {
  const { monitor, say, lines, state } = connection()
  await monitor('debug')
  state.isOpen = false
  for (let i = 0; i < 1000; i++) say(`${stamp} [INFO] ${i}`)
  expect([lines.length, state.warnings]).toEqual([0, 1])
  state.isOpen = true
  say(`${stamp} [INFO] again`)
  expect(lines.map(line => line.slice(stamp.length + 1))).toEqual([
    '[INFO] again',
    '[WARN] rpc: an RPC client reads again after records were dropped',
  ])
})

test('a line without a known level passes every filter; levels are ordered as Serf orders them', () => {
  const filter = lineFilter('err') as (line: string) => boolean
  expect(['[NOTICE] x', 'no level', '[unclosed', '[] empty', '[ERR] x'].map(filter)).toEqual(
    Array.from({ length: 5 }, () => true),
  )
  expect(['[WARN] x [ERR]', '[DEBUG] x', '[TRACE] x'].map(filter)).toEqual([false, false, false])
  expect(lineFilter('trace')?.('[DEBUG] x')).toBe(true)
  expect(lineFilter('')).toBeUndefined()
})
