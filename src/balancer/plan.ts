import { endpointOf } from './server.ts'
import { type Structure, structuralDifferences } from './config-structure.ts'

export type Admin = 'ready' | 'drain' | 'maint'

/** One server as HAProxy has it at this moment. */
export interface LiveServer {
  readonly ip: string
  readonly port: number
  readonly weight: number
  readonly admin: Admin
  readonly maxconn?: number | undefined
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
}

export interface Running {
  readonly config: Structure
  readonly servers: ReadonlyMap<string, LiveServer>
}

export interface Wanted {
  readonly config: Structure
  /** By `backend/server`. */
  readonly servers: ReadonlyMap<string, WantedServer>
}

export type Command =
  | { readonly kind: 'state'; readonly server: string; readonly to: Admin }
  | { readonly kind: 'health-down'; readonly server: string }
  | { readonly kind: 'addr'; readonly server: string; readonly ip: string; readonly port: number }
  | { readonly kind: 'weight'; readonly server: string; readonly to: number }
  | { readonly kind: 'maxconn'; readonly server: string; readonly to: number }

/** The smallest step. Taking out goes to the socket before the file is written, putting in after it. */
export type Plan =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'runtime'; readonly out: readonly Command[]; readonly in: readonly Command[] }
  | { readonly kind: 'reload'; readonly reasons: readonly string[]; readonly out: readonly Command[] }

/** Compares what runs with what is wanted. Pure: the same two give the same plan, in the same order. */
export function plan(running: Running, wanted: Wanted): Plan {
  const reasons = structuralDifferences(running.config, wanted.config)
  const out: Command[] = []
  const addresses: Command[] = []
  const states: Command[] = []
  for (const [server, want] of wanted.servers) {
    const live = running.servers.get(server)
    if (live !== undefined) planServer(server, live, want, { out, addresses, states })
    else if (reasons.length === 0) reasons.push(`server ${server}: in the file, unknown to HAProxy`)
  }
  if (reasons.length > 0) return { kind: 'reload', reasons, out }
  if (out.length + addresses.length + states.length === 0) return { kind: 'nothing' }
  return { kind: 'runtime', out, in: [...addresses, ...states] }
}

interface Phases {
  readonly out: Command[]
  readonly addresses: Command[]
  readonly states: Command[]
}

/** An address never changes under traffic (kubernetes-ingress 825: 503s): maintenance first, the new address, then back. */
function planServer(server: string, live: LiveServer, want: WantedServer, phases: Phases): void {
  const moves =
    want.ip !== undefined &&
    want.port !== undefined &&
    endpointOf(live) !== endpointOf({ ip: want.ip, port: want.port })
  const admin = moves && want.admin !== undefined ? leaveTraffic(server, live.admin, phases) : live.admin
  if (want.admin !== undefined && admin !== want.admin) changeAdmin(server, admin, want, phases)
  if (moves) phases.addresses.push({ kind: 'addr', server, ip: want.ip as string, port: want.port as number })
  if (want.weight !== undefined && want.weight !== live.weight)
    phases.addresses.push({ kind: 'weight', server, to: want.weight })
  if (want.maxconn !== undefined && live.maxconn !== undefined && want.maxconn !== live.maxconn)
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
  }
}
