import { type ChildProcess, spawn } from 'node:child_process'
import { type Clock, type Log, systemClock, type Timer } from '../../base/index.ts'
import type { HaproxySpec, Supervise } from '../supervise.ts'

const RESTART_MS = 100

/**
 * The least supervisor that fits: a child of this process, started again 100 ms after it died. For tests and for programs
 * that have no supervisor of their own; it adopts nothing and holds no lock.
 */
export function spawnSupervise(log: Log, clock: Clock = systemClock): Supervise & { readonly pid: number | undefined } {
  let child: ChildProcess | undefined
  let stopping = false
  let timer: Timer | undefined
  const listeners = new Set<() => void>()
  const launch = (spec: HaproxySpec): void => {
    const [command = '', ...args] = spec.command
    child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    child.stderr?.on('data', (text: Buffer) => log.debug({ text: text.toString() }, 'haproxy said'))
    child.once('error', error => log.error({ error: error.message }, 'haproxy cannot be started'))
    child.once('close', code => {
      child = undefined
      for (const listener of listeners) listener()
      if (!stopping) log.warn({ code }, 'haproxy ended; it is started again')
      if (!stopping) timer = clock.after(RESTART_MS, () => launch(spec))
    })
    for (const listener of listeners) listener()
  }
  return {
    get pid() {
      return child?.pid
    },
    async start(spec) {
      stopping = false
      if (child === undefined) launch(spec)
    },
    status: () => (child?.pid === undefined ? { state: 'stopped' } : { state: 'ready', pid: child.pid }),
    signal: signal => void child?.kill(signal),
    async stop() {
      stopping = true
      timer?.cancel()
      const dying = child
      if (dying === undefined) return
      await new Promise<void>(resolve => {
        dying.once('close', () => resolve())
        dying.kill('SIGTERM')
      })
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
