/** A ring that is well, for tests: web-2 serves pool web behind lb-1, which is asked. A case changes what is otherwise. */
import type { DrainReport, HistoryRecord, WhySeverity } from '../../api/index.ts'
import type { Code } from './codes.ts'
import type { Facts, MemberFacts, ServerFacts, ServiceFacts } from './facts.ts'

const NOW = Date.parse('2026-11-21T12:00:00Z')
const ago = (seconds: number) => new Date(NOW - seconds * 1000).toISOString()

export const TRAFFIC = {
  ...{ sessions: 0, queued: 0, perSecond: 14, requests: 900, errors5xx: 0, connectErrors: 0, responseErrors: 0 },
  ...{ retries: 0, redispatches: 0, quietMs: 0, responseMs: 1, totalMs: 1 },
}
export const GOOD = { status: 'L7OK', code: 200, tookMs: 1, words: 'Layer7 check passed', failed: 0 }
export const BAD = { status: 'L7STS', code: 500, tookMs: 1, words: 'Internal Server Error', failed: 3 }

export const SERVER: ServerFacts = {
  ...{ balancer: 'lb-1', pool: 'web', name: 'web-2', address: '10.0.0.7:3000', state: 'ready', slot: 'slot1' },
  ...{ reason: 'announced ready', weight: 1, haproxyWeight: 1, status: 'UP', sinceMs: 42_000, downs: 0 },
  ...{ check: GOOD, traffic: TRAFFIC },
}
export const DOWN: ServerFacts = { ...SERVER, state: 'down', status: 'DOWN', check: BAD }
export const MEMBER: MemberFacts = {
  ...{ name: 'web-2', address: '10.0.0.7:7946', status: 'alive', tags: { 'pool.web': '3000' }, isSelf: false },
  ...{ sinceMs: 9_000, failures: 0, isHeld: false, refused: [], hasForeignKey: false },
  endpoints: [{ pool: 'web', port: 3000, weight: undefined, readiness: 'ready' }],
}
export const SERVICE: ServiceFacts = {
  ...{ node: 'web-2', name: 'app', state: 'ready', sinceMs: 60_000, restarts: 0, pid: 812, pool: 'web', port: 3000 },
  ...{ lastLines: ['started', 'no database', ''], isFrozen: false, listens: [3000] },
}
export const POOL = { balancer: 'lb-1', name: 'web', ready: 2, servers: 2, minServers: 1, holdMs: 10_000 }
export const RING = {
  ...{ alive: 4, failed: [], failedTogether: 0, left: 0, balancers: ['lb-1'], hasStopped: false, isAlone: false },
  warnings: [],
}
export const BALANCER = { version: '2.6.12', haproxy: 'ready', reloads: 0, drifts: [], advice: [] }
export const FACTS: Facts = {
  ...{ what: 'web-2', node: 'lb-1', isService: false, isBalancer: true },
  ...{ members: [MEMBER], servers: [SERVER], services: [], pools: [POOL], balancer: BALANCER, ring: RING },
  ...{ drains: [], guards: [], nowMs: NOW, records: [], silent: [] },
}
export const DRAIN: DrainReport = {
  ...{ server: 'web-2', by: 'anna@lb-1', since: ago(180), reason: 'new disk', forced: false, takenBack: false },
  ...{ sessions: 2, done: false, silent: [] },
  balancers: [{ name: 'lb-1', sessions: 2, bound: false, open: false, confirmed: true }],
}

/** What is otherwise than in `FACTS`; `what: undefined` asks about the node. */
type Otherwise = { readonly [K in keyof Facts]?: Facts[K] | undefined }

/** What is said first, and how it is put. */
export type VerdictCase = readonly [code: Code, severity: WhySeverity, otherwise: Otherwise, sentence: RegExp]

export function withFacts(otherwise: Otherwise): Facts {
  return Object.fromEntries(
    Object.entries({ ...FACTS, ...otherwise }).filter(([, value]) => value !== undefined),
  ) as unknown as Facts
}

export const record = (kind: HistoryRecord['kind'], more: object, seconds = 3): HistoryRecord => ({
  ...{ index: 1, at: ago(seconds), kind },
  ...more,
})
export const server = (more: Partial<ServerFacts>): Otherwise => ({ servers: [{ ...SERVER, ...more }] })
export const down = (more: Partial<ServerFacts>): Otherwise => ({ servers: [{ ...DOWN, ...more }] })
export const check = (more: object) => down({ check: { ...BAD, ...more } })
export const look = (more: object) => ({ asked: 'GET /up', tookMs: 2, ...more })
export const member = (more: Partial<MemberFacts>): Otherwise => ({ members: [{ ...MEMBER, ...more }] })
/** @param rest as a rule, no balancer has told of it */
export const service = (more: Partial<ServiceFacts>, rest: Otherwise = { servers: [] }): Otherwise => ({
  services: [{ ...SERVICE, ...more }],
  ...rest,
})
export const node = (more: Otherwise): Otherwise => ({ ...more, what: undefined })
export const balancer = (more: object) => node({ balancer: { ...BALANCER, ...more } })
export const ring = (more: object) => node({ ring: { ...RING, ...more } })
