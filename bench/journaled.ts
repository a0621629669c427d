/** A process that fills a journal and asks it, for `journal.ts`: its figures are a line of JSON. */
import { systemClock, silentLog } from '../src/base/index.ts'
import { type Journal, type JournalEntry, openJournal } from '../src/journal/index.ts'
import { median } from './table.ts'

export interface JournalCost {
  readonly recordsPerSecond: number
  /** Microseconds that whoever appends is held up for each record. */
  readonly appendUs: number
  readonly bytesPerRecord: number
  readonly mib: number
  /** Of the heap, after a collection, more than before the journal was opened. */
  readonly heapMib: number
  readonly residentMib: number
  readonly openMs: number
  /** Medians. */
  readonly atMs: number
  readonly newestMs: number
  readonly byNameMs: number
}

const SERVERS = 200
const BURST = 500
/** Some more than fit into 64 MiB. */
const RECORDS = 260_000
const REPETITIONS = 9

const directory = process.argv[2] as string
const gc = (globalThis as { gc?: () => void }).gc ?? (() => undefined)
const mib = (bytes: number): number => bytes / 1024 / 1024

gc()
const heapBefore = process.memoryUsage().heapUsed
const journal = await openJournal({ directory }, { clock: systemClock, log: silentLog })
const startedAt = systemClock.wallMs()
const { seconds, appendUs } = await fill(journal)
const filledAt = systemClock.wallMs()
gc()
const heapMib = mib(process.memoryUsage().heapUsed - heapBefore)
const from = journal.beginsAt ?? startedAt
let turn = 0
const atMs = await medianMs(() => journal.poolsAt(from + ((filledAt - from) * (++turn % REPETITIONS)) / REPETITIONS))
const newestMs = await medianMs(() => journal.read({ limit: 50 }))
const byNameMs = await medianMs(() => journal.read({ what: 'nobody' }))
const residentMib = mib(process.memoryUsage().rss)
const records = RECORDS + SERVERS
const bytes = journal.bytes
await journal.close()
const openedAt = performance.now()
const again = await openJournal({ directory }, { clock: systemClock, log: silentLog })
const openMs = performance.now() - openedAt
const oldest = (await again.read({ after: 0, limit: 1 })).records[0]
const newest = (await again.read({ limit: 1 })).records[0]
await again.close()
const kept = (newest?.index ?? 0) - (oldest?.index ?? 0)
const cost: JournalCost = {
  ...{ recordsPerSecond: records / seconds, appendUs, bytesPerRecord: bytes / kept, mib: mib(bytes) },
  ...{ heapMib, residentMib, openMs, atMs, newestMs, byNameMs },
}
console.log(JSON.stringify(cost))

async function fill(into: Journal): Promise<{ seconds: number; appendUs: number }> {
  const began = performance.now()
  let appending = 0
  for (let at = -SERVERS; at < RECORDS; at += BURST) {
    const burst = performance.now()
    for (let i = at; i < Math.min(at + BURST, RECORDS); i++) into.append(entryOf(i))
    appending += performance.now() - burst
    await into.flush()
  }
  const records = RECORDS + SERVERS
  return { seconds: (performance.now() - began) / 1000, appendUs: (appending * 1000) / records }
}

/** Of three, one is a receipt of one change, two are of members; first of all the servers come in. */
function entryOf(i: number): JournalEntry {
  const n = (i + SERVERS) % SERVERS
  const place = { pool: 'web', server: `web-${n}`, address: `10.1.0.${n}:3000` }
  if (i >= 0 && i % 3 !== 0) {
    const member = { address: `10.1.0.${n}:7946`, status: 'alive', tags: { 'pool.web': '3000*1', dc: 'lausanne' } }
    return {
      ...{ kind: 'member', event: 'update', member: `web-${n}`, seenBy: 'lb-1' },
      ...{ before: member, after: { ...member, tags: { 'pool.web': '3000*1!', dc: 'lausanne' } } },
    }
  }
  const [ready, drain] = ['ready', 'drain'].map(state => ({ state, weight: 1 }))
  const after = (i % 2 === 0 ? ready : drain) ?? null
  return {
    ...{ kind: 'receipt', id: `${i}`, actor: 'muster', method: 'runtime', reasons: [], tookMs: 2.4 },
    causes: [{ what: 'member-update', member: place.server, seenBy: 'lb-1' }],
    commands: [`set server web/slot${n} state drain`],
    changes: [{ ...place, before: i < 0 ? null : (ready ?? null), after, reason: 'its member drains' }],
  }
}

async function medianMs(act: () => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < REPETITIONS; i++) {
    const began = performance.now()
    await act()
    times.push(performance.now() - began)
  }
  return median(times)
}
