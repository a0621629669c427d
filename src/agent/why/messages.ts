/** The Serf query by which agents tell one another what they know of a server: JSON, below Serf's 1024 bytes, hostile until read. */
import type { CheckEvidence, ServerStatus, TrafficEvidence } from '../../balancer/index.ts'
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
const PAYLOAD_BYTES_MAX = 1024
/** A whole answer; Serf's bound is 1024 with its own head. */
const ANSWER_BYTES_MAX = 900
const TEXT_MAX = 120
const SHORT_MAX = 64
const LIST_MAX = 8
const COUNT_MAX = 1e12

export function encodeWhyRequest(what: string): Uint8Array {
  return Buffer.from(JSON.stringify(['look', what]))
}

/** Undefined for anything else. */
export function decodeWhyRequest(payload: Uint8Array): string | undefined {
  const value = parsed(payload)
  if (!Array.isArray(value) || value[0] !== 'look') return undefined
  const what: unknown = value[1]
  return typeof what === 'string' && what !== '' && Buffer.byteLength(what) <= WHAT_BYTES_MAX ? what : undefined
}

/** As much as fits; what is in traffic is left out first. */
export function encodeWhyAnswer({ services, servers, pools }: WhyAnswer): Uint8Array {
  const worst = [...servers].sort((a, b) => Number(a.state === 'ready') - Number(b.state === 'ready'))
  const rows = [
    ...services.map(one => ['s', ...serviceRow(one)]),
    ...pools.map(one => ['p', one.name, one.ready, one.servers, one.minServers, one.holdMs]),
    ...worst.map(one => ['b', ...serverRow(one)]),
  ]
  const kept: unknown[] = []
  let size = 2
  for (const row of rows) {
    size += Buffer.byteLength(JSON.stringify(row)) + 1
    if (size > ANSWER_BYTES_MAX) break
    kept.push(row)
  }
  return Buffer.from(JSON.stringify(kept))
}

/** @param from the node that answered. Rows that are none are left out. */
export function decodeWhyAnswer(from: string, payload: Uint8Array): WhyAnswer | undefined {
  const value = parsed(payload)
  if (!Array.isArray(value)) return undefined
  const rows = (value as unknown[]).filter(row => Array.isArray(row)).slice(0, PAYLOAD_BYTES_MAX) as unknown[][]
  const of = (kind: string) => rows.filter(row => row[0] === kind).map(row => new Reader(row.slice(1)))
  return {
    services: of('s').flatMap(row => whole(row, serviceOf(from, row))),
    pools: of('p').flatMap(row => whole(row, poolOf(from, row))),
    servers: of('b').flatMap(row => whole(row, serverOf(from, row))),
  }
}

function serviceRow(one: ServiceFacts): unknown[] {
  const { name, state, sinceMs, restarts, pid, reason, pool, port, lastLines, isFrozen, listens, look } = one
  const line = lastLines.findLast(text => text.trim() !== '') ?? ''
  const texts = [cut(reason ?? ''), pool ?? '', port ?? 0, cut(line)]
  const process = [isFrozen ? 1 : 0, listens === undefined ? 0 : listens.slice(0, LIST_MAX)]
  return [cut(name), state, Math.floor(sinceMs), restarts, pid ?? 0, ...texts, ...process, lookRow(look)]
}

function serviceOf(node: string, row: Reader): ServiceFacts {
  const [name, state, sinceMs, restarts, pid] = [row.text(), row.text(), row.count(), row.count(), row.count()]
  const [reason, pool, port, line] = [row.text(), row.text(), row.count(), row.text()]
  const [isFrozen, listens, look] = [row.count() === 1, row.counts(), lookOf(row.inner())]
  return {
    ...{ node, name, state, sinceMs, restarts, isFrozen, lastLines: line === '' ? [] : [line] },
    ...(pid === 0 ? {} : { pid }),
    ...(reason === '' ? {} : { reason }),
    ...(pool === '' ? {} : { pool }),
    ...(port === 0 ? {} : { port }),
    ...(listens === undefined ? {} : { listens }),
    ...(look === undefined ? {} : { look }),
  }
}

function serverRow(one: ServerFacts): unknown[] {
  const {
    pool,
    name,
    address,
    state,
    reason,
    weight,
    status,
    haproxyWeight,
    sinceMs,
    downs,
    check,
    traffic,
    look,
    drift,
  } = one
  const seconds = sinceMs === undefined ? -1 : Math.floor(sinceMs / 1000)
  const head = [
    pool,
    cut(name),
    cut(address),
    state,
    cut(reason),
    weight,
    status ?? '',
    haproxyWeight ?? weight,
    seconds,
    downs ?? 0,
  ]
  const checkRow =
    check === undefined
      ? 0
      : [check.status, check.code ?? 0, check.tookMs ?? 0, cut(check.words, SHORT_MAX), check.failed]
  const driftRow = drift === undefined ? 0 : [cut(drift.outcome, SHORT_MAX), Math.floor(drift.agoMs)]
  return [
    ...head,
    checkRow,
    traffic === undefined ? 0 : TRAFFIC.map(key => Math.floor(traffic[key] ?? -1)),
    lookRow(look),
    driftRow,
  ]
}

function serverOf(balancer: string, row: Reader): ServerFacts {
  const [pool, name, address, state, reason, weight] = [
    row.text(),
    row.text(),
    row.text(),
    row.text(),
    row.text(),
    row.count(),
  ]
  const [status, haproxyWeight, seconds, downs] = [row.text(), row.count(), row.count(-1), row.count()]
  const [check, traffic, look, drift] = [
    checkOf(row.inner()),
    trafficOf(row.inner()),
    lookOf(row.inner()),
    driftOf(row.inner()),
  ]
  if (!STATES.has(state)) row.refuse()
  return {
    ...{ balancer, pool, name, address, state: state as ServerStatus['state'], reason, weight, haproxyWeight, downs },
    ...(status === '' ? {} : { status }),
    ...(seconds < 0 ? {} : { sinceMs: seconds * 1000 }),
    ...(check === undefined ? {} : { check }),
    ...(traffic === undefined ? {} : { traffic }),
    ...(look === undefined ? {} : { look }),
    ...(drift === undefined ? {} : { drift }),
  }
}

const STATES: ReadonlySet<string> = new Set(['ready', 'down', 'entering', 'drain', 'maint'])
const TRAFFIC = [
  ...(['sessions', 'queued', 'perSecond', 'requests', 'errors5xx', 'connectErrors', 'responseErrors'] as const),
  ...(['retries', 'redispatches', 'responseMs', 'totalMs', 'quietMs'] as const),
]

function poolOf(balancer: string, row: Reader): PoolFacts {
  const [name, ready, servers, minServers, holdMs] = [row.text(), row.count(), row.count(), row.count(), row.count()]
  return { balancer, name, ready, servers, minServers, holdMs }
}

function checkOf(row: Reader | undefined): CheckEvidence | undefined {
  if (row === undefined) return undefined
  const [status, code, tookMs, words, failed] = [row.text(), row.count(), row.count(), row.text(), row.count()]
  if (!row.isGood) return undefined
  return { status, code: code === 0 ? undefined : code, tookMs, words, failed }
}

function trafficOf(row: Reader | undefined): TrafficEvidence | undefined {
  if (row === undefined) return undefined
  const counts = Object.fromEntries(TRAFFIC.map(key => [key, row.count(-1)])) as unknown as TrafficEvidence
  if (!row.isGood) return undefined
  return { ...counts, quietMs: (counts.quietMs ?? -1) < 0 ? undefined : counts.quietMs }
}

function driftOf(row: Reader | undefined): ServerFacts['drift'] {
  if (row === undefined) return undefined
  const [outcome, agoMs] = [row.text(), row.count()]
  return row.isGood ? { outcome, agoMs } : undefined
}

function lookRow(look: LookFacts | undefined): unknown {
  if (look === undefined) return 0
  return [
    cut(look.asked, SHORT_MAX),
    cut(look.problem ?? '', SHORT_MAX),
    look.code ?? 0,
    cut(look.body ?? '', SHORT_MAX),
    Math.floor(look.tookMs),
  ]
}

function lookOf(row: Reader | undefined): LookFacts | undefined {
  if (row === undefined) return undefined
  const [asked, problem, code, body, tookMs] = [row.text(), row.text(), row.count(), row.text(), row.count()]
  if (!row.isGood) return undefined
  return {
    ...{ asked, tookMs },
    ...(problem === '' ? {} : { problem }),
    ...(code === 0 ? {} : { code }),
    ...(body === '' ? {} : { body }),
  }
}

/** Takes one value after the other from a row; a wrong one spoils the row. */
class Reader {
  isGood = true
  readonly #row: readonly unknown[]
  #at = 0

  constructor(row: readonly unknown[]) {
    this.#row = row
  }

  text(): string {
    const value = this.#row[this.#at++]
    if (typeof value === 'string' && value.length <= WHAT_BYTES_MAX) return value
    this.refuse()
    return ''
  }

  count(min = 0): number {
    const value = this.#row[this.#at++]
    if (typeof value === 'number' && Number.isFinite(value) && value >= min && value <= COUNT_MAX) return value
    this.refuse()
    return 0
  }

  counts(): number[] | undefined {
    const value = this.#row[this.#at++]
    if (!Array.isArray(value)) return undefined
    return (value as unknown[])
      .slice(0, LIST_MAX)
      .filter(one => typeof one === 'number' && Number.isSafeInteger(one)) as number[]
  }

  inner(): Reader | undefined {
    const value = this.#row[this.#at++]
    return Array.isArray(value) ? new Reader(value as unknown[]) : undefined
  }

  refuse(): void {
    this.isGood = false
  }
}

function whole<T>(row: Reader, value: T): T[] {
  return row.isGood ? [value] : []
}

function cut(text: string, max = TEXT_MAX): string {
  return text.length <= max ? text : `${text.slice(0, max - 1)}…`
}

function parsed(payload: Uint8Array): unknown {
  if (payload.length > PAYLOAD_BYTES_MAX) return undefined
  try {
    return JSON.parse(Buffer.from(payload).toString('utf8')) as unknown
  } catch {
    return undefined // not ours
  }
}
