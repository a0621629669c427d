import { expect, test } from 'vitest'
import { isServerMeant, likeliest } from './subject.ts'

const SERVER = { name: 'web-2:3001', ip: '10.0.0.7', port: 3001 }

test('a server is meant by its name, its member, its address with or without the port, its pool, or by nothing at all', () => {
  for (const what of [undefined, 'web-2:3001', 'web-2', '10.0.0.7:3001', '10.0.0.7', 'web'])
    expect(isServerMeant(what, 'web', SERVER)).toBe(true)
  for (const what of ['web-22', '10.0.0.70', '10.0.0.7:3000', '3001', ''])
    expect(isServerMeant(what, 'web', SERVER)).toBe(false)
  expect(isServerMeant('[::1]:80', 'web', { name: 'v6', ip: '::1', port: 80 })).toBe(true)
})

test('names that are like what was typed are offered, the likest first', () => {
  const names = ['web-1', 'web-2', 'lb-1', 'database']
  expect(likeliest('wbe-2', names)[0]).toBe('web-2')
  expect(likeliest('data', names)).toEqual(['database'])
  expect(likeliest('something else', names)).toEqual([])
  expect(likeliest('x'.repeat(5_000), names)).toEqual([])
})
