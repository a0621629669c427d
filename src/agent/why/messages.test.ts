import { expect, test } from 'vitest'
import { seededRandom } from '../../base/index.ts'
import type { ServerFacts, ServiceFacts } from './facts.ts'
import { isOwnBusiness } from '../endpoints/drain.ts'
import { decodeWhyAnswer, decodeWhyRequest, encodeWhyAnswer, encodeWhyRequest, WHY_QUERY } from './messages.ts'

const SERVER: ServerFacts = {
  ...{
    balancer: 'lb-1',
    pool: 'web',
    name: 'web-2',
    address: '10.0.0.7:3000',
    state: 'down',
    reason: 'announced ready',
  },
  ...{ weight: 1, status: 'DOWN', haproxyWeight: 1, sinceMs: 42_000, downs: 1 },
  check: { status: 'L7STS', code: 500, tookMs: 1, words: 'Internal Server Error', failed: 3 },
  traffic: {
    ...{ sessions: 1, queued: 0, perSecond: 4, requests: 9, errors5xx: 1, connectErrors: 0, responseErrors: 0 },
    ...{ retries: 0, redispatches: 0, responseMs: 1, totalMs: 1, quietMs: undefined },
  },
  look: { asked: 'GET /up', problem: 'answered 500', code: 500, body: 'database gone', tookMs: 2 },
  drift: { outcome: 'put right', agoMs: 5 },
}
const SERVICE: ServiceFacts = {
  ...{ node: 'web-2', name: 'app', state: 'backoff', sinceMs: 60_000, restarts: 2, pid: 812, reason: 'exit status 3' },
  ...{ pool: 'web', port: 3000, lastLines: ['no database'], isFrozen: true, listens: [3000, 3001] },
  look: { asked: 'GET /up', problem: 'connect ECONNREFUSED', tookMs: 2 },
}
const POOL = { balancer: 'lb-1', name: 'web', ready: 2, servers: 3, minServers: 1, holdMs: 10_000 }

test('what one agent knows comes back as it was, with who said so', () => {
  const answer = { services: [], servers: [SERVER], pools: [POOL] }
  expect(decodeWhyAnswer('lb-1', encodeWhyAnswer(answer))).toEqual(answer)
  const beside = { services: [SERVICE], servers: [], pools: [] }
  expect(decodeWhyAnswer('web-2', encodeWhyAnswer(beside))).toEqual(beside)
  expect(decodeWhyRequest(encodeWhyRequest('10.0.0.7:3000'))).toBe('10.0.0.7:3000')
})

test('rows keep their order, since agents of other releases read them', () => {
  const { look: _, drift: __, ...server } = SERVER
  const rows = [
    '["s","app","backoff",60000,2,812,"exit status 3","web",3000,"no database",1,[3000,3001],["GET /up","connect ECONNREFUSED",0,"",2]]',
    '["p","web",2,3,1,10000]',
    '["b","web","web-2","10.0.0.7:3000","down","announced ready",1,"DOWN",1,42,1,["L7STS",500,1,"Internal Server Error",3],[1,0,4,9,1,0,0,0,0,1,1,-1],0,0]',
  ]
  const answer = encodeWhyAnswer({ services: [SERVICE], servers: [server], pools: [POOL] })
  expect(Buffer.from(answer).toString()).toBe(`[${rows.join(',')}]`)
})

test('an answer fits a Serf query whatever is in it; what is not well is kept first', () => {
  const long = 'ü'.repeat(2_000)
  const servers = Array.from({ length: 500 }, (_, at) => ({ ...SERVER, name: `web-${at}`, state: 'ready' as const }))
  const answer = encodeWhyAnswer({
    services: [{ ...SERVICE, name: 'x', reason: long, lastLines: [long] }],
    servers: [...servers, { ...SERVER, name: 'sick' }],
    pools: [POOL],
  })
  expect(answer.length).toBeLessThan(960)
  const read = decodeWhyAnswer('web-2', answer)
  expect(read?.services).toHaveLength(1)
  const many = decodeWhyAnswer(
    'lb-1',
    encodeWhyAnswer({ services: [], servers: [...servers, { ...SERVER, name: 'sick' }], pools: [] }),
  )
  expect(many?.servers[0]?.name).toBe('sick')
})

test('any bytes are an answer of sound rows, or none', () => {
  const random = seededRandom(41)
  const good = encodeWhyAnswer({ services: [SERVICE], servers: [SERVER], pools: [POOL] })
  for (let round = 0; round < 3_000; round++) {
    const bytes = Uint8Array.from(good)
    for (let at = 0; at < 1 + (round % 5); at++) bytes[random.below(bytes.length)] = random.below(256)
    const read = decodeWhyAnswer('x', bytes)
    for (const one of read?.servers ?? []) expect(['ready', 'down', 'entering', 'drain', 'maint']).toContain(one.state)
    for (const one of read?.services ?? []) expect(one.sinceMs).toBeGreaterThanOrEqual(0)
    decodeWhyRequest(bytes)
  }
  for (const text of [
    '',
    'null',
    '7',
    '{}',
    '[["b"]]',
    '[["s",1,2]]',
    '["look"]',
    '["look",""]',
    `["look","${'x'.repeat(300)}"]`,
  ]) {
    expect(decodeWhyRequest(Buffer.from(text))).toBeUndefined()
    const read = decodeWhyAnswer('x', Buffer.from(text))
    expect([undefined, 0]).toContain(read && read.servers.length + read.services.length + read.pools.length)
  }
  expect(decodeWhyAnswer('x', Buffer.alloc(2_000, '['))).toBeUndefined()
})

test('neither handlers nor people are told of the query', () => {
  expect(isOwnBusiness({ kind: 'query', name: WHY_QUERY })).toBe(true)
})
