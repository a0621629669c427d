import { createServer, type Server, type Socket } from 'node:net'
import { type Address, type Clock, formatAddress, type Log, MusterError, messageOf } from '../../../base/index.ts'
import type { RpcBackend } from '../backend.ts'
import { RpcDispatcher } from '../dispatch.ts'
import { REQUEST_BYTES_MAX, RpcSession } from '../session.ts'

export interface RpcServerConfig {
  /** Port 0: any free one. Serf's default is 127.0.0.1:7373; there is no encryption, so keep it on loopback. */
  readonly bind: Address
  /** Clients have to present it. Default: none needed. */
  readonly authKey?: string
  /** Default 256; further ones are closed at once. */
  readonly connectionsMax?: number
}

export interface RpcServerDeps {
  readonly log: Log
  readonly clock: Clock
  readonly backend: RpcBackend
}

export interface RpcServer extends AsyncDisposable {
  readonly address: Address
  /** Closes the listener and every connection; idempotent. */
  stop(): Promise<void>
}

/** The RPC address could not be taken. Nothing was started. */
export class RpcListenError extends MusterError {
  readonly code = 'RPC_LISTEN'

  constructor(bind: Address, options: { cause: unknown }) {
    const advice = 'choose another address with -rpc-addr. To see who has it: ss -lnp'
    super(`Error starting RPC listener on ${formatAddress(bind)}: ${messageOf(options.cause)}; ${advice}`, options)
  }
}

/**
 * Serves Serf's RPC protocol: the `serf` command works against it. Resolves when the port is bound. An aborted signal stops it.
 * @throws RpcListenError; the signal's reason when it is aborted before the start
 */
export async function startRpcServer(
  config: RpcServerConfig,
  deps: RpcServerDeps,
  signal?: AbortSignal,
): Promise<RpcServer> {
  signal?.throwIfAborted()
  const connections = new Set<Connection>()
  let isFullSaid = false // once until somebody has gone: whoever tries in a loop must not fill the log
  const server = createServer(socket => {
    if (connections.size >= (config.connectionsMax ?? CONNECTIONS_MAX)) {
      if (!isFullSaid) deps.log.warn({ connections: connections.size }, 'refused an RPC client: too many connections')
      isFullSaid = true
      socket.on('error', () => socket.destroy()).destroy()
      return
    }
    const connection = new Connection(socket, config.authKey ?? '', deps, () => {
      connections.delete(connection)
      isFullSaid = false
    })
    connections.add(connection)
  })
  await listening(server, config.bind)
  const stop = once(async () => {
    signal?.removeEventListener('abort', onAbort)
    const closed = new Promise<void>(resolve => server.close(() => resolve()))
    for (const connection of connections) connection.close()
    await closed
  })
  const onAbort = () => void stop()
  signal?.addEventListener('abort', onAbort, { once: true })
  return { address: addressOf(server, config.bind), stop, [Symbol.asyncDispose]: stop }
}

/** One client. Requests are performed strictly one after the other; reading pauses while too much waits. */
class Connection {
  readonly #socket: Socket
  readonly #session: RpcSession
  readonly #dispatcher: RpcDispatcher
  readonly #log: Log
  #isRunning = false
  #isClosed = false

  constructor(socket: Socket, authKey: string, deps: RpcServerDeps, onClosed: () => void) {
    this.#socket = socket
    this.#log = deps.log.child({ client: `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}` })
    this.#session = new RpcSession(authKey)
    this.#dispatcher = new RpcDispatcher(deps.backend, { clock: deps.clock, log: this.#log }, bytes =>
      this.#push(bytes),
    )
    const greeting = deps.clock.after(GREETING_MS_MAX, () => {
      if (!this.#session.isAdmitted) this.close()
    })
    socket.setNoDelay(true)
    socket.on('data', chunk => this.#receive(chunk))
    socket.on('error', failure => this.#log.debug({ reason: failure.message }, 'RPC connection broke'))
    socket.on('close', () => {
      greeting.cancel()
      this.close()
      onClosed()
    })
    this.#log.debug({}, 'accepted RPC client')
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#dispatcher.end()
    this.#socket.destroy()
  }

  #receive(chunk: Buffer): void {
    this.#session.receive(chunk)
    if (this.#session.buffered > REQUEST_BYTES_MAX) this.#socket.pause()
    void this.#run()
  }

  /** Never rejects: whatever fails ends this connection and nothing else. */
  async #run(): Promise<void> {
    if (this.#isRunning) return
    this.#isRunning = true
    try {
      while (!this.#isClosed && (await this.#step()));
    } catch (failure) {
      this.#log.warn({ reason: messageOf(failure) }, 'closing an RPC connection: its request failed')
      this.close()
    } finally {
      this.#isRunning = false
    }
    if (this.#session.buffered <= REQUEST_BYTES_MAX) this.#socket.resume()
  }

  async #step(): Promise<boolean> {
    const step = this.#session.next()
    switch (step.kind) {
      case 'wait':
        return false
      case 'answer':
        await this.#write(step.bytes)
        return true
      case 'close':
        this.#log.warn({ reason: step.reason }, 'closing an RPC connection')
        if (step.bytes !== undefined) await this.#write(step.bytes)
        this.#finish()
        return false
      case 'perform': {
        const answer = await this.#dispatcher.perform(step.request)
        const written = this.#write(answer.bytes)
        // Records are queued behind the answer; only the end of the agent waits until it is on its way.
        if (step.request.command === 'leave') await written
        answer.afterwards?.()
        await written
        return true
      }
    }
  }

  /** Lets what has been written arrive, unlike `close`. */
  #finish(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#dispatcher.end()
    this.#socket.end(() => this.#socket.destroy())
  }

  /** Resolves when the kernel has the bytes, or the connection is gone. */
  #write(bytes: Uint8Array): Promise<void> {
    return new Promise(resolve => {
      if (this.#isClosed || this.#socket.destroyed) return resolve()
      const done = () => {
        this.#socket.off('close', done)
        resolve()
      }
      this.#socket.once('close', done)
      this.#socket.write(bytes, done)
    })
  }

  #push(bytes: Uint8Array): boolean {
    if (this.#isClosed || this.#socket.writableLength > UNREAD_BYTES_MAX) return false
    this.#socket.write(bytes)
    return true
  }
}

const CONNECTIONS_MAX = 256
/** A client that says nothing, or does not have the key, must not hold a connection for ever. */
const GREETING_MS_MAX = 10_000
/** What a slow reader can make us hold before its records are dropped; Serf holds 512 events. */
const UNREAD_BYTES_MAX = 1024 * 1024

function listening(server: Server, bind: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (cause: Error) => reject(new RpcListenError(bind, { cause }))
    server.once('error', onError)
    server.listen({ host: bind.ip, port: bind.port }, () => {
      server.off('error', onError)
      resolve()
    })
  })
}

function addressOf(server: Server, bind: Address): Address {
  const bound = server.address()
  return typeof bound === 'object' && bound !== null ? { ip: bound.address, port: bound.port } : bind
}

function once(end: () => Promise<void>): () => Promise<void> {
  let ended: Promise<void> | undefined
  return () => (ended ??= end())
}
