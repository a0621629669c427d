/**
 * Runs a command in namespaces of its own, so that nothing of it is left behind, not what a killed agent leaves running
 * either, and all loopback addresses and ports are free.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { part } from '../test/parts.ts'

/**
 * Ends with this process, also when that is killed; SIGINT and SIGTERM end it at once.
 * @param variable is given the path of a directory that is removed afterwards
 * @returns its exit code; 124 when it took longer than `withinS`
 */
export async function enclosed(argv: readonly string[], variable: string, withinS: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-'))
  const isRoot = process.getuid?.() === 0
  const spaces = [part('unshare'), ...(isRoot ? [] : ['-Ur']), '-pfn', '--kill-child', '--mount-proc']
  const init = ['sh', '-c', `${part('ip')} link set lo up && "$@"; exit $?`, 'init'] // stays, and reaps orphans
  const limited = [part('timeout'), '-k', '1', String(withinS), ...argv]
  const env = { ...process.env, [variable]: directory, TMPDIR: directory }
  let stopped: NodeJS.Signals | undefined
  try {
    const command = ['--pdeathsig', 'KILL', ...spaces, ...init, ...limited]
    // The pipe ends with the last one that has it: the killed take a moment, and would write on into what is removed.
    const child = spawn(part('setpriv'), command, { env, stdio: ['ignore', 'inherit', 'inherit', 'pipe'] })
    child.stdio[3]?.on('data', () => undefined)
    const stop = (signal: NodeJS.Signals): void => {
      stopped = signal
      child.kill('SIGKILL')
    }
    // Not `once`: Ctrl-C comes twice, from the terminal and by tsx.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop)
    const [code] = (await once(child, 'close')) as [number | null]
    return stopped === undefined ? (code ?? 1) : 128 + constants.signals[stopped]
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}
