import { existsSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type ProcessIdentity, processIds } from '../../../base/index.ts'

/** HAProxy's workers, those of before a reload included, which serve their last connections. */
export function workersOf(master: ProcessIdentity): number[] {
  return processIds().filter(pid => parentOf(pid) === master.pid)
}

/** The program that a process runs; ends in ` (deleted)` when another file has taken its place. */
export function programOf(identity: ProcessIdentity): string {
  return readlinkSync(`/proc/${identity.pid}/exe`)
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state === 'Z' ? undefined : Number(parent)
  } catch {
    return undefined // it has ended
  }
}

/** HAProxy's program on this machine. @throws when there is none */
export function haproxyProgram(): string {
  const directories = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin']
  const found = directories.map(directory => join(directory, 'haproxy')).find(existsSync)
  if (found === undefined) throw new Error('haproxy is not installed')
  return found
}
