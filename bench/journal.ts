/** What the journal costs when it is full: writing, memory, and asking how the pools were. There is no peer to set beside it. */
import { join, resolve } from 'node:path'
import { Part } from '../test/parts.ts'
import type { Bench } from './bench.ts'
import type { JournalCost } from './journaled.ts'
import { median } from './table.ts'

const JOURNALED = resolve(import.meta.dirname, 'journaled.ts')
const REPETITIONS = 3

const ROWS: readonly (readonly [what: string, key: keyof JournalCost, digits: number])[] = [
  ['records per s, until they are the kernel’s', 'recordsPerSecond', 0],
  ['µs that appending one holds up', 'appendUs', 1],
  ['bytes per record', 'bytesPerRecord', 0],
  ['on disk when full, MiB', 'mib', 1],
  ['heap with a full journal, MiB', 'heapMib', 1],
  ['resident, with Node and tsx, MiB', 'residentMib', 0],
  ['opening a full journal, ms', 'openMs', 1],
  ['the pools of any time (200 servers), ms', 'atMs', 1],
  ['the newest 50 records, ms', 'newestMs', 1],
  ['a name that is nowhere in 64 MiB, ms', 'byNameMs', 0],
]

export async function journalTable(bench: Bench): Promise<void> {
  const costs: JournalCost[] = []
  for (let i = 0; i < REPETITIONS; i++) {
    bench.note(`filling a journal, ${i + 1} of ${REPETITIONS}`)
    costs.push(await costOf(join(bench.directory, `journal-${i}`)))
  }
  bench.each('journal', costs)
  console.log(`\n${'journal of 64 MiB'.padEnd(46)}${'median'.padStart(11)}   range`)
  for (const [what, key, digits] of ROWS) {
    const values = costs.map(cost => cost[key])
    const range = `${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)}`
    console.log(`${what.padEnd(46)}${median(values).toFixed(digits).padStart(11)}   ${range}`)
  }
}

async function costOf(directory: string): Promise<JournalCost> {
  const part = new Part([process.execPath, ...process.execArgv, '--expose-gc', JOURNALED, directory])
  const code = await part.exited
  const line = part.output.split('\n').find(text => text.startsWith('{'))
  if (code !== 0 || line === undefined) throw new Error(`the journal ended with ${code}: ${part.output.slice(-500)}`)
  return JSON.parse(line) as JournalCost
}
