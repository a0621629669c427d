import type { Clock } from '../../base/index.ts'
import { type Formerly, joined, type Leftover, leftovers, NOTHING, serversAt } from '../state/session-ages.ts'
import { RuntimeSocketError } from '../errors.ts'
import { showProcesses } from './haproxy-process.ts'
import { askMaster, masterSession, openRuntimeSession, type RuntimeSession } from './runtime-socket.ts'

const TIMEOUT_MS = 2_000

type Ask = (line: string) => Promise<string>

/**
 * What is left on these addresses, in the worker that serves and in all old ones, whose number `OldWorkers` bounds. The list of all sessions, of which the ages are, is
 * asked for only where something is left.
 * @param endpoints `ip:port`
 * @throws RuntimeSocketError
 */
export async function leftOn(
  paths: { readonly admin: string; readonly master: string },
  endpoints: readonly string[],
  options: { readonly withAges: boolean; readonly clock: Clock; readonly formerly?: Formerly },
): Promise<Map<string, Leftover>> {
  const wanted = new Set(endpoints)
  const limits = { timeoutMs: TIMEOUT_MS, clock: options.clock }
  const { oldWorkerPids } = await showProcesses(paths.master, options.clock)
  const session = await openEither(paths, limits)
  const { withAges, formerly } = options
  const all: Map<string, Leftover>[] = []
  try {
    all.push(await inWorker(line => session.command(line), wanted, withAges, formerly))
  } finally {
    session.close()
  }
  for (const pid of oldWorkerPids) {
    const found = await inWorker(line => askMaster(paths.master, `@!${pid} ${line}`, limits), wanted, withAges)
    // an old worker's servers are as they were at the reload; it takes no new connections
    all.push(new Map([...found].map(([key, left]) => [key, { ...left, isOpen: false, isReachable: false }])))
  }
  return new Map([...wanted].map(key => [key, all.map(one => one.get(key) ?? NOTHING).reduce(joined, NOTHING)]))
}

async function openEither(
  paths: { readonly admin: string; readonly master: string },
  limits: { readonly timeoutMs: number; readonly clock: Clock },
): Promise<RuntimeSession> {
  try {
    return await openRuntimeSession(paths.admin, limits)
  } catch (failure) {
    if (failure instanceof RuntimeSocketError) return masterSession(paths.master, limits) // a template without `stats socket`
    throw failure
  }
}

async function inWorker(
  ask: Ask,
  wanted: ReadonlySet<string>,
  withAges: boolean,
  formerly: Formerly = new Map(),
): Promise<Map<string, Leftover>> {
  const states = await ask('show servers state')
  if (formerly.size === 0 && serversAt(states, wanted).size === 0) return new Map()
  const stat = await ask('show stat -1 4 -1')
  const found = leftovers({ states, stat }, wanted, formerly)
  const isBusy = [...found.values()].some(left => left.sessions > 0)
  return withAges && isBusy ? leftovers({ states, stat, sess: await ask('show sess') }, wanted, formerly) : found
}
