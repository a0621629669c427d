import { isIPv4, isIPv6 } from 'node:net'
import { formatAddress, messageOf } from '../../base/index.ts'
import { connectRpc, type RpcClient, RpcUnreachableError } from '../../serf/index.ts'
import { type Console, say, type WithAgent } from './console.ts'

/** Options that every command that talks to an agent has; the environment fills in. */
interface RpcFlags {
  readonly 'rpc-addr'?: string
  readonly 'rpc-auth'?: string
}

const CONNECT_MS_MAX = 10_000

/** Connects, or says in Go's words why not; `use` gives the exit status. The client waits for answers as long as it takes. */
export async function withAgent(console: Console, flags: RpcFlags, use: WithAgent): Promise<number> {
  const text = flags['rpc-addr'] ?? (console.env['SERF_RPC_ADDR'] || '127.0.0.1:7373')
  const authKey = flags['rpc-auth'] ?? console.env['SERF_RPC_AUTH'] ?? ''
  const target = readTarget(text)
  if (typeof target === 'string') return say(console, `Error connecting to Serf agent: dial tcp: ${target}`)
  const options = { timeoutMs: CONNECT_MS_MAX, answerTimeoutMs: 0, clock: console.clock, authKey }
  let client: RpcClient
  try {
    client = await connectRpc({ ip: target.host === '' ? 'localhost' : target.host, port: target.port }, options)
  } catch (failure) {
    return say(console, `Error connecting to Serf agent: ${dialText(failure, target)}`)
  }
  try {
    return await use(client)
  } finally {
    client.close()
  }
}

/** Does one thing with the agent; a failure is said behind `what`, in the agent's words. */
export async function orSay(console: Console, what: string, act: () => Promise<number>): Promise<number> {
  try {
    return await act()
  } catch (failure) {
    return say(console, `${what}: ${messageOf(failure)}`)
  }
}

/** `host:port` as Go's dialer takes it, or what it says of it. */
export function readTarget(text: string): { host: string; port: number } | string {
  if (text === '') return 'missing address'
  const found = /^(?:\[([^[\]]*)\]|([^:[\]]*)):([^:[\]]*)$/.exec(text)
  if (found === null) return `address ${text}: ${flawOf(text)}`
  const host = found[1] ?? found[2] ?? ''
  const port = found[3] as string
  if (!/^\d*$/.test(port)) {
    const known = SERVICES[port.toLowerCase()]
    return known === undefined ? `address tcp/${port}: unknown port` : { host, port: known }
  }
  return Number(port) > 65535 ? `address ${port}: invalid port` : { host, port: Number(port) }
}

/** What Go's `SplitHostPort` has against `text`, which it refuses. */
function flawOf(text: string): string {
  const close = text.indexOf(']')
  if (!text.includes(':')) return 'missing port in address'
  if (text.startsWith('[')) {
    if (close < 0) return "missing ']' in address"
    if (text[close + 1] !== ':') return 'missing port in address'
    if (text.lastIndexOf(':') !== close + 1) return 'too many colons in address'
  } else if (text.indexOf(':') !== text.lastIndexOf(':')) return 'too many colons in address'
  return text.slice(1).includes('[') ? "unexpected '[' in address" : "unexpected ']' in address"
}

/** Names of ports that somebody might write; Go reads /etc/services. */
const SERVICES: Readonly<Record<string, number>> = { http: 80, https: 443 }

function dialText(failure: unknown, { host, port }: { host: string; port: number }): string {
  if (!(failure instanceof RpcUnreachableError)) return messageOf(failure)
  const cause = failure.cause as SocketFailure & { readonly errors?: readonly SocketFailure[] }
  if (cause.code === 'ENOTFOUND' || cause.code === 'EAI_AGAIN') return `dial tcp: lookup ${host}: no such host`
  const last = cause.errors?.at(-1) ?? cause // of several addresses of a name
  const isName = host !== '' && !isIPv4(host) && !isIPv6(host)
  const ip = isName ? (last.address ?? host) : host
  return `dial tcp ${formatAddress({ ip, port })}: ${ERRNO_TEXTS[last.code ?? ''] ?? 'i/o timeout'}`
}

interface SocketFailure {
  readonly code?: string
  readonly address?: string
}

const ERRNO_TEXTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ECONNRESET: 'connect: connection reset by peer',
  EACCES: 'connect: permission denied',
  EADDRNOTAVAIL: 'connect: cannot assign requested address',
  ETIMEDOUT: 'connect: connection timed out',
}
