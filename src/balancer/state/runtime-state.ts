import { UnknownReplyError } from '../errors.ts'
import { type Admin, type Command, commandLine } from '../apply/plan.ts'

/** One server as `show servers state` and `show stat` tell it. */
export interface ServerState {
  readonly ip: string
  readonly port: number
  readonly weight: number
  readonly admin: Admin
  /** Checks let it take traffic, whatever its administrative state. */
  readonly up: boolean
  /** Requests, sessions and queue on it at this moment; undefined when they were not asked for. */
  readonly sessions?: number
  /** Average of its last 1024 answers, ms, and its requests since HAProxy's start; undefined when they were not asked for. */
  readonly responseMs?: number
  readonly requests?: number
  /** How often a request was sent again because of it, since HAProxy's start, to itself or to another. */
  readonly retries?: number
}

/**
 * Bits of `srv_admin_state` (HAProxy, management guide, `show servers state`). The inherited ones come by `track`; 0x04
 * only says that the file has it `disabled`, and stays when it is made ready.
 */
const MAINT_BITS = 0x01 | 0x02 | 0x20 | 0x40
const DRAIN_BITS = 0x08 | 0x10

/** Where `show servers state` has what we read; they grow with versions. */
export interface StateColumns {
  readonly backend: number
  readonly server: number
  readonly ip: number
  readonly operation: number
  readonly admin: number
  readonly weight: number
  readonly port: number
}

const CELLS_MIN = 15

/** @param header `# be_id be_name …` */
export function stateColumns(header: string): StateColumns {
  const names = header.slice(2).trim().split(' ')
  const at = (name: string): number => names.indexOf(name)
  return {
    ...{ backend: at('be_name'), server: at('srv_name'), ip: at('srv_addr'), operation: at('srv_op_state') },
    ...{ admin: at('srv_admin_state'), weight: at('srv_uweight'), port: at('srv_port') },
  }
}

/** One row of it; undefined for one that does not fit. */
export function stateIn(
  cells: readonly string[],
  at: StateColumns,
): { readonly key: string; readonly state: ServerState } | undefined {
  if (cells.length < CELLS_MIN || cells[0] === '#') return undefined
  const bits = Number(cells[at.admin])
  const state: ServerState = {
    ip: cells[at.ip] ?? '',
    port: Number(cells[at.port]),
    weight: Number(cells[at.weight]),
    admin: (bits & MAINT_BITS) !== 0 ? 'maint' : (bits & DRAIN_BITS) !== 0 ? 'drain' : 'ready',
    up: Number(cells[at.operation]) !== 0,
  }
  return { key: `${cells[at.backend] ?? ''}/${cells[at.server] ?? ''}`, state }
}

/** Reads `show servers state`, by column names, which grow with versions. Lines that do not fit are left out. */
export function parseServersState(text: string): Map<string, ServerState> {
  const rows = text.split('\n')
  const columns = stateColumns(rows.find(row => row.startsWith('# ')) ?? '')
  const found = rows.flatMap(row => stateIn(row.trim().split(' '), columns) ?? [])
  return new Map(found.map(({ key, state }) => [key, state]))
}

/** What `show stat` tells of one server. */
export type ServerFigures = Required<Pick<ServerState, 'sessions' | 'responseMs' | 'requests' | 'retries'>>

/** `show stat`, by column names, which grow with versions: what is on each server, queued for it, and how it has answered. */
export function parseFigures(csv: string): Map<string, ServerFigures> {
  const rows = csv.split('\n').filter(row => row !== '')
  const header = (rows[0] ?? '').replace(/^# /, '').split(',')
  const at = (name: string): number => header.indexOf(name)
  const [proxy, server, type] = [at('pxname'), at('svname'), at('type')]
  const [current, queued, response, total] = [at('scur'), at('qcur'), at('rtime'), at('stot')]
  const [again, elsewhere] = [at('wretr'), at('wredis')]
  const wanted = 1 + Math.max(proxy, server, type, current, queued, response, total, again, elsewhere)
  const figures = new Map<string, ServerFigures>()
  for (const row of rows.slice(1)) {
    const cells = row.split(',', wanted) // dozens more follow
    if (cells[type] !== '2') continue
    const number = (column: number): number => Number(cells[column]) || 0
    const sessions = number(current) + number(queued)
    const retries = number(again) + number(elsewhere)
    const figure = { sessions, responseMs: number(response), requests: number(total), retries }
    figures.set(`${cells[proxy]}/${cells[server]}`, figure)
  }
  return figures
}

/**
 * Judges a reply by its exact text: "no output" is success for some commands and nothing else is known to be (the same
 * words differ between 2.6 and 3.x; both are here).
 * @throws UnknownReplyError for every reply that is not known to mean success
 */
export function assertDone(command: Command, reply: string): void {
  const text = reply.replace(/^\[\d\]:\s*/, '').trim()
  if (text === '') return
  if (DONE[command.kind]?.test(text) === true) return
  const words = commandLine(command).slice(0, 200)
  throw new UnknownReplyError(`HAProxy answered ${JSON.stringify(text.slice(0, 200))} to ${JSON.stringify(words)}`)
}

/** Of commands that say something when they are done. */
const DONE: Partial<Record<Command['kind'], RegExp>> = {
  addr: /^(nothing changed|(IP changed from|no need to change the (addr|port)|port changed from))/,
  'set ssl cert': /^Transaction (created|updated) for certificate /,
  'commit ssl cert': /Success!$/,
}
