/** Why something is as it is, as the API tells it. */
import { type HistoryRecord, NotThereError, type WhyReport, type WhyVerdict } from '../../api/index.ts'
import { age } from '../../base/index.ts'
import type { Agent } from '../agent.ts'
import type { Code } from './codes.ts'
import { collectFacts } from './collect.ts'
import { evidenceOf } from './evidence.ts'
import type { Facts } from './facts.ts'
import { likeliest, recordedAs } from './subject.ts'
import { verdictsOf } from './verdict.ts'
import { listed } from './words.ts'

/** The newest ones are shown. */
const RECORDS_SHOWN = 12
const CHANGES_SHOWN = 4
const ALSO_MAX = 32

/** @throws NotThereError when neither the ring, HAProxy, this host nor the journal knows what is asked for */
export async function whyOf(agent: Agent, what: string | undefined): Promise<WhyReport> {
  const facts = await collectFacts(agent, what)
  const [first, ...also] = verdictsOf(facts)
  const verdict = first ?? gone(facts)
  if (verdict === undefined) throw new NotThereError(nobodyKnows(agent, what ?? ''))
  return {
    ...(what === undefined ? {} : { what }),
    ...{ node: facts.node, verdict, also: also.slice(0, ALSO_MAX), evidence: evidenceOf(facts) },
    records: facts.records.slice(-RECORDS_SHOWN).map(one => shown(one, what, facts.servers)),
    silent: facts.silent,
  }
}

/** Nobody has it any more, and the journal remembers it. */
function gone({ records, what = '', nowMs, node }: Facts): WhyVerdict | undefined {
  const isAbout = (one: HistoryRecord) => ['member', 'receipt', 'service'].includes(one.kind)
  const last = records.findLast(isAbout)
  if (last === undefined) return undefined
  const ago = age(nowMs - Date.parse(last.at))
  const word = last.kind === 'member' ? (EVENTS.get(String(last['event'])) ?? 'was last heard of') : 'was last heard of'
  const sentence = `${what} is not in the ring any more, as ${node} sees it: it ${word} ${ago} ago; muster history ${recordedAs(what, [])} tells more`
  return { code: 'gone' satisfies Code, severity: 'wrong', sentence, about: what }
}

const EVENTS = new Map([
  ['leave', 'left'],
  ['failed', 'failed'],
  ['reap', 'was forgotten'],
])

function nobodyKnows({ parts }: Agent, what: string): string {
  const { serf, supervisor, balancing } = parts
  const pools = balancing?.status().pools ?? []
  const servers = pools.flatMap(pool => pool.servers.map(({ name }) => name))
  const members = serf.members().map(({ name }) => name)
  const names = [
    ...members,
    ...servers,
    ...pools.map(({ name }) => name),
    ...supervisor.services().map(({ name }) => name),
  ]
  const near = likeliest(what, names)
  const hint =
    near.length === 0 ? 'muster status and muster members list what there is' : `did you mean ${listed(near)}?`
  return `nobody knows ${JSON.stringify(what)}: no member, server, pool, service or address is called so, and the journal has never heard of it; ${hint}`
}

/** Commands are for `history`; of a storm's changes only those about it. */
function shown(record: HistoryRecord, what: string | undefined, servers: Facts['servers']): HistoryRecord {
  if (record.kind !== 'receipt') return record
  const { commands: _, ...rest } = record
  const changes: unknown = record['changes']
  if (!Array.isArray(changes)) return rest
  const name = what === undefined ? undefined : recordedAs(what, servers)
  const isAbout = (one: Record<string, unknown>) =>
    name === undefined || [one['server'], one['address'], one['pool']].includes(name)
  const about = (changes as Record<string, unknown>[]).filter(isAbout)
  return { ...rest, changes: (about.length === 0 ? changes : about).slice(0, CHANGES_SHOWN) }
}
