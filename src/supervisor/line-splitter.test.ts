import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LINE_BYTES_MAX, LineSplitter } from './line-splitter.ts'

test('lines come out whole however the bytes were cut', () => {
  const line = fc.string({ unit: 'grapheme' }).filter(text => !/[\n\r]/.test(text))
  fc.assert(
    fc.property(fc.array(line), fc.integer({ min: 1, max: 9 }), (lines, step) => {
      const bytes = Buffer.from(lines.map(text => `${text}\n`).join(''))
      const splitter = new LineSplitter()
      const found: string[] = []
      for (let at = 0; at < bytes.length; at += step) found.push(...splitter.push(bytes.subarray(at, at + step)))
      expect(found).toEqual(lines)
      expect(splitter.flush()).toEqual([])
    }),
    { numRuns: 50 },
  )
})

test('a line without end is cut into bounded pieces, never inside a character', () => {
  const splitter = new LineSplitter()
  const pieces = [...splitter.push(Buffer.from('é'.repeat(LINE_BYTES_MAX + 1))), ...splitter.flush()]
  expect(pieces.join('')).toBe('é'.repeat(LINE_BYTES_MAX + 1))
  expect(Math.max(...pieces.map(piece => Buffer.byteLength(piece)))).toBeLessThanOrEqual(LINE_BYTES_MAX)
})

test('invalid UTF-8 is replaced, endings of either kind are dropped, an unfinished line is kept for later', () => {
  const splitter = new LineSplitter()
  expect(splitter.push(Uint8Array.of(0xff, 0x61, 0x0d, 0x0a, 0x62))).toEqual(['\ufffda'])
  expect(splitter.pendingBytes).toBe(1)
  expect(splitter.flush()).toEqual(['b'])
})
