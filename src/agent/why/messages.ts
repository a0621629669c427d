/** The Serf query by which agents tell one another what they know of a server: JSON, below Serf's 1024 bytes, hostile until read. */
import type { CheckEvidence, TrafficEvidence } from '../../balancer/index.ts'
import { ANSWER_BYTES_MAX, decodeJson, encodeJson } from '../query-json.ts'
import { type Column, count, counts, flag, maybe, oneOf, part, row, SPOILT, text } from './columns.ts'
import type { LookFacts, PoolFacts, ServerFacts, ServiceFacts } from './facts.ts'

/** The query's name. */
export const WHY_QUERY = 'muster-why'

/** What one agent knows of what was asked for. */
export interface WhyAnswer {
  readonly services: readonly ServiceFacts[]
  readonly servers: readonly ServerFacts[]
  readonly pools: readonly PoolFacts[]
}

const WHAT_BYTES_MAX = 256
/** Texts of which there are several in a row. */
const SHORT_MAX = 64

const LOOK = row<LookFacts>({
  asked: text(SHORT_MAX),
  problem: maybe(text(SHORT_MAX), ''),
  code: maybe(count(), 0),
  body: maybe(text(SHORT_MAX), ''),
  tookMs: count(),
})

const CHECK = row<CheckEvidence>({
  status: text(),
  code: maybe(count(), 0),
  tookMs: elseNought(count()),
  words: text(SHORT_MAX),
  failed: count(),
})

const TRAFFIC = row<TrafficEvidence>({
  sessions: count(),
  queued: count(),
  perSecond: count(),
  requests: count(),
  errors5xx: count(),
  connectErrors: count(),
  responseErrors: count(),
  retries: count(),
  redispatches: count(),
  responseMs: count(),
  totalMs: count(),
  quietMs: maybe(count(), -1),
})

/** Who said so is known by the answer. */
const SERVICE = row<Omit<ServiceFacts, 'node'>>({
  name: text(),
  state: text(),
  sinceMs: count(),
  restarts: count(),
  pid: maybe(count(), 0),
  reason: maybe(text(), ''),
  pool: maybe(text(), ''),
  port: maybe(count(), 0),
  lastLines: lastLine(text()),
  isFrozen: flag,
  listens: counts,
  look: part(LOOK),
})

const POOL = row<Omit<PoolFacts, 'balancer'>>({
  name: text(),
  ready: count(),
  servers: count(),
  minServers: count(),
  holdMs: count(),
})

const SERVER = row<Omit<ServerFacts, 'balancer' | 'slot'>>({
  pool: text(),
  name: text(),
  address: text(),
  state: oneOf(['ready', 'down', 'entering', 'drain', 'maint']),
  reason: text(),
  weight: count(),
  status: maybe(text(), ''),
  haproxyWeight: elseNought(count()),
  sinceMs: maybe(count(1000), -1),
  downs: elseNought(count()),
  check: part(CHECK),
  traffic: part(TRAFFIC),
  look: part(LOOK),
  drift: part(row<NonNullable<ServerFacts['drift']>>({ outcome: text(SHORT_MAX), agoMs: count() })),
})

export function encodeWhyRequest(what: string): Uint8Array {
  return encodeJson(['look', what])
}

/** Undefined for anything else. */
export function decodeWhyRequest(payload: Uint8Array): string | undefined {
  const value = decodeJson(payload)
  if (!Array.isArray(value) || value[0] !== 'look') return undefined
  const what: unknown = value[1]
  return typeof what === 'string' && what !== '' && Buffer.byteLength(what) <= WHAT_BYTES_MAX ? what : undefined
}

/** As much as fits; what is in traffic is left out first. */
export function encodeWhyAnswer({ services, servers, pools }: WhyAnswer): Uint8Array {
  const worst = [...servers].sort((a, b) => Number(a.state === 'ready') - Number(b.state === 'ready'))
  const rows = [
    ...services.map(one => tagged('s', SERVICE, one)),
    ...pools.map(one => tagged('p', POOL, one)),
    ...worst.map(one => tagged('b', SERVER, { ...one, haproxyWeight: one.haproxyWeight ?? one.weight })),
  ]
  const kept: unknown[] = []
  let size = 2
  for (const one of rows) {
    size += Buffer.byteLength(JSON.stringify(one)) + 1
    if (size > ANSWER_BYTES_MAX) break
    kept.push(one)
  }
  return encodeJson(kept)
}

/** @param from the node that answered. Rows that are none are left out. */
export function decodeWhyAnswer(from: string, payload: Uint8Array): WhyAnswer | undefined {
  const value = decodeJson(payload)
  if (!Array.isArray(value)) return undefined
  const rows = (value as unknown[]).filter(one => Array.isArray(one)) as unknown[][]
  return {
    services: readAll(rows, 's', SERVICE).map(one => ({ node: from, ...one })),
    pools: readAll(rows, 'p', POOL).map(one => ({ balancer: from, ...one })),
    servers: readAll(rows, 'b', SERVER).map(one => ({ balancer: from, ...one })),
  }
}

/** Of three kinds, told apart by what comes first: services, pools, and servers of a balancer. */
type Tag = 's' | 'p' | 'b'

function tagged<T>(tag: Tag, column: Column<T>, record: T): unknown[] {
  return [tag, ...(column.write(record) as unknown[])]
}

function readAll<T>(rows: readonly (readonly unknown[])[], tag: Tag, column: Column<T>): T[] {
  return rows.flatMap(([first, ...values]) => {
    const record = first === tag ? column.read(values) : SPOILT
    return record === SPOILT ? [] : [record]
  })
}

/** Not known travels as 0, and is read so. */
function elseNought(column: Column<number>): Column<number | undefined> {
  return { ...column, write: value => column.write(value ?? 0) }
}

/** The last one that says anything. */
function lastLine(column: Column<string>): Column<readonly string[]> {
  return {
    write: lines => column.write(lines.findLast(line => line.trim() !== '') ?? ''),
    read: found => {
      const line = column.read(found)
      if (line === SPOILT) return SPOILT
      return line === '' ? [] : [line]
    },
  }
}
