/** What one change costs in pools of any size, and thousands of them by commands beside reloads. There is no peer to set beside it. */
import { join, resolve } from 'node:path'
import { Part } from '../test/parts.ts'
import type { Bench } from './bench.ts'
import { MANY } from './plan-pool.ts'
import type { ChangesCost, ManyCost } from './planned.ts'
import { median } from './table.ts'

const PLANNED = resolve(import.meta.dirname, 'planned.ts')
const SIZES = [10, 100, 1_000, 5_000]

export async function planTable(bench: Bench): Promise<void> {
  const columns = ['smallest', 'p50', 'p99'].map(name => name.padStart(11)).join('')
  console.log(`\n${'one change, event to acknowledgement, ms'.padEnd(46)}${columns}`)
  for (const size of SIZES) {
    bench.note(`changes in a pool of ${size}`)
    const cost = (await costOf(bench, 'changes', String(size))) as ChangesCost
    bench.each(`pool of ${size}`, cost)
    printChanges(`${size.toLocaleString('en')} servers`, cost)
  }
  bench.note(`${MANY} servers added, drained, removed`)
  const many = (await costOf(bench, 'many')) as ManyCost
  bench.each(`${MANY} servers`, many)
  printMany(many)
}

function printChanges(size: string, cost: ChangesCost): void {
  console.log(line(`${size}: weight`, cost.weightMs))
  console.log(line(`${size}: drain, and back`, cost.drainMs))
  console.log(line('… HAProxy alone, asked for its servers', cost.haproxyMs))
  console.log(line('… render the file', cost.renderMs))
  console.log(line('… look, render, compare (muster plan)', cost.planMs))
  console.log(
    `${'… processor per change; per s without any'.padEnd(46)}${cells([cost.processorMsPerChange, cost.idleMsPerS])}`,
  )
  if (cost.reloads > 0) console.log(`… reloads meanwhile: ${cost.reloads}`)
}

function printMany(cost: ManyCost): void {
  const oneReload = median(cost.reloadMs)
  const reloadEach = median(cost.eachReloadMs) * MANY
  console.log(`\n${`${MANY} servers, s`.padEnd(46)}${['in turn', 'at once'].map(name => name.padStart(11)).join('')}`)
  for (const [what, inTurn, atOnce] of [
    ['added by commands', cost.addMs, cost.addAtOnceMs],
    ['drained by commands', cost.drainMs, cost.drainAtOnceMs],
    ['removed by commands', cost.removeMs, cost.removeAtOnceMs],
  ] as const)
    console.log(`${what.padEnd(46)}${cells([inTurn / 1_000, atOnce / 1_000])}`)
  console.log(`${'… reloads for all of it'.padEnd(46)}${String(cost.reloads).padStart(11)}`)
  const each = `a reload each (${cost.eachReloadMs.length}, times ${MANY / cost.eachReloadMs.length}); one reload`
  console.log(`${each.padEnd(46)}${cells([reloadEach / 1_000, oneReload / 1_000])}`)
}

function line(what: string, values: readonly number[]): string {
  return `${what.padEnd(46)}${cells([Math.min(...values), median(values), quantile(values, 0.99)])}`
}

function cells(values: readonly number[]): string {
  return values.map(value => value.toFixed(value < 10 ? 2 : 1).padStart(11)).join('')
}

/** Nearest rank. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN
}

async function costOf(bench: Bench, ...what: string[]): Promise<unknown> {
  const directory = join(bench.directory, what.join('-'))
  const part = new Part([process.execPath, ...process.execArgv, PLANNED, directory, ...what])
  const code = await part.exited
  const found = part.output.split('\n').find(text => text.startsWith('{'))
  if (code !== 0 || found === undefined)
    throw new Error(`${what.join(' ')} ended with ${code}: ${part.output.slice(-500)}`)
  return JSON.parse(found)
}
