import type { HistoryRecord } from '../api/index.ts'

/** What the line of a record says. */
export interface RecordWords {
  readonly who: string
  readonly what: string
  readonly why: string
  readonly how: string
  /** How long it took. */
  readonly took: string
}

const CHANGES_SHOWN = 3
const TAGS_SHOWN = 4
const NONE = '-'

/** The agent may be of another version than we are: what is not as expected is left out, and nothing throws. */
export function wordsOf(record: HistoryRecord): RecordWords {
  const words = WORDS[record.kind]?.(record) ?? {}
  const given = { who: NONE, what: record.kind, why: '', how: NONE, took: NONE }
  return { ...given, ...Object.fromEntries(Object.entries(words).filter(([, text]) => text !== '')) }
}

const WORDS: Readonly<Record<string, (record: HistoryRecord) => Partial<RecordWords>>> = {
  member: ({ member, event, seenBy, before, after }) => {
    const happened = MEMBER_WORDS[textOf(event)] ?? textOf(event)
    const [was, is] = [objectOf(before), objectOf(after)]
    const what = `${textOf(member)} ${textOf(is['address'])} ${happened}`
    return { who: textOf(seenBy), what, why: memberWhy(textOf(event), was, is), how: 'gossip' }
  },
  service: ({ service, before, after, pid, reason }) => {
    const from = typeof before === 'string' ? `${before} → ` : ''
    return {
      ...{ who: 'supervisor', what: `service ${textOf(service)}: ${from}${textOf(after)}`, why: textOf(reason) },
      how: typeof pid === 'number' ? `pid ${pid}` : NONE,
    }
  },
  receipt: record => ({
    ...{ who: textOf(record['actor']), what: changesOf(record), why: receiptWhy(record) },
    ...{ how: textOf(record['method']), took: tookOf(record) },
  }),
  command: record => {
    const [how = '', refusal = ''] = textOf(record['outcome']).split(/(?<=^refused): /)
    const why = [textOf(record['reason']), refusal].filter(Boolean).join('; ')
    return { who: textOf(record['actor']), what: textOf(record['command']), why, how, took: tookOf(record) }
  },
  guard: ({ guard, what, reason }) => ({
    ...{ who: `guard ${textOf(guard)}`, what: textOf(what), why: textOf(reason) },
  }),
  check: ({ pool, server, before, after, reason }) => ({
    who: 'haproxy',
    ...{
      what: `${textOf(pool)}: ${textOf(server)} ${textOf(before)} → ${textOf(after)}`,
      why: textOf(reason),
      how: 'check',
    },
  }),
  agent: ({ node, event, version, pid, reason, missing }) =>
    event === 'gap'
      ? { who: 'journal', what: `${textOf(missing)} records are missing here`, why: textOf(reason) }
      : {
          ...{ who: textOf(node), what: `agent ${textOf(event)}, version ${textOf(version)}`, why: textOf(reason) },
          how: typeof pid === 'number' ? `pid ${pid}` : NONE,
        },
}

const MEMBER_WORDS: Readonly<Record<string, string>> = {
  join: 'joined',
  leave: 'left',
  failed: 'failed',
  update: 'changed',
  reap: 'was forgotten',
}

function memberWhy(event: string, was: Record<string, unknown>, is: Record<string, unknown>): string {
  if (event === 'join') return was['status'] === undefined ? '' : `was ${textOf(was['status'])}`
  if (event !== 'update') return ''
  const address = was['address'] === is['address'] ? [] : [`${textOf(was['address'])} → ${textOf(is['address'])}`]
  const [before, after] = [objectOf(was['tags']), objectOf(is['tags'])]
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(key => before[key] !== after[key])
  const tags = keys.slice(0, TAGS_SHOWN).map(key => tagChange(key, before[key], after[key]))
  return [...address, ...tags, ...(keys.length > TAGS_SHOWN ? [`${keys.length - TAGS_SHOWN} more tags`] : [])].join(
    ', ',
  )
}

function tagChange(key: string, before: unknown, after: unknown): string {
  if (before === undefined) return `+${key}=${textOf(after)}`
  return after === undefined ? `-${key}` : `${key}=${textOf(before)} → ${key}=${textOf(after)}`
}

function changesOf(record: HistoryRecord): string {
  const changes = listOf(record['changes'])
  const shown = changes.slice(0, CHANGES_SHOWN).map(change => {
    const place = `${textOf(change['pool'])}/${textOf(change['server'])} ${textOf(change['address'])}`
    return `${place} ${standingOf(change['before'], 'new')} → ${standingOf(change['after'], 'gone')}`
  })
  const more = changes.length > CHANGES_SHOWN ? [`and ${changes.length - CHANGES_SHOWN} more`] : []
  const part = record['parts'] === undefined ? [] : [`(part ${textOf(record['part'])} of ${textOf(record['parts'])})`]
  return changes.length === 0 ? 'no server has changed' : [shown.join('; '), ...more, ...part].join(' ')
}

function standingOf(standing: unknown, none: string): string {
  const { state, weight } = objectOf(standing)
  if (state === undefined) return none
  return weight === 1 || weight === undefined ? textOf(state) : `${textOf(state)} (weight ${textOf(weight)})`
}

function receiptWhy(record: HistoryRecord): string {
  const causes = listOf(record['causes']).map(({ what, member, seenBy, configuration }) => {
    const by = seenBy === undefined ? [] : [`seen by ${textOf(seenBy)}`]
    return [what, member, ...by, configuration].map(textOf).filter(Boolean).join(' ')
  })
  const reasons = Array.isArray(record['reasons']) ? record['reasons'].map(textOf) : []
  const first = objectOf(listOf(record['changes'])[0])['reason']
  const problem = record['problem'] === undefined ? [] : [`not done to its end: ${textOf(record['problem'])}`]
  return [...new Set([...problem, ...causes, ...reasons, textOf(first)])].filter(Boolean).join('; ')
}

function tookOf({ tookMs }: HistoryRecord): string {
  if (typeof tookMs !== 'number') return ''
  return tookMs < 10 ? `${Number(tookMs.toFixed(1))} ms` : `${Math.round(tookMs)} ms`
}

/** On one line: a refusal of HAProxy's has several. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value.replaceAll(/\s*\n\s*/g, ' ') : typeof value === 'number' ? String(value) : ''
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function listOf(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map(objectOf) : []
}
