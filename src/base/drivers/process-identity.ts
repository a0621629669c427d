import { readdirSync, readFileSync } from 'node:fs'

/**
 * Which process, for ever: a pid alone is handed out again, a pid with its start time within one boot is not. The start
 * time survives `exec`, so a program that re-executes itself (HAProxy's master at a reload) keeps its identity.
 */
export interface ProcessIdentity {
  readonly pid: number
  /** Clock ticks since boot, as the kernel prints them: field 22 of `/proc/<pid>/stat`, see proc(5). */
  readonly startTime: string
  /** `/proc/sys/kernel/random/boot_id`. */
  readonly bootId: string
}

/** What `/proc/<pid>/stat` says of a process. */
export interface ProcessStat {
  readonly pid: number
  /** One letter; `Z` and `X` are dead, whatever `kill(pid, 0)` claims. */
  readonly state: string
  readonly parent: number
  readonly group: number
  readonly session: number
  readonly startTime: string
}

/** The identity of a living process; undefined when there is none under this pid, or only its zombie. */
export function identify(pid: number): ProcessIdentity | undefined {
  const stat = readProcess(pid)
  return stat === undefined || isDead(stat) ? undefined : { pid, startTime: stat.startTime, bootId: bootId() }
}

/** Whether this very process still runs; a zombie does not. About 16 µs. */
export function isAlive(identity: ProcessIdentity): boolean {
  const now = identify(identity.pid)
  return now !== undefined && now.startTime === identity.startTime && now.bootId === identity.bootId
}

/** Signals this very process, and nobody who may have inherited its pid. False when it is gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  return isAlive(identity) && sent(identity.pid, signal)
}

/**
 * Signals what lives of the group and session that this process leads or led. The kernel hands out no pid that is still
 * a group's number, so members left behind by a dead leader are its own; an empty group is nobody's.
 * @returns false when there was nobody to signal
 */
export function signalGroup(leader: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (leader.bootId !== bootId() || !sent(-leader.pid, 0)) return false
  const now = readProcess(leader.pid)
  if (now !== undefined && now.startTime !== leader.startTime) return false // the number has a new owner
  if (now === undefined || isDead(now)) if (groupMembers(leader.pid).length === 0) return false
  return sent(-leader.pid, signal)
}

/** Living members of a process group that are also in the session of the same number. Reads all of `/proc`. */
export function groupMembers(group: number): ProcessStat[] {
  return processIds()
    .map(readProcess)
    .filter(stat => stat !== undefined)
    .filter(stat => stat.group === group && stat.session === group && !isDead(stat))
}

/** Every pid there is now. */
export function processIds(): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
}

/** Undefined when no process, not even a zombie, has this pid. */
export function readProcess(pid: number): ProcessStat | undefined {
  const text = readOrNothing(`/proc/${pid}/stat`)
  if (text === undefined) return undefined
  // The second field is the command in brackets and may itself hold spaces and brackets: count from the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state, parent, group, session] = fields
  const startTime = fields[19]
  if (state === undefined || startTime === undefined) return undefined
  return { pid, state, parent: Number(parent), group: Number(group), session: Number(session), startTime }
}

/** Changes with every boot of the machine. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}

function isDead(stat: ProcessStat): boolean {
  return stat.state === 'Z' || stat.state === 'X' || stat.state === 'x'
}

function sent(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal)
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw failure
  }
}

/** A process may vanish between two looks: ENOENT at the open, ESRCH at the read. */
function readOrNothing(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (failure) {
    const { code } = failure as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    throw failure
  }
}
