/** Processes that nobody here is the parent of: HAProxy outlives its agent, and by hand runs as a daemon. */
import { readdirSync, readFileSync } from 'node:fs'
import { eventually } from '../test/parts.ts'

/**
 * Kills all processes whose command line has a word with all of these texts, and waits for their end. Sees those of the
 * benchmark's own namespace and no others.
 */
export async function killAll(...texts: readonly string[]): Promise<void> {
  await eventually(
    () => {
      const pids = pidsOf(texts)
      for (const pid of pids) kill(pid)
      return pids.length
    },
    left => left === 0,
  )
}

function pidsOf(texts: readonly string[]): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .filter(pid => wordsOf(pid).some(word => texts.every(text => word.includes(text))))
    .map(Number)
}

/** None of a process that has ended meanwhile. */
function wordsOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return []
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error // has ended by itself
  }
}
