/**
 * `npm run bench`: how fast Muster is beside the usual hand-made chain, and what its agent costs beside Serf's. What the
 * figures mean is in README.md. Needs haproxy, serf, unshare and setpriv; takes 2 minutes, and ends itself after 4. `-- --each`
 * prints every repetition.
 *
 * It runs itself in a process namespace, so that nothing is left behind, not what a killed agent leaves running either.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { part } from '../test/parts.ts'
import { Chain, ended, type Make } from './chain.ts'
import { type IdleCost, idleCosts } from './idle.ts'
import { head, row } from './table.ts'
import { crashAll, untilIn, untilOut, untilServing } from './traffic.ts'

const INSIDE = 'MUSTER_BENCH_DIRECTORY'
const DEADLINE_S = 240
const NET = '127.0.61'
const JOINS = 5
const CRASH_SERVERS = 5
const CRASH_ROUNDS = 2
const SETTLE_MS = 3_000
/** Hosts, counted from the chain's first: the balancer is 1; this one always serves. */
const STEADY = 10
const FIRST_JOINING = 11
const FIRST_CRASHING = 31

/** Milliseconds of each repetition. */
interface Times {
  readonly join: number[]
  readonly leave: number[]
  /** Of servers whose web process is there to be killed: Muster's are supervised. */
  readonly leaveSupervised: number[]
  readonly crash: number[]
}

/** @returns the exit code of the same program inside its namespace */
async function enclosed(): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-'))
  const isRoot = process.getuid?.() === 0
  const enclosure = [part('unshare'), ...(isRoot ? [] : ['-Ur']), '-pf', '--kill-child', '--mount-proc']
  const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  const shell = ['sh', '-c', '"$@"; exit $?', 'init', part('timeout'), '-k', '1', String(DEADLINE_S), ...self]
  const env = { ...process.env, [INSIDE]: directory }
  const argv = ['--pdeathsig', 'KILL', ...enclosure, ...shell]
  try {
    const child = spawn(part('setpriv'), argv, { env, stdio: ['ignore', 'inherit', 'inherit'] })
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.kill('SIGKILL'))
    const [code] = (await once(child, 'exit')) as [number | null]
    return code ?? 1
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Starts an agent and stops it again, with its web server listening all the time. */
async function joinAndLeave(chain: Chain, host: number, times: Times): Promise<void> {
  const ip = chain.ip(host)
  await chain.web(host)
  const startedAtMs = performance.now()
  const agent = chain.agent(host)
  times.join.push(await untilIn(chain, ip, startedAtMs))
  await pause(500)
  agent.child.kill('SIGINT') // both leave on it
  times.leave.push(await untilOut(chain, ip))
  await ended(agent, 20_000)
}

async function timesOf(make: Make, firstHost: number, directory: string): Promise<Times> {
  const times: Times = { join: [], leave: [], leaveSupervised: [], crash: [] }
  await using chain = new Chain(make, NET, directory, firstHost)
  chain.startBalancer()
  await chain.web(STEADY)
  chain.agent(STEADY)
  await untilIn(chain, chain.ip(STEADY))
  for (let i = 0; i < JOINS; i++) await joinAndLeave(chain, FIRST_JOINING + i, times)
  const hosts = Array.from({ length: CRASH_SERVERS }, (_, i) => FIRST_CRASHING + i)
  const servers = await Promise.all(hosts.map(host => chain.crashable(host)))
  const ips = servers.map(server => server.ip)
  await untilServing(chain, ips)
  await pause(SETTLE_MS) // joined in two batches, they cause two reloads
  for (let round = 0; round < CRASH_ROUNDS; round++) {
    await untilServing(chain, ips)
    times.crash.push(...(await crashAll(chain, servers)))
    for (const server of servers) server.revive()
  }
  await untilServing(chain, ips)
  for (const { agent, ip } of servers) {
    agent.child.kill('SIGINT')
    times.leaveSupervised.push(await untilOut(chain, ip))
  }
  if (process.argv.includes('--each')) console.log(make, times)
  return times
}

/** Two rings of three, side by side for the same seconds. */
async function idle(directory: string): Promise<{ ours: IdleCost[]; theirs: IdleCost[] }> {
  await using muster = new Chain('muster', NET, join(directory, 'muster'), 200)
  await using serf = new Chain('hand-made', NET, join(directory, 'serf'), 210)
  muster.agent(1)
  serf.agent(1)
  await pause(1_000)
  const agents = [muster.agent(2), muster.agent(3), serf.agent(2), serf.agent(3)]
  const costs = await idleCosts(agents)
  return { ours: costs.slice(0, 2), theirs: costs.slice(2) }
}

function idleRow(name: string, costs: { ours: IdleCost[]; theirs: IdleCost[] }, what: keyof IdleCost): string {
  return row(
    name,
    costs.ours.map(cost => cost[what]),
    costs.theirs.map(cost => cost[what]),
    1,
  )
}

function version(command: string, ...argv: string[]): string {
  return execFileSync(part(command), argv, { encoding: 'utf8' }).split('\n')[0] ?? ''
}

async function main(directory: string): Promise<void> {
  const gib = (totalmem() / 2 ** 30).toFixed(1)
  console.log(`${new Date().toISOString()}; ${cpus().length} processors, ${gib} GiB`)
  console.log(`node ${process.version}; ${version('haproxy', '-v')}; serf ${version('serf', 'version')}`)
  const ours = await timesOf('muster', 0, join(directory, 'm'))
  const theirs = await timesOf('hand-made', 100, join(directory, 'h'))
  console.log(head('milliseconds, medians', 'hand-made'))
  console.log(row(`join to traffic (n=${ours.join.length})`, ours.join, theirs.join))
  console.log(row(`leave to out (n=${ours.leave.length})`, ours.leave, theirs.leave))
  const [a, b] = [ours.leaveSupervised, theirs.leaveSupervised]
  console.log(row(`leave to out, supervised (n=${a.length})`, a, b))
  console.log(row(`supervised crash to out (n=${ours.crash.length})`, ours.crash, theirs.crash))
  const costs = await idle(join(directory, 'i'))
  console.log(head('an idle agent in a ring of 3, 20 s', 'serf'))
  console.log(idleRow('resident memory, MiB', costs, 'rssMib'))
  console.log(idleRow('… of it anonymous (RssAnon), MiB', costs, 'rssAnonMib'))
  console.log(idleRow('processor, ms per s', costs, 'cpuMsPerSecond'))
}

const directory = process.env[INSIDE]
if (directory === undefined) process.exitCode = await enclosed()
else await main(directory)
