import session from 'express-session'

/** About 300 bytes each; clients that never send their cookie back would otherwise fill the memory. */
const SESSIONS_MAX = 10_000

/** Sessions in memory, the longest unused forgotten first; express-session's own MemoryStore grows without end. */
export class BoundedSessionStore extends session.Store {
  readonly #sessions = new Map<string, string>()

  override get(id: string, done: (failure: unknown, found?: session.SessionData | null) => void): void {
    const text = this.#sessions.get(id)
    done(null, text === undefined ? null : (JSON.parse(text) as session.SessionData))
  }

  override set(id: string, data: session.SessionData, done?: (failure?: unknown) => void): void {
    this.#sessions.delete(id) // to the end of the map's order
    this.#sessions.set(id, JSON.stringify(data))
    const [longestUnused] = this.#sessions.keys()
    if (this.#sessions.size > SESSIONS_MAX && longestUnused !== undefined) this.#sessions.delete(longestUnused)
    done?.()
  }

  override destroy(id: string, done?: (failure?: unknown) => void): void {
    this.#sessions.delete(id)
    done?.()
  }
}
