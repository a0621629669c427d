import type { Clock } from '../../base/index.ts'
import type { AskServed } from './door.ts'
import { masterSession, openRuntimeSession, type RuntimeSession } from './runtime-socket.ts'

const TIMEOUT_MS = 1_000

/** Asks HAProxy, one line per pool: which of them have a server that takes traffic, backups not counted. */
export function askHaproxy(sockets: { readonly admin: string; readonly master: string }, clock: Clock): AskServed {
  const options = { timeoutMs: TIMEOUT_MS, clock }
  return async pools => {
    const session = await openSession(sockets, options)
    try {
      const served = new Set<string>()
      for (const pool of pools)
        if (activeServers(await session.command(`show stat ${pool} ${BACKENDS} -1`)) > 0) served.add(pool)
      return served
    } finally {
      session.close()
    }
  }
}

/** The type of rows that `show stat` is asked for. */
const BACKENDS = 2

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

/** Column `act` of the backend's own row. */
export function activeServers(csv: string): number {
  const [head = '', row = ''] = csv.split('\n').filter(line => line !== '')
  const at = head.replace(/^# /, '').split(',').indexOf('act')
  return Number(row.split(',')[at] ?? 0) || 0
}
