/** What an agent costs that has nothing to do. */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import type { Part } from '../test/parts.ts'

const SETTLE_MS = 5_000
const MEASURE_MS = 20_000

export interface IdleCost {
  readonly rssMib: number
  /** The part of it that is shared with nobody and backed by no file. */
  readonly rssAnonMib: number
  /** Milliseconds of processor time per second. */
  readonly cpuMsPerSecond: number
}

/** Measures all of them over the same 20 s, after 5 s of rest. */
export async function idleCosts(agents: readonly Part[]): Promise<IdleCost[]> {
  await pause(SETTLE_MS)
  const pids = agents.map(agent => agent.child.pid as number)
  const startedAtMs = performance.now()
  const before = pids.map(cpuMs)
  await pause(MEASURE_MS)
  const seconds = (performance.now() - startedAtMs) / 1_000
  return pids.map((pid, index) => ({
    rssMib: statusMib(pid, 'VmRSS'),
    rssAnonMib: statusMib(pid, 'RssAnon'),
    cpuMsPerSecond: (cpuMs(pid) - (before[index] ?? 0)) / seconds,
  }))
}

function statusMib(pid: number, key: string): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1024
}

/** Of all threads, from the scheduler's account, which is finer than the ticks of `stat`. */
function cpuMs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`)
  const ns = threads.map(id => Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')[0]))
  return ns.reduce((sum, one) => sum + one, 0) / 1e6
}
