import type { Layout } from '../file/layout.ts'
import type { Entry } from './entry.ts'
import type { Roster } from './roster.ts'
import type { ServerState } from '../state/runtime-state.ts'
import type { Seen, SeenServer } from '../state/seen.ts'
import { endpointOf } from '../server.ts'

/** HAProxy's servers as our entries: which of those that were seen is whose. */
export class Sighting {
  readonly #seen: Seen
  readonly #layout: Layout
  readonly #roster: Roster

  constructor(seen: Seen, layout: Layout, roster: Roster) {
    this.#seen = seen
    this.#layout = layout
    this.#roster = roster
  }

  /** The entry's server, with the sessions of its companion in `web.unsafe`; undefined: HAProxy does not have it. */
  stateOf(entry: Entry): ServerState | undefined {
    const slot = this.#layout.slotOf(entry)
    if (slot !== undefined) {
      const state = this.#seen.servers.get(`${entry.server.pool}/${slot}`)
      const isIts = state?.ip === entry.server.ip && state.port === entry.server.port
      return isIts ? this.#withTwin(entry, slot, state) : undefined
    }
    const found = this.#its(entry, this.#seen.at(entry.endpoint)) ?? this.#byName(entry)
    return found === undefined ? undefined : this.#withTwin(entry, found.name, found.state)
  }

  /** Requests and sessions on it. @param old `ip:port` → what former workers carry */
  sessionsOn(entry: Entry, old: ReadonlyMap<string, number>): number {
    return (this.stateOf(entry)?.sessions ?? 0) + (old.get(entry.endpoint) ?? 0)
  }

  /**
   * The one in the backend of its pool. A user's template may have another idea of backends: then whichever, but never one that
   * another pool has a backend for, where the same member is checked in another way.
   */
  #its({ server: { pool } }: Entry, found: readonly SeenServer[]): SeenServer | undefined {
    const own = found.findLast(({ backend }) => backend === pool)
    if (own !== undefined || found.length === 0) return own
    const isSplit = this.#seen.hasBackend(pool)
    return found.findLast(({ backend }) => !isSplit || !this.#layout.has(backend))
  }

  /** A user's template may have its own idea of the port: then the name tells, unless the address is another entry's. */
  #byName(entry: Entry): SeenServer | undefined {
    const { pool, host, ip } = entry.server
    const found = this.#seen
      .called(host, ip)
      .filter(({ state }) => this.#roster.get(pool, endpointOf(state)) === undefined)
    return this.#its(entry, found)
  }

  #withTwin(entry: Entry, name: string, state: ServerState): ServerState {
    if (state.sessions === undefined) return state
    const twin = this.#seen.servers.get(`${entry.server.pool}.unsafe/${name}`)
    return { ...state, sessions: state.sessions + (twin?.sessions ?? 0) }
  }
}
