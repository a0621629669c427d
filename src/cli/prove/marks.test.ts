import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import type { Load } from '../../prove/index.ts'
import { Ledger } from '../../prove/index.ts'
import { listenForMarks, tellProver } from './marks.ts'

test('what a command tells is done, and what makes no sense is answered with a reason', async () => {
  const ledger = new Ledger('r')
  const marks = await listenForMarks(() => ledger as unknown as Load)
  await tellProver(marks.path, ['mark', 'the', 'second act'])
  await tellProver(marks.path, ['kill-begins', 'web-1'])
  expect(ledger.kills).toBe(1)
  await expect(tellProver(marks.path, ['kill-ends', 'web-2'])).rejects.toThrow('had not begun')
  await tellProver(marks.path, ['kill-ends', 'web-1'])
  await expect(tellProver(marks.path, ['stop'])).rejects.toThrow('"stop" is none of')
  expect(ledger.stats(0).windows.map(({ name }) => name)).toEqual(['start', 'the second act'])
  await marks[Symbol.asyncDispose]()
  expect(existsSync(marks.path)).toBe(false)
  await expect(tellProver(marks.path, ['mark', 'x'])).rejects.toThrow()
})

test('a line without an end is not kept', async () => {
  await using marks = await listenForMarks(() => new Ledger('r') as unknown as Load)
  const socket = connect(marks.path)
  socket.on('error', () => {}) // it is closed in the middle of our sentence
  socket.write('x'.repeat(100_000))
  await new Promise(resolve => socket.once('close', resolve))
})
