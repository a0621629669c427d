import type { Clock } from '../../base/index.ts'
import type { AskServed } from './door.ts'
import { masterSession, openRuntimeSession, type RuntimeSession } from './runtime-socket.ts'

const TIMEOUT_MS = 1_000

/** Asks HAProxy who it is and, one line per pool, which of them have servers that take traffic, backups not counted. */
export function askHaproxy(sockets: { readonly admin: string; readonly master: string }, clock: Clock): AskServed {
  const options = { timeoutMs: TIMEOUT_MS, clock }
  return async pools => {
    const session = await openSession(sockets, options)
    try {
      const info = await session.command('show info')
      const served = new Map<string, readonly string[]>()
      for (const pool of pools) {
        const csv = await session.command(`show stat ${pool} ${BACKENDS | SERVERS} -1`)
        if (activeServers(csv) > 0) served.set(pool, servingAddresses(csv))
      }
      return { worker: workerOf(info), pools: served }
    } finally {
      session.close()
    }
  }
}

/** The types of rows that `show stat` is asked for. */
const BACKENDS = 2
const SERVERS = 4
/** Column `type` of the rows themselves. */
const BACKEND_ROW = '1'

/** A user's template may have no `stats socket`. */
async function openSession(
  sockets: { readonly admin: string; readonly master: string },
  options: { readonly timeoutMs: number; readonly clock: Clock },
): Promise<RuntimeSession> {
  try {
    return await openRuntimeSession(sockets.admin, options)
  } catch {
    return masterSession(sockets.master, options) // what it has to complain of it says itself
  }
}

/** Its pid and age, ms, of which HAProxy tells whole seconds. */
export function workerOf(info: string): { readonly pid: number; readonly ageMs: number } | undefined {
  const numberAt = (name: string): number => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(info)?.[1])
  const [pid, seconds] = [numberAt('Pid'), numberAt('Uptime_sec')]
  return pid > 0 && seconds >= 0 ? { pid, ageMs: seconds * 1_000 } : undefined
}

/** Column `act` of the backend's own row. */
export function activeServers(csv: string): number {
  const row = rowsOf(csv).find(one => (one.get('type') ?? BACKEND_ROW) === BACKEND_ROW)
  return Number(row?.get('act') ?? 0) || 0
}

/** `ip:port` of the servers that are up, or that nobody checks. */
export function servingAddresses(csv: string): string[] {
  const serving = rowsOf(csv).filter(
    row => /^(UP|no check)/.test(row.get('status') ?? '') && row.get('bck') === '0' && row.get('weight') !== '0',
  )
  return serving.map(row => row.get('addr') ?? '').filter(address => /^[\d.]+:\d+$|^\[[\da-f:.]+\]:\d+$/i.test(address))
}

/** By column names, which grow with versions. */
function rowsOf(csv: string): Map<string, string>[] {
  const [head = '', ...rows] = csv.split('\n').filter(line => line !== '')
  const names = head.replace(/^# /, '').split(',')
  return rows.map(row => new Map(row.split(',').map((cell, at) => [names[at] ?? '', cell])))
}
