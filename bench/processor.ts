/** What processes cost, from `/proc`. */
import { readdirSync, readFileSync } from 'node:fs'

/** Linux counts processor time of ended children in these, whatever the machine (USER_HZ). */
const TICK_MS = 10

/** Milliseconds of processor time of all threads, from the scheduler's account, which is finer than the ticks of `stat`. */
export function processorMs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`)
  const ns = threads.map(id => Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')[0]))
  return ns.reduce((sum, one) => sum + one, 0) / 1e6
}

/** The same, with all children that it has waited for: handlers, and what they ran. */
export function processorWithChildrenMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ') // from field 3, the state
  return processorMs(pid) + (Number(fields[13]) + Number(fields[14])) * TICK_MS
}

/** A size of `status`, such as `VmRSS`, in MiB. */
export function statusMib(pid: number, key: string): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1024
}
