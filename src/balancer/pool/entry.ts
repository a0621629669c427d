import type { Admin } from '../apply/plan.ts'
import type { Decision } from './policy.ts'
import { endpointOf, type Liveness, type Server } from '../server.ts'

/** What is remembered of one endpoint in one pool. */
export interface Entry {
  readonly key: string
  readonly endpoint: string
  server: Server
  liveness: Liveness | 'unexplained'
  sinceMs: number
  proven: boolean
  shelved: boolean
  downSinceMs: number | undefined
  drainingSinceMs: number | undefined
  sessions: number | undefined
  /** HAProxy has it in traffic. */
  serving: boolean
  /** The server's own, or what the guards leave of it. */
  weight: number
  /** Its own checks, as HAProxy last told; undefined while it is not there. */
  up: boolean | undefined
  /** As HAProxy last told; undefined while it is not there. */
  admin: Admin | undefined
  /** What they said last, also after somebody has put it into maintenance. */
  checksFail: boolean
  decision: Decision
}

const NEW: Decision = { stance: 'entering', reason: 'new', release: false }

/** Of a server that was never heard of before. */
export function newEntry(server: Server, nowMs: number): Entry {
  return {
    key: keyOf(server),
    endpoint: endpointOf(server),
    server,
    liveness: server.liveness,
    sinceMs: nowMs,
    proven: false,
    shelved: false,
    downSinceMs: undefined,
    drainingSinceMs: undefined,
    sessions: undefined,
    serving: false,
    weight: server.weight,
    up: undefined,
    admin: undefined,
    checksFail: false,
    decision: NEW,
  }
}

/** The endpoint of a server in its pool. */
export function keyOf(server: Server): string {
  return entryKey(server.pool, endpointOf(server))
}

/** An endpoint in a pool. */
export function entryKey(pool: string, endpoint: string): string {
  return `${pool} ${endpoint}`
}
