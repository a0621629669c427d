import { closeSync, openSync, writeFileSync } from 'node:fs'
import { messageOf } from '../../base/index.ts'
import { print, printJson } from '../output.ts'
import { UsageError } from '../usage-error.ts'
import type { Shown } from './options.ts'
import type { Plot } from './plot.ts'
import { plotSvg } from './plot-svg.ts'

/**
 * Makes sure that the plots will have a place, before hours are spent on them.
 * @throws UsageError
 */
export function checkPlace({ plot }: Shown): void {
  if (plot === undefined) return
  try {
    closeSync(openSync(plot, 'a'))
  } catch (cause) {
    throw new UsageError(`--plot: ${plot} cannot be written: ${messageOf(cause)}`, { cause })
  }
}

/** Prints an outcome in the form that was asked for, and keeps the plots where that was asked for. */
export function show(shown: Shown, outcome: { text(): string; json: object; plots: readonly Plot[] }): void {
  if (shown.plot !== undefined) writeFileSync(shown.plot, plotSvg(outcome.plots))
  if (shown.output === 'json') printJson(outcome.json)
  else print(shown.output === 'svg' ? plotSvg(outcome.plots).trimEnd() : outcome.text())
}

/** How wide a plot may be. */
export function columns(): number {
  return Math.min(100, Math.max(40, process.stdout.columns ?? 78))
}
