import { isIP } from 'node:net'

/**
 * What is believed of the member behind an endpoint. `failed` is a rumour, which HAProxy's own checks outrank; `left`,
 * `withdrawn` (the member itself took the endpoint back) and `reaped` are final.
 */
export type Liveness = 'alive' | 'failed' | 'left' | 'withdrawn' | 'reaped'

/** One endpoint that should be in a pool. It comes from strangers: `refusalOf` decides whether it may be used. */
export interface Server {
  readonly pool: string
  /** The member's name. */
  readonly name: string
  /** What templates see as `host`; by habit the member's name. */
  readonly host: string
  readonly ip: string
  /** 1 to 65535. */
  readonly port: number
  /** 0 to 256; 0 takes no new clients. */
  readonly weight: number
  /** `ready`: its own agent says so; `plain`: nobody does, only checks can tell. */
  readonly state: 'ready' | 'draining' | 'plain'
  /** Why it is drained, in words, where it is not its member that drains it: `drained by root@lb-1 ("new disk")`. */
  readonly drainReason?: string
  readonly liveness: Liveness
}

/** HAProxy's own alphabet for server names, which leaves no way to end a word or a line (reference of HAProxy, `server`). */
export const SERVER_NAME = /^[A-Za-z0-9_.:-]{1,64}$/
/** Pools name backends; a dot is kept for the companions of a backend (`web.unsafe`). */
export const POOL_NAME = /^[A-Za-z0-9_-]{1,48}$/

/**
 * Why an endpoint must not be used; undefined when it is sound. Everything that reaches a configuration line or a runtime
 * command is checked here, since both end a command at a newline and HAProxy takes port 99999 modulo 65536.
 */
export function refusalOf(server: Server): string | undefined {
  if (!SERVER_NAME.test(server.name)) return 'its name cannot be a server name'
  if (!SERVER_NAME.test(server.host)) return 'its host cannot be a server name'
  if (!POOL_NAME.test(server.pool)) return 'its pool cannot be a backend name'
  if (isIP(server.ip) === 0 || server.ip.includes('%')) return 'its address is not an IP address'
  if (!isInteger(server.port, 1, 65535)) return 'its port is not 1 to 65535'
  if (!isInteger(server.weight, 0, 256)) return 'its weight is not 0 to 256'
  return undefined
}

/** The identity of an endpoint inside HAProxy: who is behind it may change, where it is may not. */
export function endpointOf(server: { readonly ip: string; readonly port: number }): string {
  return server.ip.includes(':') ? `[${server.ip}]:${server.port}` : `${server.ip}:${server.port}`
}

function isInteger(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max
}
