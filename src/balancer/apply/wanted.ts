import { linesPerhaps, type ServerLine, type Structure, serverLines } from '../file/config-structure.ts'
import type { Admin, LiveServer, WantedServer } from './plan.ts'
import type { Stance } from '../pool/policy.ts'
import type { Entry } from '../pool/entry.ts'
import { entersByCheck } from '../file/seating.ts'
import { endpointOf } from '../server.ts'

/** Where an entry stands in the file: undefined when it has no line. */
export type Placement = (backend: string, line: ServerLine) => Entry | 'free' | undefined

const ADMIN: Readonly<Record<Stance, Admin>> = { ready: 'ready', entering: 'drain', drain: 'drain', maint: 'maint' }

/** What every server line should be in the running process: the line's own values, and the decision about who is there. */
export function wantedServers(structure: Structure, placement: Placement): Map<string, WantedServer> {
  const wanted = new Map<string, WantedServer>()
  for (const [key, line] of serverLines(structure)) wanted.set(key, wantedAt(key, line, placement))
  for (const [key, lines] of linesPerhaps(structure)) {
    const want = wantedOf(lines.map(line => wantedAt(key, line, placement)))
    if (want !== undefined && !wanted.has(key)) wanted.set(key, want)
  }
  return wanted
}

/** Under a condition: nothing but whether it has traffic, and that only where it is one of ours whichever of its lines is in force. */
function wantedOf(each: readonly WantedServer[]): WantedServer | undefined {
  const [first, ...others] = each
  const isOne = others.every(
    ({ ip, port, admin }) => ip === first?.ip && port === first?.port && admin === first?.admin,
  )
  if (!isOne || first?.admin === undefined || first.whose !== 'ours') return undefined
  const { admin, entersByCheck = false } = first
  return { ...NOWHERE, maxconn: undefined, admin, entersByCheck, isPerhaps: true }
}

function wantedAt(key: string, line: ServerLine, placement: Placement): WantedServer {
  return wantedServer(line, placement(key.slice(0, key.indexOf('/')), line))
}

/**
 * The same after some lines, or who is in them, have changed.
 * @param keys theirs; of all others line and entry are as they were
 */
export function wantedAgain(
  before: ReadonlyMap<string, WantedServer>,
  structure: Structure,
  placement: Placement,
  keys: readonly string[],
): Map<string, WantedServer> {
  const wanted = new Map(before)
  const lines = serverLines(structure)
  for (const key of keys) {
    const line = lines.get(key)
    if (line !== undefined) wanted.set(key, wantedAt(key, line, placement))
  }
  return wanted
}

/** Whoever was there keeps its address until the slot is taken again: requests may still be on their way to it. */
const NOWHERE = { ip: undefined, port: undefined, weight: undefined }

function wantedServer(line: ServerLine, entry: Entry | 'free' | undefined): WantedServer {
  const { ip, port, maxconn } = line
  const follows = line.track !== undefined
  if (entry === undefined) return { ...theirs(line), admin: undefined }
  if (entry === 'free') return { ...NOWHERE, maxconn, admin: follows ? undefined : 'maint' }
  const { stance } = entry.decision
  const isEntering = stance === 'entering' // not in the file yet: its values are the entry's own
  const { weight } = line
  return {
    ip: isEntering ? entry.server.ip : ip,
    port: isEntering ? entry.server.port : port,
    weight: stance === 'drain' ? undefined : isEntering ? entry.weight : weight,
    maxconn,
    admin: follows ? undefined : ADMIN[stance],
    entersByCheck: entersByCheck(entry),
    ...(isEntering ? {} : { whose: 'ours' as const }),
  }
}

/** The user's own: of a server with an agent of its own (`agent-check`) that agent says the weight. */
function theirs({ ip, port, weight, maxconn, agentChecked }: ServerLine) {
  return { ip, port, weight: agentChecked ? undefined : weight, maxconn, whose: 'theirs' as const }
}

/** Servers that HAProxy still has, of endpoints that are released and have no line any more: out of traffic before the reload. */
export function leavers(
  live: ReadonlyMap<string, LiveServer>,
  wanted: ReadonlyMap<string, WantedServer>,
  running: Structure,
  released: readonly Entry[],
): Map<string, WantedServer> {
  if (released.length === 0) return new Map()
  const endpoints = new Set(released.map(entry => entry.endpoint))
  const lines = serverLines(running)
  const found = new Map<string, WantedServer>()
  for (const [key, server] of live) {
    if (wanted.has(key) || lines.get(key)?.track !== undefined || !endpoints.has(endpointOf(server))) continue
    found.set(key, { ip: undefined, port: undefined, weight: undefined, maxconn: undefined, admin: 'maint' })
  }
  return found
}
