import { accessSync, constants, mkdirSync, mkdtempSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'

type Environment = Readonly<Record<string, string | undefined>>
interface Dirs {
  readonly state: string
  readonly run: string
}

/**
 * Where a Serf agent that is Muster keeps its state and its sockets when nothing says so. A Serf agent may run as any user; the
 * standard directories are root's. The first pair that may be written to: the standard one, what systemd has made for the unit,
 * the user's own, and at last a new one, which the next start does not find again, as with a Serf agent without a snapshot.
 */
export function standardDirs(
  env: Environment,
  standard: Dirs = { state: '/var/lib/muster', run: '/run/muster' },
): Dirs {
  const first = (list: string | undefined) => list?.split(':')[0] || undefined
  const runtime = env['XDG_RUNTIME_DIR']
  const state = env['XDG_STATE_HOME'] || join(homedir(), '.local/state')
  const pairs: [string | undefined, string | undefined][] = [
    [standard.state, standard.run],
    [first(env['STATE_DIRECTORY']), first(env['RUNTIME_DIRECTORY'])],
    [join(state, 'muster'), runtime ? join(runtime, 'muster') : undefined],
  ]
  for (const [state, run] of pairs) if (canWrite(state) && canWrite(run)) return { state, run } as Dirs
  const own = mkdtempSync(join(tmpdir(), 'muster-'))
  return { state: join(own, 'state'), run: join(own, 'run') }
}

/** Made if it is not there. */
function canWrite(path: string | undefined): boolean {
  if (path === undefined) return false
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false // the next one, then
  }
}
