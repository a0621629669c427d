import { expect, test } from 'vitest'
import { TagsTooLargeError } from '../../serf/index.ts'
import { announcedTags, assertTagsFit, type LocalEndpoint } from './announcer.ts'

const web: LocalEndpoint = { pool: 'web', port: 30_000, weight: 200, state: 'draining' }

test('a pool is announced empty until its endpoint is up', () => {
  expect(announcedTags({ dc: 'x' }, [{ ...web, state: 'down' }])).toEqual({ dc: 'x', 'pool.web': '' })
  expect(announcedTags({}, [web])).toEqual({ 'pool.web': '30000*200!' })
})

test('tags that would not fit once the endpoints are up are refused beforehand', () => {
  const own = { note: 'x'.repeat(485) }
  expect(() => assertTagsFit(own, [{ ...web, state: 'down' }])).not.toThrow()
  expect(() => assertTagsFit(own, [web])).toThrow(TagsTooLargeError)
})
