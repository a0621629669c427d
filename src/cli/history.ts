import { apiRequest, HISTORY_KINDS, type HistoryPage, type HistoryPools, type HistoryRecord } from '../api/index.ts'
import { type ApiOptions, socketOf } from './api-options.ts'
import { EXIT } from './exit.ts'
import { wordsOf } from './history-text.ts'
import { formatTime, parseTime, zoneOf } from './history-time.ts'
import { formatOf, print, printJson, tell } from './output.ts'
import { formatTable, printable } from './table.ts'
import { UsageError } from './usage-error.ts'

export interface HistoryOptions extends ApiOptions {
  readonly at?: string
  readonly since?: string
  readonly until?: string
  readonly kind?: string
  readonly number?: string
}

/** Without `--since`; with it, everything that a terminal could want to show. */
const NUMBER = 50
const NUMBER_MAX = 10_000
const PAGE = 1000

/** What happened, the newest last; with `--at`, the pools as they were. @param what only what is about this name or address */
export async function runHistory(what: string | undefined, options: HistoryOptions): Promise<void> {
  const isJson = formatOf(options) === 'json'
  const nowMs = Date.now()
  const about = what === undefined ? {} : { what }
  if (options.at !== undefined) return await runAt(options, { ...about, at: timeOf(options, 'at', nowMs) }, isJson)
  const query = { ...about, ...kindsOf(options), ...rangeOf(options, nowMs) }
  const page = await gather(socketOf(options), query, numberOf(options))
  if (isJson) return printJson(page)
  if (page.problem !== undefined) tell(`warning: ${printable(page.problem)}`)
  if (page.damaged > 0) tell(`${page.damaged} damaged records were passed over`)
  if (page.records.length === 0) return tell(`nothing of that is on record${beginsText(page, nowMs)}`)
  print(historyTable(page.records, nowMs))
  if (page.more)
    tell(
      `there are more; for older ones say how many with -n, or --until ${formatTime(timeOfFirst(page), nowMs).replace(' ', 'T')}`,
    )
}

function timeOfFirst({ records }: HistoryPage): number {
  return Date.parse(records[0]?.at ?? '')
}

async function runAt(options: HistoryOptions, query: Record<string, string>, isJson: boolean): Promise<void> {
  const answer = await apiRequest(socketOf(options), 'GET /v1/history', query)
  if (!('servers' in answer)) throw new Error('the agent does not know how its pools were; it is of another version')
  if (!answer.known) process.exitCode = EXIT.failed
  if (isJson) return printJson(answer)
  const nowMs = Date.now()
  for (const sentence of remarksOn(answer, nowMs)) tell(sentence)
  if (answer.servers.length > 0) print(poolsTable(answer, nowMs))
}

/** What the table does not say. */
export function remarksOn(answer: HistoryPools, nowMs: number): string[] {
  const at = Date.parse(answer.at)
  const then = `${formatTime(at, nowMs)} (${zoneOf(at)})`
  if (!answer.known) return [`nothing is known of ${then}${beginsText(answer, nowMs)}`]
  const { agent } = answer
  const since = agent === undefined ? '' : formatTime(Date.parse(agent.at), nowMs)
  return [
    answer.servers.length === 0 ? `no such server was in any pool at ${then}` : `at ${then}:`,
    ...(agent?.event === 'stopped' ? [`the agent had stopped at ${since}, and HAProxy with it`] : []),
    ...(agent?.event === 'handed over' ? [`the agent had handed over at ${since}; HAProxy served on`] : []),
    ...(answer.whole ? [] : ['part of the journal is damaged here; servers may be missing']),
  ]
}

function beginsText({ begins }: { readonly begins?: string }, nowMs: number): string {
  return begins === undefined ? '' : `; the journal begins at ${formatTime(Date.parse(begins), nowMs)}`
}

export function poolsTable({ servers }: HistoryPools, nowMs: number): string {
  const rows = servers.map(({ pool, server, address, state, weight, since, reason }) => [
    ...[pool, server, address, state, String(weight)],
    ...[formatTime(Date.parse(since), nowMs), reason],
  ])
  return formatTable([['POOL', 'SERVER', 'ADDRESS', 'STATE', 'WEIGHT', 'SINCE', 'REASON'], ...rows])
}

/** The zone stands above the times when it is the same for all, else behind each. */
export function historyTable(records: readonly HistoryRecord[], nowMs: number): string {
  const zones = new Set(records.map(({ at }) => zoneOf(Date.parse(at))))
  const rows = records.map(record => {
    const at = Date.parse(record.at)
    const { who, what, why, how, took } = wordsOf(record)
    const time = formatTime(at, nowMs)
    return [zones.size === 1 ? time : `${time} ${zoneOf(at)}`, who, how, took, what, why]
  })
  const time = zones.size === 1 ? `TIME (${[...zones].join()})` : 'TIME'
  return formatTable([[time, 'WHO', 'HOW', 'TOOK', 'WHAT', 'WHY'], ...rows])
}

/** The newest `number` records, a page at a time. */
async function gather(socket: string, query: Record<string, string>, number: number): Promise<HistoryPage> {
  let all: HistoryPage | undefined
  let records: readonly HistoryRecord[] = []
  for (;;) {
    const limit = String(Math.min(PAGE, number - records.length))
    const before = records[0] === undefined ? {} : { before: String(records[0].index) }
    const page = await apiRequest(socket, 'GET /v1/history', { ...query, ...before, limit })
    if (!('records' in page)) throw new Error('the agent gave another answer than was asked for')
    records = [...page.records, ...records]
    all = { ...page, damaged: Math.max(all?.damaged ?? 0, page.damaged), records }
    if (!page.more || page.records.length === 0 || records.length >= number) return all
  }
}

function kindsOf({ kind }: HistoryOptions): Record<string, string> {
  if (kind === undefined) return {}
  const unknown = kind.split(',').find(one => !HISTORY_KINDS.some(known => known === one))
  if (unknown === undefined) return { kind }
  throw new UsageError(`--kind: "${unknown}" is none of ${HISTORY_KINDS.join(', ')}`)
}

function rangeOf(options: HistoryOptions, nowMs: number): Record<string, string> {
  return {
    ...(options.since === undefined ? {} : { since: timeOf(options, 'since', nowMs) }),
    ...(options.until === undefined ? {} : { until: timeOf(options, 'until', nowMs) }),
  }
}

function timeOf(options: HistoryOptions, name: 'at' | 'since' | 'until', nowMs: number): string {
  return String(Math.round(parseTime(`--${name}`, options[name] ?? '', nowMs)))
}

function numberOf({ number, since }: HistoryOptions): number {
  if (number === undefined) return since === undefined ? NUMBER : NUMBER_MAX
  if (!/^\d{1,6}$/.test(number) || Number(number) < 1 || Number(number) > NUMBER_MAX)
    throw new UsageError(`-n: "${number}" is not a number from 1 to ${NUMBER_MAX}`)
  return Number(number)
}
