import { type AttachmentCommand, attachmentChanges, type Attachments } from '../file/attachments.ts'
import {
  cookieKeys,
  type ServerLine,
  serverLines,
  type Structure,
  structuralDifferences,
} from '../file/config-structure.ts'
import { endpointOf } from '../server.ts'

export type Admin = 'ready' | 'drain' | 'maint'

/** One server as HAProxy has it at this moment. */
export interface LiveServer {
  readonly ip: string
  readonly port: number
  readonly weight: number
  readonly admin: Admin
  readonly maxconn?: number | undefined
  /** Its checks let it take traffic. */
  readonly up?: boolean
}

/** One server as it should be; what is undefined does not matter. */
export interface WantedServer {
  readonly ip: string | undefined
  readonly port: number | undefined
  readonly weight: number | undefined
  readonly maxconn: number | undefined
  /** Undefined: follows another server (`track`), or is none of our business. */
  readonly admin: Admin | undefined
  /** Leaves maintenance with `health down`, so that its first good check lets it in and nothing before. */
  readonly entersByCheck?: boolean
  /** Of a line of the file: whether one of our servers is in it, or it is the user's own. Undefined: nobody is there yet, or any more. */
  readonly whose?: 'ours' | 'theirs'
  /** Its line stands under a condition: it need not be there. */
  readonly isPerhaps?: boolean
}

export interface Running {
  readonly config: Structure
  readonly servers: ReadonlyMap<string, LiveServer>
  /** Of servers that do not say it themselves: HAProxy does not tell it, but its file does. */
  readonly maxconns?: ReadonlyMap<string, number>
  readonly attachments?: Attachments
  /** Whether its socket takes more than a line: a certificate; default true. */
  readonly takesPayload?: boolean
}

export interface Wanted {
  readonly config: Structure
  /** By `backend/server`. */
  readonly servers: ReadonlyMap<string, WantedServer>
  readonly attachments?: Attachments
}

export type Command =
  | AttachmentCommand
  | { readonly kind: 'cookie-key'; readonly backend: string; readonly key: string }
  | { readonly kind: 'state'; readonly server: string; readonly to: Admin }
  | { readonly kind: 'health-down'; readonly server: string }
  | { readonly kind: 'addr'; readonly server: string; readonly ip: string; readonly port: number }
  | { readonly kind: 'weight'; readonly server: string; readonly to: number }
  | { readonly kind: 'maxconn'; readonly server: string; readonly to: number }

/**
 * The smallest step. Taking out goes to the socket before the file is written, putting in after it. What a file cannot hold (drains,
 * what the checks of the former worker knew) is told to the new worker after a reload.
 */
export type Plan =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'runtime'; readonly out: readonly Command[]; readonly in: readonly Command[] }
  | {
      readonly kind: 'reload'
      readonly reasons: readonly string[]
      readonly out: readonly Command[]
      readonly after: readonly Command[]
    }

/**
 * Compares what runs with what is wanted. Pure: the same two give the same plan, in the same order.
 * @param asked reasons for a reload that are not in the two
 */
export function plan(running: Running, wanted: Wanted, asked: readonly string[] = []): Plan {
  const attached = attachmentChanges(running.attachments ?? NONE, wanted.attachments ?? NONE, running.takesPayload)
  const differences = [...structuralDifferences(running.config, wanted.config), ...lineReasons(running.config, wanted)]
  const reasons = [...asked, ...differences, ...attached.reasons]
  const phases = newPhases()
  for (const [server, want] of wanted.servers) {
    const live = running.servers.get(server)
    const maxconn = want.maxconn === undefined ? undefined : running.maxconns?.get(server)
    if (live !== undefined) planServer(server, live, want, phases, maxconn)
    else if (reasons.length === 0 && want.isPerhaps !== true)
      reasons.push(`server ${server}: in the file, unknown to HAProxy`)
  }
  const { out, addresses, states } = phases
  if (reasons.length > 0) return { kind: 'reload', reasons, out, after: afterReload(running, wanted) }
  const values = [...attached.commands, ...keyChanges(running.config, wanted.config), ...addresses]
  if (out.length + values.length + states.length === 0) return { kind: 'nothing' }
  return { kind: 'runtime', out, in: [...values, ...states] }
}

const NONE: Attachments = new Map()
/** More say no more. */
const LINES_NAMED_MAX = 5

/** What a line says of a server and no command follows: nobody decides about the user's own, and a default is what only HAProxy knows. */
function lineReasons(running: Structure, { config, servers }: Wanted): string[] {
  if (running === config) return []
  const reasons: string[] = []
  const before = serverLines(running)
  for (const [server, line] of serverLines(config)) {
    const old = before.get(server)
    const whose = servers.get(server)?.whose
    const what = old === undefined || old === line || whose === undefined ? undefined : changeIn(old, line, whose)
    if (what !== undefined) reasons.push(`server ${server}: ${what} changed`)
    if (reasons.length === LINES_NAMED_MAX) break
  }
  return reasons
}

function changeIn(old: ServerLine, line: ServerLine, whose: 'ours' | 'theirs'): 'disabled' | 'weight' | undefined {
  if (whose === 'ours') return old.weight !== undefined && line.weight === undefined ? 'weight' : undefined
  if (old.disabled !== line.disabled) return 'disabled'
  const isDefault = (old.weight === undefined) !== (line.weight === undefined)
  return isDefault || (line.agentChecked && old.weight !== line.weight) ? 'weight' : undefined
}

function newPhases(): Phases {
  return { out: [], addresses: [], states: [] }
}

/** The keys of dynamic cookies; where one appears or disappears the structure differs. */
function keyChanges(running: Structure, wanted: Structure): Command[] {
  const before = cookieKeys(running)
  return [...cookieKeys(wanted)]
    .filter(([backend, key]) => before.has(backend) && before.get(backend) !== key)
    .map(([backend, key]) => ({ kind: 'cookie-key', backend, key }))
}

/**
 * A new worker has every server as its line says, and takes all that are not `disabled` for UP. Those known to be down, or never seen
 * up, would get requests until they are told apart, and `leastconn` prefers them: nobody is on them. So they are in the file as
 * `disabled`, whoever loads it, and let in behind a good check; all but those of a backend where nobody else would serve.
 * @returns `web/slot1`, in the order of the file
 */
export function knownDown(running: Running, wanted: Wanted): string[] {
  const waiting = waitingServers(running, wanted)
  if (waiting.size === 0) return []
  const known = byEndpoint(running)
  const serving = new Set<string>()
  for (const [server, line] of serverLines(wanted.config)) {
    const live = known.get(placeOf(server, line))
    const isWanted = !line.disabled && (wanted.servers.get(server)?.admin ?? 'ready') === 'ready'
    if (isWanted && !waiting.has(server) && live?.admin === 'ready' && live.up !== false) serving.add(backendOf(server))
  }
  const isOurs = (server: string) => wanted.servers.get(server)?.admin === 'ready' // nobody would let the user's own in again
  return [...waiting].filter(server => isOurs(server) && serving.has(backendOf(server)))
}

/** Servers that the file has in traffic, and that must wait for a good check. */
function waitingServers(running: Running, wanted: Wanted): Set<string> {
  const isDown = ({ admin, up }: LiveServer) => admin === 'ready' && up === false
  const waits = ({ entersByCheck }: WantedServer) => entersByCheck === true
  if (!isAny(running.servers, isDown) && !isAny(wanted.servers, waits)) return new Set() // as nearly always, in pools of thousands
  const known = byEndpoint(running)
  const waiting = new Set<string>()
  for (const [server, line] of serverLines(wanted.config)) {
    const want = wanted.servers.get(server)
    if (want === undefined || line.disabled || line.track !== undefined || !line.checked) continue
    if ((want.admin ?? 'ready') !== 'ready') continue
    const there = known.get(placeOf(server, line))
    if (want.entersByCheck === true || (there !== undefined && isDown(there))) waiting.add(server)
  }
  return waiting
}

function isAny<T>(servers: ReadonlyMap<string, T>, what: (server: T) => boolean): boolean {
  for (const server of servers.values()) if (what(server)) return true
  return false
}

/** What a new worker, which has loaded the file, is still to be told. */
function afterReload(running: Running, wanted: Wanted): Command[] {
  const phases = newPhases()
  const stillDown: Command[] = []
  const waiting = waitingServers(running, wanted)
  const down = new Set(knownDown(running, wanted))
  for (const [server, line] of serverLines(wanted.config)) {
    const want = wanted.servers.get(server)
    const loaded = asLoaded(line)
    if (want === undefined || loaded === undefined) continue
    if (down.has(server)) {
      planServer(server, { ...loaded, admin: 'maint' }, { ...want, entersByCheck: true }, phases)
      continue
    }
    planServer(server, loaded, want, phases)
    if (waiting.has(server)) stillDown.push({ kind: 'health-down', server })
  }
  return [...phases.out, ...phases.addresses, ...phases.states, ...stillDown]
}

/** `web 10.0.0.2:3000` → who has traffic there, if somebody has: another template may call the same server otherwise. */
function byEndpoint({ servers }: Running): Map<string, LiveServer> {
  const found = new Map<string, LiveServer>()
  for (const [server, live] of servers) {
    const key = `${backendOf(server)} ${endpointOf(live)}`
    if (live.admin === 'ready' || !found.has(key)) found.set(key, live)
  }
  return found
}

function placeOf(server: string, { ip = '', port = 0 }: ServerLine): string {
  return `${backendOf(server)} ${endpointOf({ ip, port })}`
}

function backendOf(server: string): string {
  return server.slice(0, server.indexOf('/'))
}

/** Undefined for a line whose address only HAProxy can tell. */
function asLoaded(line: ServerLine): LiveServer | undefined {
  const { ip, port, weight = 1, maxconn, disabled } = line
  if (ip === undefined || port === undefined) return undefined
  return { ip, port, weight, maxconn, admin: disabled ? 'maint' : 'ready' }
}

interface Phases {
  readonly out: Command[]
  readonly addresses: Command[]
  readonly states: Command[]
}

/** An address never changes under traffic (kubernetes-ingress 825: 503s): maintenance first, the new address, then back. */
function planServer(
  server: string,
  live: LiveServer,
  want: WantedServer,
  phases: Phases,
  maxconn: number | undefined = live.maxconn,
): void {
  const moves = want.ip !== undefined && want.port !== undefined && (live.ip !== want.ip || live.port !== want.port)
  const admin = moves && want.admin !== undefined ? leaveTraffic(server, live.admin, phases) : live.admin
  if (want.admin !== undefined && admin !== want.admin) changeAdmin(server, admin, want, phases)
  if (moves) phases.addresses.push({ kind: 'addr', server, ip: want.ip as string, port: want.port as number })
  if (want.weight !== undefined && want.weight !== live.weight)
    phases.addresses.push({ kind: 'weight', server, to: want.weight })
  if (want.maxconn !== undefined && maxconn !== undefined && want.maxconn !== maxconn)
    phases.addresses.push({ kind: 'maxconn', server, to: want.maxconn })
}

function leaveTraffic(server: string, admin: Admin, phases: Phases): Admin {
  if (admin !== 'maint') phases.out.push({ kind: 'state', server, to: 'maint' })
  return 'maint'
}

function changeAdmin(server: string, admin: Admin, want: WantedServer, phases: Phases): void {
  const to = want.admin as Admin
  const takesOut = to === 'maint' || (to === 'drain' && admin === 'ready')
  if (takesOut) phases.out.push({ kind: 'state', server, to })
  else phases.states.push({ kind: 'state', server, to })
  if (to === 'ready' && admin === 'maint' && want.entersByCheck === true)
    phases.states.push({ kind: 'health-down', server })
}

/** The line for HAProxy's socket. Everything in it was validated: names by HAProxy's own parser, values by `refusalOf`. */
export function commandLine(command: Command): string {
  switch (command.kind) {
    case 'state':
      return `set server ${command.server} state ${command.to}`
    case 'health-down':
      return `set server ${command.server} health down`
    case 'addr':
      return `set server ${command.server} addr ${command.ip} port ${command.port}`
    case 'weight':
      return `set server ${command.server} weight ${command.to}`
    case 'maxconn':
      return `set maxconn server ${command.server} ${command.to}`
    case 'cookie-key':
      return `set dynamic-cookie-key backend ${command.backend} ${command.key}`
    case 'add map':
    case 'set map':
      return `${command.kind} ${command.path} ${command.key} ${command.value.replaceAll(' ', '\\ ')}`
    case 'del map':
    case 'add acl':
    case 'del acl':
      return `${command.kind} ${command.path} ${command.key}`
    case 'set ssl cert':
      return `${command.kind} ${command.path} <<`
    case 'commit ssl cert':
      return `${command.kind} ${command.path}`
  }
}

/** What follows the line, up to an empty one. */
export function payloadOf(command: Command): string | undefined {
  return command.kind === 'set ssl cert' ? command.pem : undefined
}
