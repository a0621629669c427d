import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { groupMembers, readProcess } from '../../../base/index.ts'

/** What the kernel says of a service's process and its children. */
export interface ProcessLook {
  /** `T`: stopped by a signal; `t`: by a debugger. */
  readonly isFrozen: boolean
  /** TCP ports; undefined where this user may not see them. */
  readonly listens: readonly number[] | undefined
}

const LISTENING = '0A'

/** Some milliseconds of `/proc`. */
export function lookAtProcess(pid: number): ProcessLook {
  const state = readProcess(pid)?.state
  const pids = new Set([pid, ...groupMembers(pid).map(one => one.pid)])
  const sockets = [...pids].map(socketsOf)
  const seen = sockets.filter(found => found !== undefined).flat()
  const isHidden = sockets.every(found => found === undefined)
  return { isFrozen: state === 'T' || state === 't', listens: isHidden ? undefined : portsOf(pid, new Set(seen)) }
}

/** As links in `/proc/PID/fd` name them: `socket:[4711]`. */
function socketsOf(pid: number): string[] | undefined {
  const directory = `/proc/${pid}/fd`
  try {
    return readdirSync(directory).map(fd => linkOf(`${directory}/${fd}`))
  } catch {
    return undefined // it has ended, or is another user's
  }
}

function portsOf(pid: number, sockets: ReadonlySet<string>): number[] {
  const rows = ['tcp', 'tcp6'].flatMap(table => textOf(`/proc/${pid}/net/${table}`).split('\n').slice(1))
  const ports = rows
    .map(row => row.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === LISTENING && sockets.has(`socket:[${inode}]`))
    .map(([, local = '']) => Number.parseInt(local.split(':')[1] ?? '', 16))
  return [...new Set(ports)].filter(port => port > 0).sort((a, b) => a - b)
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return '' // closed by now, as the one of this very listing
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // no IPv6 here, or it has ended
  }
}
