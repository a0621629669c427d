import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { isIPv4 } from 'node:net'
import type { Address } from '../address.ts'
import { processIds } from './process-identity.ts'

/**
 * Who listens on a TCP address of this machine, in words, for the message that says that it cannot be had: `nginx (pid 812)`. Reads
 * all of `/proc`, some milliseconds; sees what this user may see.
 * @returns undefined when nobody is found: another user's process, or gone by now
 */
export function portHolder(address: Address): string | undefined {
  const sockets = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap(table => listeningSockets(table, address)))
  if (sockets.size === 0) return undefined
  const pid = processIds().find(candidate => socketsOf(candidate).some(socket => sockets.has(socket)))
  return pid === undefined ? undefined : `${nameOf(pid)} (pid ${pid})`
}

const LISTENING = '0A'

/** As links in `/proc/PID/fd` name them: `socket:[4711]`. */
function listeningSockets(table: string, { ip, port }: Address): string[] {
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0')
  return textOf(table)
    .split('\n')
    .map(line => line.trim().split(/\s+/))
    .filter(([, local = '', , state]) => {
      const [host = '', its] = local.split(':')
      return state === LISTENING && its === hexPort && isInTheWay(host, ip)
    })
    .map(columns => `socket:[${columns[9]}]`)
}

/** @param host in the kernel's hexadecimal, little-endian by words */
function isInTheWay(host: string, ip: string): boolean {
  if (/^0+$/.test(host) || ip === '0.0.0.0' || ip === '::') return true
  if (isIPv4(ip)) return host === Buffer.from(ip.split('.').map(Number).reverse()).toString('hex').toUpperCase()
  return host.length > 8
}

function socketsOf(pid: number): string[] {
  return namesIn(`/proc/${pid}/fd`).map(fd => linkOf(`/proc/${pid}/fd/${fd}`))
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return [] // it has ended, or is another user's: not to be known
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return '' // closed by now, as the one of this very listing
  }
}

function nameOf(pid: number): string {
  return textOf(`/proc/${pid}/comm`).trim() || 'a process'
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // no IPv6 here, or it has ended
  }
}
