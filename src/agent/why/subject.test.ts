import { expect, test } from 'vitest'
import type { SerfMember } from '../../serf/index.ts'
import { isMemberMeant, isServerMeant, likeliest, recordedAs } from './subject.ts'

const SERVER = { name: 'web-2:3001', ip: '10.0.0.7', port: 3001 }

test('a server is meant by its name, its member, its address with or without the port, its pool, or by nothing at all', () => {
  for (const what of [undefined, 'web-2:3001', 'web-2', '10.0.0.7:3001', '10.0.0.7', 'web'])
    expect(isServerMeant(what, 'web', SERVER)).toBe(true)
  for (const what of ['web-22', '10.0.0.70', '10.0.0.7:3000', '3001', ''])
    expect(isServerMeant(what, 'web', SERVER)).toBe(false)
  expect(isServerMeant('[::1]:80', 'web', { name: 'v6', ip: '::1', port: 80 })).toBe(true)
})

test('a server with a name of its own is meant by that name with its port, and by what history prints, its pool and its name', () => {
  const server = { name: 'web-1', ip: '10.0.0.7', port: 3000 }
  for (const what of ['web-1:3000', 'web/web-1', 'web/web-1:3000', 'web/10.0.0.7:3000', 'web/10.0.0.7'])
    expect(isServerMeant(what, 'web', server)).toBe(true)
  for (const what of ['web-1:3001', 'api/web-1', 'web/web-2', 'web/', '/web-1', 'web/web'])
    expect(isServerMeant(what, 'web', server)).toBe(false)
  expect(isServerMeant('web/web-2:3001', 'web', SERVER)).toBe(true)
})

test('so is its member, also while nothing of it is ready', () => {
  const member = (tags: Record<string, string>) =>
    ({ name: 'web-1', ip: '10.0.0.7', port: 7946, tags }) as unknown as SerfMember
  for (const what of ['web', 'web-1', 'web-1:3000', 'web/web-1', '10.0.0.7:3000'])
    expect(isMemberMeant(what, member({ 'pool.web': '3000' }), 'web')).toBe(true)
  expect(isMemberMeant('web/web-1', member({ role: 'backend' }), 'web')).toBe(true)
  expect(isMemberMeant('web/web-1', member({ 'pool.web': '' }), 'web')).toBe(true)
  expect(isMemberMeant('api/web-1', member({ 'pool.web': '3000' }), 'web')).toBe(false)
})

test('the journal is asked for the name that it has', () => {
  const servers = [{ name: 'web-1', address: '10.0.0.7:3000' }]
  for (const what of ['web-1', 'web/web-1', 'web-1:3000', 'web/web-1:3000'])
    expect(recordedAs(what, servers)).toBe('web-1')
  expect(recordedAs('web-2:3001', [{ name: 'web-2:3001', address: '10.0.0.7:3001' }])).toBe('web-2:3001')
  expect(recordedAs('10.0.0.7:3000', servers)).toBe('10.0.0.7:3000')
})

test('names that are like what was typed are offered, the likest first', () => {
  const names = ['web-1', 'web-2', 'lb-1', 'database']
  expect(likeliest('wbe-2', names)[0]).toBe('web-2')
  expect(likeliest('data', names)).toEqual(['database'])
  expect(likeliest('something else', names)).toEqual([])
  expect(likeliest('x'.repeat(5_000), names)).toEqual([])
})
