import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, identify, isAlive, type ProcessIdentity, sleep } from '../../../base/index.ts'
import { MARK } from './leftovers.ts'

export interface ProcessPlaces {
  /** The demo's temporary directory; logs are in it. */
  readonly directory: string
  /** Marks all processes of this demo. */
  readonly run: string
}

/** A child of the demo. */
export interface DemoProcess {
  readonly name: string
  readonly identity: ProcessIdentity
  /** Resolves when it has ended. */
  readonly ended: Promise<void>
}

/**
 * The kernel has closed the sockets of a killed process; until HAProxy has read so, on a busy machine, it may still put a
 * request on one of them. Those count as in flight at the kill.
 */
const NEWS_MS = 20
/** Starts a program whose output goes to `<name>.log`. @throws when it cannot be started */
export function startProcess(
  name: string,
  command: readonly string[],
  places: ProcessPlaces,
  env: Readonly<Record<string, string>> = {},
): DemoProcess {
  const [program = '', ...argv] = command
  const log = openSync(join(places.directory, `${name}.log`), 'a', 0o600)
  const child = spawn(program, argv, {
    detached: true, // Ctrl-C is for the demo, which ends them in its order
    stdio: ['ignore', log, log],
    env: { ...plainEnvironment(), ...env, [MARK]: places.run },
  })
  closeSync(log)
  const ended = untilEnded(child)
  const identity = child.pid === undefined ? undefined : identify(child.pid)
  if (identity === undefined) throw new Error(`${program} could not be started for ${name}; is it installed?`)
  return { name, identity, ended }
}

function untilEnded(child: ChildProcess): Promise<void> {
  return new Promise(resolve => child.once('exit', () => resolve()).once('error', () => resolve()))
}

/** Ours without what would configure an agent. */
function plainEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(MUSTER|SERF)_/.test(name)))
}

/** Waits until processes that were killed are gone, and whoever was connected to them has heard of it. */
export async function untilGone(clock: Clock, identities: readonly ProcessIdentity[]): Promise<void> {
  while (identities.some(identity => isAlive(identity) || hasThreads(identity.pid))) await sleep(clock, 2)
  await sleep(clock, NEWS_MS)
}

/** The first thread is a zombie while others still hold the process's sockets open. */
function hasThreads(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).length > 1
  } catch {
    return false // reaped: all of it has ended
  }
}
