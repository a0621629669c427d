import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { type Clock, identify, signalProcess, sleep } from '../../../base/index.ts'

/** In the environment of everything that a demo starts, and of all that those start: how its processes are known. */
export const MARK = 'MUSTER_DEMO_RUN'
const SWEEP_MS_MAX = 5000
const SWEEP_EVERY_MS = 50

/** Ends every process of the demo `run`, whoever its parent is by now, and removes its directory. */
export async function sweep(run: string, directory: string, clock: Clock): Promise<void> {
  const untilMs = clock.nowMs() + SWEEP_MS_MAX
  for (;;) {
    const found = processesOf(run)
    if (found.length === 0 || clock.nowMs() > untilMs) break
    for (const identity of found) signalProcess(identity, 'SIGKILL')
    await sleep(clock, SWEEP_EVERY_MS)
  }
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
}

function processesOf(run: string) {
  const mark = `${MARK}=${run}`
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(name => {
      const identity = identify(Number(name)) // before the look: a pid that changes hands in between is not signalled
      return identity !== undefined && environmentOf(name).includes(mark) ? [identity] : []
    })
}

function environmentOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
  } catch {
    return [] // it has ended, or is somebody else's: not ours either way
  }
}

/**
 * A second process, in a session of its own, that sweeps when this one ends, however it ends: it waits for the end of its
 * standard input, which the kernel closes for us.
 * @returns lets it go: it sweeps (there should be nothing left) and ends
 */
export function startGuard(program: string, run: string, directory: string): () => void {
  const guard = spawn(process.execPath, [program, 'demo', GUARD_FLAG, run, directory], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  guard.on('error', () => {}) // without it, only a kill -9 of the demo leaves something
  guard.stdin.on('error', () => {})
  guard.unref()
  return () => void guard.stdin.end()
}

export const GUARD_FLAG = '--guard'

export async function runGuard(run: string, directory: string, clock: Clock): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
  await new Promise<void>(resolve =>
    process.stdin
      .on('end', resolve)
      .on('error', () => resolve())
      .resume(),
  )
  await sweep(run, directory, clock)
}
