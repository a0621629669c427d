import { type LedgerStats, SLOW_MS } from './ledger.ts'
import type { OwnLag } from './own-lag.ts'

/** The load's ticks may be so late in one of a hundred before it has to say so. */
const LAG_P99_MS_MAX = 20

/** What speaks against "no request was lost, none ran twice", in sentences; none: proved. */
export function objectionsTo(stats: LedgerStats): string[] {
  const found: string[] = []
  if (stats.sent === 0 || stats.good + stats.unexecuted === 0) found.push('no request was answered: nothing is proved')
  if (stats.lost > 0)
    found.push(`${stats.lost} ${stats.lost === 1 ? 'request was' : 'requests were'} lost${unexecutedWords(stats)}`)
  if (stats.doubled > 0)
    found.push(`${stats.doubled} ${stats.doubled === 1 ? 'request' : 'requests'} ran more than once`)
  if (stats.unknown > stats.atKills)
    found.push(`${stats.unknown} requests are unknown, but only ${stats.atKills} were in flight at kills and freezes`)
  return found
}

/** Where no POST stands in it, it is rather the wrong ledger. */
function unexecutedWords({ unexecuted, kinds }: LedgerStats): string {
  if (unexecuted === 0) return ''
  const hint = kinds.post?.good === 0 ? ': is --ledger that of these servers?' : ''
  return `, ${unexecuted} of them POSTs that were answered as good and stand in no ledger${hint}`
}

/** What the load has to say against itself, in a sentence; undefined: it kept its schedule. */
export function selfCheck({ slow, slowOwn }: LedgerStats, { p99Ms, maxMs }: OwnLag): string | undefined {
  if (p99Ms <= LAG_P99_MS_MAX && slowOwn === 0) return undefined
  const share = `${slowOwn} of the ${slow} answers that took over ${SLOW_MS} ms`
  return (
    `the load itself was late, by ${p99Ms.toFixed(0)} ms in one of a hundred ticks and by ${maxMs.toFixed(0)} ms at worst: ` +
    `${share} mostly waited for it. For times that mean something ask for a lower --rate`
  )
}
