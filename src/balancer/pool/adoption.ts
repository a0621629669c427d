import type { ServerLine, Structure } from '../file/config-structure.ts'
import { serverLines } from '../file/config-structure.ts'
import type { Layout } from '../file/layout.ts'
import type { Roster } from './roster.ts'
import type { ServerState } from '../state/runtime-state.ts'
import { endpointOf, POOL_NAME, refusalOf, type Server, SERVER_NAME } from '../server.ts'

/** Who adopts: its memory of servers, and where they stand in its file. */
export interface Adopter {
  readonly roster: Roster
  readonly layout: Layout
  readonly nowMs: number
}

/** A server as it was found. */
interface Found {
  /** `web/slot1`. */
  readonly key: string
  readonly line: ServerLine | undefined
  /** The member's name, where the file tells it. */
  readonly member: string | undefined
  readonly live: ServerState | undefined
}

/**
 * Remembers who is in a running HAProxy, or in the last file when none runs. What runs counts even where every file is lost.
 * @param text the file, which names the members
 * @param config what runs; empty when nothing tells
 */
export function adoptServers(
  adopter: Adopter,
  text: string,
  config: Structure,
  live: ReadonlyMap<string, ServerState> | undefined,
): void {
  const names = namesOf(text)
  const lines = serverLines(config)
  for (const key of live?.keys() ?? lines.keys())
    adoptServer(adopter, { key, line: lines.get(key), member: names.get(key), live: live?.get(key) })
}

/** The same for a user's template, whose lines do not tell our servers from the user's own, or not their members' names. @param found of a file: unchecked */
export function adoptRemembered({ roster, layout, nowMs }: Adopter, found: readonly unknown[]): void {
  for (const item of found) {
    const { pool, name, ip, port, weight } = (item ?? {}) as Partial<Record<string, unknown>>
    const server = { pool, name, host: name, ip, port, weight, state: 'plain', liveness: 'alive' } as Server
    const isText = [pool, name, ip].every(value => typeof value === 'string')
    if (!isText || refusalOf(server) !== undefined || !layout.has(server.pool)) continue
    const there = roster.get(server.pool, endpointOf(server))
    if (there === undefined || /^slot\d+$/.test(there.server.name)) roster.adopt(server, nowMs, there?.proven ?? true)
  }
}

function adoptServer({ roster, layout, nowMs }: Adopter, { key, line, member, live }: Found): void {
  const [pool = '', server = ''] = key.split('/')
  if (!layout.has(pool) || line?.track !== undefined) return // the companions of a backend, `web.unsafe`, are no pools
  layout.adopt(pool, server, undefined)
  const ip = live?.ip ?? line?.ip
  const port = live?.port ?? line?.port
  if (ip === undefined || port === undefined || port < 1) return
  const isFree = layout.usesSlots && line?.disabled === true && member === undefined // others were down, or put away
  if (live === undefined ? isFree : live.admin === 'maint') return
  const name = member ?? server
  if (!SERVER_NAME.test(name) || !POOL_NAME.test(pool)) return
  const weight = live?.admin === 'drain' || line?.weight === 0 ? 1 : (live?.weight ?? line?.weight ?? 1)
  roster.adopt({ pool, name, ip, port, weight }, nowMs, live?.admin !== 'drain')
  layout.adopt(pool, server, endpointOf({ ip, port }))
}

/** Members' names that the built-in templates write behind their servers: `server slot1 … # web-1`. */
function namesOf(text: string): Map<string, string> {
  const names = new Map<string, string>()
  let section = ''
  for (const line of text.split('\n')) {
    section = /^backend ([^ \t\r]+)/.exec(line)?.[1] ?? section
    const [, server, name = ''] = /^[ \t]+server ([^ \t\r]+) .* # ([^ \t\r]+)$/.exec(line) ?? []
    if (server !== undefined && SERVER_NAME.test(name)) names.set(`${section}/${server}`, name)
  }
  return names
}
