import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatPoolTag, isHostLocal, poolTag, readEndpoints } from './endpoints.ts'

const defaults = { pool: 'web' }
const read = (tags: Record<string, string>) => readEndpoints(tags, defaults)

test('role=backend alone is one endpoint on the default port of the default pool', () => {
  expect(read({ role: 'backend' }).endpoints).toEqual([
    { pool: 'web', port: 3000, weight: undefined, readiness: 'plain' },
  ])
})

test('plain tags may name port, pool and weight', () => {
  const { endpoints } = read({ role: 'backend', port: '8080', pool: 'api', weight: '7' })
  expect(endpoints).toEqual([{ pool: 'api', port: 8080, weight: 7, readiness: 'plain' }])
})

test('any pool. tag ends the plain reading, so that hand-made balancers can be served too', () => {
  expect(read({ role: 'backend', 'pool.web': '' }).endpoints).toEqual([])
  expect(read({ role: 'backend', 'pool.web': '3000' }).endpoints.map(e => e.readiness)).toEqual(['ready'])
})

test('several endpoints are joined by +, with weight and !', () => {
  expect(read({ 'pool.web': '3000*5+3001!' }).endpoints).toEqual([
    { pool: 'web', port: 3000, weight: 5, readiness: 'ready' },
    { pool: 'web', port: 3001, weight: undefined, readiness: 'draining' },
  ])
})

test('what could break a configuration line is refused and named, and the sound rest counts', () => {
  const reading = read({ 'pool.web': '3000+80 backup+70000+3001*999', 'pool.x\n server evil 1.2.3.4:80': '80' })
  expect(reading.endpoints.map(e => e.port)).toEqual([3000])
  expect(reading.refused).toHaveLength(4)
})

test('a member without role=backend and without pool tags serves nothing', () => {
  expect(read({ role: 'balancer', port: '80' })).toEqual({ endpoints: [], refused: [] })
})

test('what is announced reads back as it was', () => {
  const endpoint = fc.record({
    port: fc.integer({ min: 1, max: 65535 }),
    weight: fc.option(fc.integer({ min: 0, max: 256 }), { nil: undefined }),
    readiness: fc.constantFrom('ready' as const, 'draining' as const),
  })
  fc.assert(
    fc.property(fc.uniqueArray(endpoint, { selector: e => e.port, maxLength: 30 }), announced => {
      const { endpoints, refused } = read({ [poolTag('web')]: formatPoolTag(announced) })
      expect(refused).toEqual([])
      expect(endpoints).toEqual(announced.sort((a, b) => a.port - b.port).map(e => ({ pool: 'web', ...e })))
    }),
  )
})

test('no tags make it throw', () => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.string()), tags => void read({ ...tags, role: 'backend' })))
})

test('addresses that mean something else on every host are known', () => {
  for (const ip of ['127.0.0.1', '127.9.9.9', '::1', 'fe80::1', '169.254.0.1', '0.0.0.0'])
    expect(isHostLocal(ip)).toBe(true)
  for (const ip of ['10.0.0.1', '192.168.1.1', '2001:db8::1', 'fd00::1']) expect(isHostLocal(ip)).toBe(false)
})
