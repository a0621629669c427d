/**
 * `npm run bench`: how fast Muster is beside the usual hand-made chain, and what its agent costs beside Serf's. What the
 * figures mean is in README.md. Needs root (or user namespaces), haproxy, serf, util-linux and iproute2.
 *
 * It runs itself in namespaces, so that nothing is left behind.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { part } from '../test/parts.ts'
import { actsTable } from './acts.ts'
import type { Table } from './bench.ts'
import { convergenceTable } from './convergence.ts'
import { cutTable } from './cut.ts'
import { emptyTable } from './empty.ts'
import { enclosed } from './enclosure.ts'
import { hundredTable } from './hundred.ts'
import { busyTable, idleTable } from './idle.ts'
import { packetsTable } from './packets.ts'
import { journalTable } from './journal.ts'
import { planTable } from './plan.ts'
import { proverTable } from './prover.ts'
import { rpcTable } from './rpc.ts'
import { simulatorTable } from './simulator.ts'
import { updatesTable } from './updates.ts'

const INSIDE = 'MUSTER_BENCH_DIRECTORY'
/** Some minutes more than it takes on two processors. */
const DEADLINE_S = 2_400

const TABLES: Readonly<Record<string, { readonly what: string; readonly table: Table }>> = {
  join: { what: 'join, leave and crash: until the traffic follows', table: actsTable },
  cut: { what: 'a host whose cables are cut', table: cutTable },
  hundred: { what: '100 servers joining within 5 s', table: hundredTable },
  empty: { what: 'a balancer replaced by an empty one', table: emptyTable },
  ring: { what: 'a ring of 100: until all know of one join, leave, kill, event, query', table: convergenceTable },
  idle: { what: 'memory and processor of an idle agent in rings of 3, 50, 200', table: idleTable },
  busy: { what: 'the same of an agent that hears 1,000 events a minute', table: busyTable },
  rpc: { what: 'RPC calls per second', table: rpcTable },
  packets: { what: 'packets per second of one processor', table: packetsTable },
  journal: { what: 'a full journal: writing, memory, and how the pools were', table: journalTable },
  plan: { what: 'one change in pools of 10 to 5,000 servers; 1,000 by commands and by reloads', table: planTable },
  updates: { what: '10 changes a second: processor time of the balancer', table: updatesTable },
  prover: { what: "how much prove's own client can send", table: proverTable },
  sim: { what: 'simulated rings: speed, size, and a week of churn', table: simulatorTable },
}

const HELP = `npm run bench [-- [--only TABLE,…] [--each]]

Measures Muster beside a hand-made chain of Serf, handlers and HAProxy, and beside Serf.
Everything takes about 22 minutes; leave the machine alone meanwhile. bench/README.md says what is measured.

  --only TABLE,…   only these tables:
${Object.entries(TABLES)
  .map(([name, { what }]) => `                     ${name.padEnd(9)} ${what}`)
  .join('\n')}
  --each           every repetition, too

Example: npm run bench -- --only join,idle --each
`

interface Options {
  readonly tables: readonly string[]
  readonly each: boolean
}

/** @returns what to print instead, and the exit code, when it is not a measurement that is wanted */
function optionsOf(argv: readonly string[]): Options | { readonly text: string; readonly code: number } {
  try {
    const flags = {
      only: { type: 'string' },
      each: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    } as const
    const { values } = parseArgs({ args: [...argv], options: flags })
    if (values.help === true) return { text: HELP, code: 0 }
    const tables = values.only?.split(',').filter(Boolean) ?? Object.keys(TABLES)
    const unknown = tables.find(name => !Object.hasOwn(TABLES, name))
    if (unknown !== undefined) throw new Error(`no table "${unknown}"; there are ${Object.keys(TABLES).join(', ')}`)
    return { tables, each: values.each === true }
  } catch (error) {
    return { text: `${error instanceof Error ? error.message : String(error)}\n\n${HELP}`, code: 2 }
  }
}

function version(command: string, ...argv: string[]): string {
  return execFileSync(part(command), argv, { encoding: 'utf8' }).split('\n')[0] ?? ''
}

async function measure(directory: string, { tables, each }: Options): Promise<void> {
  const gib = (totalmem() / 2 ** 30).toFixed(1)
  const load = loadavg()[0]?.toFixed(1)
  console.log(`${new Date().toISOString()}; ${cpus().length} processors (load ${load}), ${gib} GiB`)
  console.log(`node ${process.version}; ${version('haproxy', '-v')}; serf ${version('serf', 'version')}`)
  for (const name of tables) {
    const own = join(directory, name)
    mkdirSync(own)
    await TABLES[name]?.table({
      directory: own,
      note: text => console.error(`[${performance.now().toFixed(0).padStart(7)} ms] ${name}: ${text}`),
      each: (title, values) => void (each && console.log(`${title}: ${JSON.stringify(values, rounded)}`)),
    })
  }
}

/** Fit to be read: a tenth is more than is known. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 10) / 10 : value
}

const options = optionsOf(process.argv.slice(2))
const directory = process.env[INSIDE]
if ('text' in options) {
  process[options.code === 0 ? 'stdout' : 'stderr'].write(options.text)
  process.exitCode = options.code
} else if (directory !== undefined) {
  await measure(directory, options)
} else {
  const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  process.exitCode = await enclosed(self, INSIDE, DEADLINE_S)
}
