import type { Clock } from '../../base/index.ts'
import type { LedgerCounts } from '../../prove/index.ts'
import { printable } from '../table.ts'

const FRAME_MS = 500
const LINE_EVERY_MS = 5000

/** How it goes, on standard error: on a terminal one line that stays, elsewhere a line now and then. */
export function showProgress(counts: () => LedgerCounts, clock: Clock): Disposable {
  const onTerminal = process.stderr.isTTY === true
  const startedAtMs = clock.nowMs()
  const show = () => {
    const line = lineOf(counts(), (clock.nowMs() - startedAtMs) / 1000)
    process.stderr.write(onTerminal ? `\r\u001b[K${line}` : `${line}\n`)
    timer = clock.after(onTerminal ? FRAME_MS : LINE_EVERY_MS, show)
  }
  let timer = clock.after(onTerminal ? FRAME_MS : LINE_EVERY_MS, show)
  return {
    [Symbol.dispose]() {
      timer.cancel()
      if (onTerminal) process.stderr.write('\r\u001b[K')
    },
  }
}

function lineOf({ perSecond, sent, lost, doubled, unknown, inFlight, act }: LedgerCounts, seconds: number): string {
  const counts = `${sent} sent, ${inFlight} in flight, ${lost} lost, ${doubled} doubled, ${unknown} unknown`
  return `${seconds.toFixed(0)} s  ${perSecond}/s  ${counts}  ${printable(act)}`
}
