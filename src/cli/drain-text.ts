import type { DrainList, DrainReport } from '../api/index.ts'
import { age, counted } from '../base/index.ts'
import { formatTable, printable } from './table.ts'

/** `12 sessions left on lb-1 and lb-2, oldest 3 m`. */
export function progressText(drain: DrainReport): string {
  const busy = drain.balancers.filter(one => one.sessions > 0)
  const words: string[] = []
  if (busy.length > 0) {
    const oldest = drain.oldestMs === undefined ? '' : `, oldest ${age(drain.oldestMs)}`
    words.push(`${counted(drain.sessions, 'session')} left on ${listed(busy.map(one => one.name))}${oldest}`)
  }
  const bound = drain.balancers.filter(one => one.bound && one.sessions === 0)
  if (bound.length > 0) words.push(`bound clients still come on ${listed(bound.map(one => one.name))}`)
  const open = drain.balancers.filter(one => one.open && drain.heldBack === undefined)
  if (open.length > 0) words.push(`not out of traffic yet on ${listed(open.map(one => one.name))}`)
  if (drain.heldBack !== undefined)
    words.push(`pool ${drain.heldBack} has no other live server: it stays in traffic until there is one`)
  const unconfirmed = drain.balancers.filter(one => !one.confirmed && !one.open)
  if (unconfirmed.length > 0) words.push(`not confirmed by ${listed(unconfirmed.map(one => one.name))}`)
  if (drain.silent.length > 0) words.push(`no answer from ${listed(drain.silent)}`)
  return words.length === 0 ? 'nothing left' : words.join('; ')
}

/** What is drained, by whom, since when, and what is left. */
export function drainsText({ drains, silent }: DrainList): string {
  const rows = drains.map(one => [
    one.server,
    one.pool ?? 'all',
    one.by,
    one.since.slice(0, 19).replace('T', ' '),
    String(one.sessions),
    one.oldestMs === undefined ? '-' : age(one.oldestMs),
    [one.reason, one.heldBack === undefined ? undefined : 'in traffic: its pool has no other live server']
      .filter(words => words !== undefined)
      .join('; '),
  ])
  const table =
    rows.length === 0
      ? 'nothing is drained'
      : formatTable([['SERVER', 'POOL', 'BY', 'SINCE (UTC)', 'LEFT', 'OLDEST', 'REASON'], ...rows])
  return silent.length === 0 ? table : `${table}\n\nno answer from ${listed(silent)}`
}

/** `lb-1, lb-2 and lb-3`. */
export function listed(names: readonly string[]): string {
  const shown = names.map(printable)
  const last = shown.at(-1) ?? ''
  return shown.length < 2 ? last : `${shown.slice(0, -1).join(', ')} and ${last}`
}
