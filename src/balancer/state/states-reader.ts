import { type ServerState, stateIn, type StateColumns, stateColumns } from './runtime-state.ts'

/** A row as it was last read: what stands before and behind the progress of its checks, which changes all the time. */
interface Row {
  readonly head: string
  readonly tail: string
  readonly key: string
  readonly state: ServerState
}

/**
 * Reads `show servers state` again and again. From one look to the next one of thousands of servers has changed, or none: a row that says
 * the same is not taken apart again, and who has not changed stays the same object.
 */
export class StatesReader {
  #header = ''
  #columns: StateColumns = stateColumns('')
  #rows: readonly Row[] = []
  #states: ReadonlyMap<string, ServerState> = new Map()

  /** @returns by `backend/server`, as `parseServersState`; the same map as the time before where nothing in it has changed */
  read(text: string): ReadonlyMap<string, ServerState> {
    const rows: Row[] = []
    let isSame = true
    for (let at = this.#readHeader(text), end = 0; at < text.length; at = end + 1) {
      end = text.indexOf('\n', at)
      if (end < 0) end = text.length
      const before = this.#rows[rows.length]
      const row = before !== undefined && says(text, at, end, before) ? before : this.#parse(text.slice(at, end))
      isSame &&= row === before
      if (row !== undefined) rows.push(row)
    }
    isSame &&= rows.length === this.#rows.length
    this.#rows = rows
    if (!isSame) this.#states = new Map(rows.map(({ key, state }) => [key, state]))
    return this.#states
  }

  /** @returns where the rows begin */
  #readHeader(text: string): number {
    const at = text.indexOf('# ')
    const end = text.indexOf('\n', at)
    if (at < 0 || end < 0) return text.length
    const header = text.slice(at, end)
    if (header !== this.#header) {
      this.#rows = [] // another version of HAProxy
      this.#columns = stateColumns(header)
      this.#header = header
    }
    return end + 1
  }

  #parse(row: string): Row | undefined {
    const columns = this.#columns
    const cells = row.trim().split(' ')
    const found = stateIn(cells, columns)
    if (found === undefined) return undefined
    const { port, ...others } = columns
    const last = Math.max(...Object.values(others))
    const isSplit = last < port // as in every version so far; a row of another order has to be the same as a whole
    const head = isSplit ? `${cells.slice(0, last + 1).join(' ')} ` : cells.join(' ')
    return { head, tail: isSplit ? ` ${cells.slice(port).join(' ')}` : '', ...found }
  }
}

function says(text: string, at: number, end: number, { head, tail }: Row): boolean {
  return end - at >= head.length + tail.length && text.startsWith(head, at) && text.endsWith(tail, end)
}
