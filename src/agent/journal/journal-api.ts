import type { HistoryAsk, HistoryPage, HistoryPools } from '../../api/index.ts'
import type { Journal, JournalQuery, PoolServer } from '../../journal/index.ts'

/** The latest time that ISO 8601 has a form for in JavaScript. */
const TIME_MS_MAX = 8.64e15

/** Answers `GET /v1/history`. @throws the system's error when the journal cannot be read for the pools */
export async function historyOf(journal: Journal, ask: HistoryAsk): Promise<HistoryPage | HistoryPools> {
  return ask.at === undefined ? await pageOf(journal, ask) : await poolsOf(journal, ask.at, ask.what)
}

async function pageOf(journal: Journal, ask: HistoryAsk): Promise<HistoryPage> {
  const query: JournalQuery = ask
  const { records, more, damaged } = await journal.read(query)
  const { problem } = journal
  return {
    records: records.map(record => ({ ...record, at: isoOf(record.at) })),
    ...{ more, damaged, ...beginsOf(journal) },
    ...(problem === undefined ? {} : { problem }),
  }
}

async function poolsOf(journal: Journal, at: number, what: string | undefined): Promise<HistoryPools> {
  const then = await journal.poolsAt(at)
  const found = { at: isoOf(at), ...beginsOf(journal) }
  if (then === undefined) return { ...found, known: false, servers: [], whole: true }
  const { servers, agent, isWhole } = then
  return {
    ...{ ...found, known: true, whole: isWhole },
    servers: servers.filter(server => isAsked(server, what)).map(one => ({ ...one, since: isoOf(one.since) })),
    ...(agent === undefined ? {} : { agent: { event: agent.event, at: isoOf(agent.at) } }),
  }
}

function isAsked({ pool, server, address }: PoolServer, what: string | undefined): boolean {
  return what === undefined || [pool, server, address, address.replace(/:\d+$/, '')].includes(what)
}

function beginsOf(journal: Journal): { begins?: string } {
  return journal.beginsAt === undefined ? {} : { begins: isoOf(journal.beginsAt) }
}

function isoOf(ms: number): string {
  return new Date(Math.min(Math.max(ms, 0), TIME_MS_MAX)).toISOString()
}
