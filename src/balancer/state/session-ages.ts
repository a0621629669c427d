/**
 * What one address still has to do in HAProxy, whoever the server there is called: counted by address, and on slots that it had a
 * moment ago, since a server that has just been taken out of its slot may have requests in flight there.
 */
import { parseFigures, parseServersState } from './runtime-state.ts'
import { endpointOf } from '../server.ts'

/** What is left on one address, in one worker or in all. */
export interface Leftover {
  /** Requests and tunnels that run or wait. */
  readonly sessions: number
  /** Age of the oldest of them, ms to the second; undefined where it is unknown or there is none. */
  readonly oldestMs: number | undefined
  /** Since the last request was sent there, ms to the second; undefined: never. */
  readonly quietMs: number | undefined
  /** Some server with the address is neither in maintenance nor draining: new clients come. */
  readonly isOpen: boolean
  /** Some server with the address is not in maintenance: clients that are bound to it come. */
  readonly isReachable: boolean
  /** Servers of HAProxy that have the address, `backend/server`. */
  readonly servers: readonly string[]
}

/** `ip:port` → servers that had the address; what is in flight on them may be its. */
export type Formerly = ReadonlyMap<string, readonly string[]>

export const NOTHING: Leftover = {
  sessions: 0,
  oldestMs: undefined,
  quietMs: undefined,
  isOpen: false,
  isReachable: false,
  servers: [],
}

/** Servers of HAProxy, `backend/server`, that have one of these addresses. */
export function serversAt(states: string, endpoints: ReadonlySet<string>): Map<string, string> {
  const found = [...parseServersState(states)].map(([key, state]) => [key, endpointOf(state)] as const)
  return new Map(found.filter(([, endpoint]) => endpoints.has(endpoint)))
}

/**
 * Reads one worker's answers.
 * @param texts of `show servers state`, `show stat -1 4 -1` and, where ages are wanted, `show sess`
 * @param formerly whose sessions are counted as well; whether they are open says nothing, somebody else may be there now
 * @returns by `ip:port`, all that were asked for
 */
export function leftovers(
  texts: { readonly states: string; readonly stat: string; readonly sess?: string },
  endpoints: ReadonlySet<string>,
  formerly: Formerly = new Map(),
): Map<string, Leftover> {
  const states = parseServersState(texts.states)
  const figures = parseFigures(texts.stat)
  const quiet = parseLastSession(texts.stat)
  const oldest = parseOldest(texts.sess ?? '')
  const found = new Map([...endpoints].map(endpoint => [endpoint, NOTHING]))
  for (const [key, state] of states) {
    const before = found.get(endpointOf(state))
    if (before === undefined) continue
    const one: Leftover = {
      sessions: figures.get(key)?.sessions ?? 0,
      oldestMs: oldest.get(key),
      quietMs: quiet.get(key),
      isOpen: state.admin === 'ready',
      isReachable: state.admin !== 'maint',
      servers: [key],
    }
    found.set(endpointOf(state), joined(before, one))
  }
  for (const [endpoint, before] of found) {
    const gone = (formerly.get(endpoint) ?? []).filter(key => !before.servers.includes(key))
    const left = gone.map(key => ({ ...NOTHING, sessions: figures.get(key)?.sessions ?? 0, oldestMs: oldest.get(key) }))
    found.set(endpoint, left.reduce(joined, before))
  }
  return found
}

/** Both together: of two servers, or of two workers. */
export function joined(a: Leftover, b: Leftover): Leftover {
  return {
    sessions: a.sessions + b.sessions,
    oldestMs: defined(Math.max, a.oldestMs, b.oldestMs),
    quietMs: defined(Math.min, a.quietMs, b.quietMs),
    isOpen: a.isOpen || b.isOpen,
    isReachable: a.isReachable || b.isReachable,
    servers: [...new Set([...a.servers, ...b.servers])],
  }
}

/** `show stat`, column `lastsess`: seconds since a server was last given something to do; -1: never. */
function parseLastSession(csv: string): Map<string, number> {
  const rows = csv.split('\n').filter(row => row !== '')
  const header = (rows[0] ?? '').replace(/^# /, '').split(',')
  const at = (name: string): number => header.indexOf(name)
  const [proxy, server, type, last] = [at('pxname'), at('svname'), at('type'), at('lastsess')]
  const found = new Map<string, number>()
  for (const row of rows.slice(1)) {
    const cells = row.split(',')
    const text = cells[last] ?? ''
    if (cells[type] === '2' && /^\d{1,9}$/.test(text))
      found.set(`${cells[proxy]}/${cells[server]}`, Number(text) * 1000)
  }
  return found
}

/** `show sess`: one line each, with `be=web srv=slot1 … age=1m3s`; lines that do not fit are left out. */
export function parseOldest(text: string): Map<string, number> {
  const oldest = new Map<string, number>()
  for (const line of text.split('\n')) {
    const found = /^0x[0-9a-f]+: .*? be=(\S+) srv=(\S+) .*?\bage=(\w{2,20})(?: |$)/.exec(line)
    if (found === null) continue
    const ageMs = parseAge(found[3] ?? '')
    if (ageMs === undefined) continue
    const key = `${found[1]}/${found[2]}`
    oldest.set(key, Math.max(ageMs, oldest.get(key) ?? 0))
  }
  return oldest
}

/** HAProxy's `human_time`: its two largest units, as in `42s`, `1m3s`, `5h1m`, `2d4h`. */
function parseAge(text: string): number | undefined {
  if (!/^(?:\d{1,6}[dhms]){1,4}$/.test(text)) return undefined
  const parts = [...text.matchAll(/(\d+)([dhms])/g)]
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit ?? ''] ?? 0), 0)
}

const UNIT_MS: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 }

function defined(
  pick: (a: number, b: number) => number,
  a: number | undefined,
  b: number | undefined,
): number | undefined {
  return a === undefined ? b : b === undefined ? a : pick(a, b)
}
