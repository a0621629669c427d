import { chmodSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { connect, isIP } from 'node:net'
import { hostname } from 'node:os'
import { type Address, formatAddress, type Log, messageOf, portHolder } from '../../base/index.ts'
import { ApiListenError, SocketTakenError } from '../errors.ts'
import { answer } from '../routes.ts'
import type { ApiBackend } from '../status.ts'

/** Where answers come from; undefined while the agent starts. */
export type ApiRoutes = ApiBackend | (() => ApiBackend | undefined)

export interface ApiConfig {
  /** Below 97 bytes; its directory must exist. */
  readonly socketPath: string
  /** Default 0600: only the agent's user and root. */
  readonly mode?: number
  /** Also on TCP, where anybody who reaches it may read and nobody may change anything: loopback only, by habit. */
  readonly listen?: Address
}

export interface Api extends AsyncDisposable {
  /** Ends every connection; idempotent. Removes the socket. */
  stop(): Promise<void>
}

/** Open connections; a stuck client must not use up the agent's descriptors. */
const CONNECTIONS_MAX = 64
const REQUEST_MS_MAX = 10_000

/**
 * Serves the API. A socket that a killed agent left behind is taken over, one that answers is not.
 * @throws SocketTakenError, ApiListenError, or the system's error, with nothing left listening
 */
export async function startApi(
  config: ApiConfig,
  deps: { readonly log: Log; readonly routes: ApiRoutes },
  signal?: AbortSignal,
): Promise<Api> {
  signal?.throwIfAborted()
  if (await answers(config.socketPath)) throw new SocketTakenError(config.socketPath)
  rmSync(config.socketPath, { force: true })
  const servers: Server[] = []
  const stop = async () => {
    signal?.removeEventListener('abort', onAbort)
    await Promise.all(servers.splice(0).map(close))
  }
  const onAbort = () => void stop()
  try {
    const local = serverFor(deps, () => undefined)
    servers.push(local)
    await listen(local, { path: config.socketPath })
    watch(local, deps.log)
    chmodSync(config.socketPath, config.mode ?? 0o600)
    if (config.listen !== undefined) {
      const server = serverFor(deps, refusalOnTcp)
      servers.push(server)
      await listenOn(server, config.listen)
      watch(server, deps.log)
    }
  } catch (error) {
    await stop()
    throw error
  }
  signal?.addEventListener('abort', onAbort, { once: true })
  return { stop, [Symbol.asyncDispose]: stop }
}

/** @param refusal why a request gets no answer but 403 */
function serverFor(
  deps: { readonly log: Log; readonly routes: ApiRoutes },
  refusal: (request: IncomingMessage) => string | undefined,
): Server {
  const { routes } = deps
  const server = createServer({ requestTimeout: REQUEST_MS_MAX, maxHeaderSize: 8192 }, (request, response) => {
    request.resume() // no route takes a body
    request.on('error', () => response.destroy())
    const backend = typeof routes === 'function' ? routes() : routes
    const refused = refusal(request)
    const answered =
      refused === undefined
        ? answer(request.method ?? 'GET', request.url ?? '/', backend, deps.log)
        : Promise.resolve({ status: 403, body: { error: refused } })
    void answered.then(given => {
      const body = `${JSON.stringify(given.body)}\n`
      response.writeHead(given.status, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      })
      response.end(body)
    })
  })
  server.maxConnections = CONNECTIONS_MAX
  return server
}

/**
 * A browser on this machine reaches the port for any page that it shows: so nothing can be changed there, and a name that
 * leads here (DNS rebinding) gets no answer, since its page could read it.
 */
function refusalOnTcp({ method, headers }: IncomingMessage): string | undefined {
  if (method !== 'GET') return 'over TCP there is only GET; what changes something goes over the unix socket'
  const host = /^(?:\[([^\]]+)\]|([^:]+))(?::\d+)?$/.exec(headers.host ?? '')
  const name = host?.[1] ?? host?.[2] ?? ''
  const isOwn = isIP(name) !== 0 || name === 'localhost' || name.toLowerCase() === hostname().toLowerCase()
  if (isOwn) return undefined
  return `ask by address, by localhost or by ${hostname()}: the Host header names another machine`
}

/** From when it listens: what keeps it from that is thrown. */
function watch(server: Server, log: Log): void {
  server.on('error', error => log.error({ error: messageOf(error) }, 'the API failed'))
}

/** @throws ApiListenError */
async function listenOn(server: Server, address: Address): Promise<void> {
  try {
    await listen(server, { host: address.ip, port: address.port })
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const holder = code === 'EADDRINUSE' ? portHolder(address) : undefined
    const words = code === undefined ? messageOf(cause) : (WORDS[code] ?? code)
    const why = holder === undefined ? words : `${holder} has it`
    const text = `api.listen: cannot listen on ${formatAddress(address)}: ${why}; set another (-api-addr)`
    throw new ApiListenError(text, { cause })
  }
}

const WORDS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process has it',
  EADDRNOTAVAIL: 'this machine does not have that address',
  EACCES: 'a port below 1024 needs privileges',
}

function listen(server: Server, where: { path: string } | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    const before = process.umask(0o177) // the socket must not be open to others for the moment before chmod
    server.listen(where, () => {
      server.removeListener('error', reject)
      resolve()
    })
    process.umask(before)
  })
}

function close(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve())
    server.closeIdleConnections()
    server.closeAllConnections()
  })
}

/** Whether somebody listens there. A unix socket answers at once or refuses at once. */
function answers(socketPath: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(socketPath)
    const settle = (is: boolean) => {
      socket.destroy()
      resolve(is)
    }
    socket.once('connect', () => settle(true))
    socket.once('error', () => settle(false))
  })
}
