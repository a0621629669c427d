import { expect, test } from 'vitest'
import type { DrainReport } from '../api/index.ts'
import { runDrain } from './drain.ts'
import { drainsText, progressText } from './drain-text.ts'
import { UsageError } from './usage-error.ts'

const lb = (name: string, more: object = {}) => ({
  ...{ name, sessions: 0, bound: false, open: false, confirmed: true },
  ...more,
})
const DRAIN: DrainReport = {
  ...{ server: 'web-2', by: 'root@lb-1', since: '2026-11-21T12:03:07.000Z', forced: false, takenBack: false },
  ...{ sessions: 0, done: true, balancers: [lb('lb-1'), lb('lb-2')], silent: [] },
}

test('progress says how much is left, where, and since when', () => {
  const balancers = [lb('lb-1', { sessions: 10 }), lb('lb-2', { sessions: 2 })]
  const busy = { ...DRAIN, done: false, sessions: 12, oldestMs: 185_000, balancers }
  expect(progressText(busy)).toBe('12 sessions left on lb-1 and lb-2, oldest 3 m')
  expect(progressText(DRAIN)).toBe('nothing left')
})

test('progress says why it is not done where no session is left', () => {
  const balancers = [lb('lb-1', { bound: true }), lb('lb-2', { open: true }), lb('lb-3', { confirmed: false })]
  expect(progressText({ ...DRAIN, balancers, silent: ['lb-4', 'lb\u001b5'] })).toBe(
    'bound clients still come on lb-1; not out of traffic yet on lb-2; not confirmed by lb-3; no answer from lb-4 and lb\uFFFD5',
  )
  expect(progressText({ ...DRAIN, heldBack: 'web', balancers: [lb('lb-1', { open: true })] })).toBe(
    'pool web has no other live server: it stays in traffic until there is one',
  )
})

test('the list says what is drained, by whom, since when', () => {
  const lines = drainsText({
    drains: [{ ...DRAIN, reason: 'new disk', sessions: 3, oldestMs: 5_000 }],
    silent: ['lb-3'],
  })
  expect(lines.split('\n')[1]).toBe('web-2   all   root@lb-1  2026-11-21 12:03:07  3     5 s     new disk')
  expect(lines).toContain('no answer from lb-3')
  expect(drainsText({ drains: [], silent: [] })).toBe('nothing is drained')
})

test('what contradicts itself, or comes of a variable that is not set, is wrong usage, and nobody is asked', async () => {
  const wrong: readonly [object, string][] = [
    [{}, ''],
    [{ undo: true }, ''],
    [{ undo: true, list: true }, 'web-2'],
    [{ pool: '' }, 'web-2'],
    [{ force: true }, 'web-2'],
    [{ reason: '' }, 'web-2'],
    [{ reason: 'two\nlines' }, 'web-2'],
    [{ reason: 'x'.repeat(100_000) }, 'web-2'],
    [{ reason: 'r\u202ed' }, 'web-2'],
  ]
  for (const [options, server] of wrong)
    await expect(runDrain({ wait: true, socket: '/nowhere', ...options }, server)).rejects.toThrow(UsageError)
})
