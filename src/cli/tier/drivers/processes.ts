import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { identify, type ProcessIdentity } from '../../../base/index.ts'
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
