import { type Clock, type Log, messageOf, type Scope, sleep } from '../../base/index.ts'
import type { AgentConfig } from '../config/index.ts'
import { marksOf } from '../drivers/file-marks.ts'

interface WatchingDeps {
  readonly clock: Clock
  readonly log: Log
  /** Takes over what the files say. @throws what is wrong with them; then everything is as before */
  readonly apply: () => Promise<unknown>
}

const LOOK_MS = 1_000

/**
 * `balancer.watch`: takes over the configuration when its files, the template or the certificates change. They are looked at once a second
 * rather than listened to: that also sees files that are replaced, directories that are mounted, and network disks.
 * @param inForce at each look: by then it may name other files, or ask for no watching any more, or for it again
 */
export function startWatching(inForce: () => AgentConfig, deps: WatchingDeps, scope: Scope): void {
  if (inForce().balancer === undefined) return // that there is one takes a restart
  const ended = new AbortController()
  const watching = watch(inForce, deps, ended.signal)
  scope.defer(async () => {
    ended.abort()
    await watching
  })
}

/** Where it is not asked for, no file is touched. */
async function watch(inForce: () => AgentConfig, deps: WatchingDeps, signal: AbortSignal): Promise<void> {
  const isAsked = () => inForce().balancer?.watch === true
  while (!signal.aborted) {
    if (isAsked()) {
      deps.log.info({ paths: watchedPaths(inForce()) }, 'watching the configuration')
      await watchWhile(isAsked, () => watchedPaths(inForce()), deps, signal)
      if (!signal.aborted) deps.log.info({}, 'the configuration is not watched any more')
    } else await sleep(deps.clock, LOOK_MS, signal).catch(() => undefined) // aborted: it is over
  }
}

function watchedPaths({ files, balancer }: AgentConfig): string[] {
  const { template = '', frontends = [] } = balancer ?? {}
  const certificates = frontends.flatMap(frontend => frontend.tls?.certificates ?? [])
  return [...new Set([...files, ...(template.startsWith('/') ? [template] : []), ...certificates])]
}

/** What has changed must stay the same for one more look: an editor, or a copy, may still be writing. */
async function watchWhile(
  isAsked: () => boolean,
  paths: () => readonly string[],
  deps: WatchingDeps,
  signal: AbortSignal,
): Promise<void> {
  const { clock } = deps
  let known = await marksOf(paths())
  let before = known
  for (;;) {
    await sleep(clock, LOOK_MS, signal).catch(() => undefined) // aborted: it is over
    if (signal.aborted || !isAsked()) return
    const now = await marksOf(paths())
    if (differs(now, known) && !differs(now, before)) {
      known = now
      await take(deps)
    }
    // a file that is named only now has been read with what names it
    known = new Map([...now].map(([path, mark]) => [path, known.get(path) ?? mark]))
    before = now
  }
}

function differs(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return [...a].some(([path, mark]) => (b.get(path) ?? mark) !== mark)
}

/** Said once: the same files are not tried again before they change. */
async function take({ log, apply }: WatchingDeps): Promise<void> {
  try {
    await apply()
  } catch (failure) {
    log.error({ reason: messageOf(failure) }, 'the changed configuration was not taken; the one before stays in force')
  }
}
