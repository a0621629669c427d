import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, isIPv6, type Server } from 'node:net'
import { type Address, formatAddress, messageOf } from '../../base/index.ts'
import { AddressInUseError, ListenError } from './errors.ts'

/** UDP and TCP on one port. */
export interface Listener {
  readonly udp: Socket
  readonly tcp: Server
  readonly port: number
}

/** Asked of the system, which may give less. A burst after a partition heals is larger than the default. */
const RECEIVE_BUFFER_BYTES = 2 << 20
/** Connections beyond are closed by the system's own accept loop. */
export const STREAMS_MAX = 512
const PORT_TRIES = 20

/**
 * Opens both. Port 0 takes a free TCP port, and tries others while its UDP twin is taken.
 * @throws AddressInUseError, ListenError
 */
export async function listen(bind: Address): Promise<Listener> {
  for (let tries = 1; ; tries++) {
    const tcp = await listenTcp(bind)
    const address = tcp.address()
    const port = address !== null && typeof address === 'object' ? address.port : bind.port
    try {
      return { tcp, udp: await listenUdp({ ip: bind.ip, port }), port }
    } catch (failure) {
      await closed(tcp)
      if (bind.port !== 0 || tries >= PORT_TRIES) throw failure
    }
  }
}

/** Ends both; open streams are the caller's. */
export async function unlisten({ udp, tcp }: Listener): Promise<void> {
  await Promise.all([closed(tcp), new Promise<void>(resolve => udp.close(() => resolve()))])
}

async function listenTcp(bind: Address): Promise<Server> {
  const server = createServer({ noDelay: true })
  server.maxConnections = STREAMS_MAX
  try {
    server.listen({ host: bind.ip, port: bind.port, backlog: 256 })
    await once(server, 'listening')
    return server
  } catch (failure) {
    throw listenError(bind, 'tcp', failure)
  }
}

async function listenUdp(bind: Address): Promise<Socket> {
  const type = isIPv6(bind.ip) ? 'udp6' : 'udp4'
  const socket = createSocket({ type, recvBufferSize: RECEIVE_BUFFER_BYTES })
  try {
    socket.bind({ address: bind.ip, port: bind.port, exclusive: true })
    await once(socket, 'listening')
    return socket
  } catch (failure) {
    socket.close()
    throw listenError(bind, 'udp', failure)
  }
}

function listenError(bind: Address, protocol: 'tcp' | 'udp', cause: unknown): Error {
  const isTaken = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE'
  if (isTaken) return new AddressInUseError(bind, protocol, { cause })
  return new ListenError(`cannot listen on ${formatAddress(bind)} (${protocol}): ${messageOf(cause)}`, { cause })
}

function closed(server: Server): Promise<void> {
  return new Promise(resolve => void server.close(() => resolve()))
}
