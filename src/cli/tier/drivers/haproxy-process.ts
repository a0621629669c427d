import { existsSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type ProcessIdentity, processIds } from '../../../base/index.ts'

/** HAProxy's workers, those of before a reload included, which serve their last connections. */
export function workersOf(master: ProcessIdentity): number[] {
  const children = childrenOf(master.pid) ?? processIds()
  return children.filter(pid => parentOf(pid) === master.pid)
}

/** The program that a process runs; ends in ` (deleted)` when another file has taken its place. */
export function programOf(identity: ProcessIdentity): string {
  return readlinkSync(`/proc/${identity.pid}/exe`)
}

/** Undefined where the kernel does not tell (CONFIG_PROC_CHILDREN); a look at every process is 50 times as long. */
function childrenOf(pid: number): number[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return undefined
  }
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
