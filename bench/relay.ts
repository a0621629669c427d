/** Passes TCP on, and remembers when the first connection came: the moment at which an agent begins to join. */
import { connect, createServer, type Server, type Socket } from 'node:net'

const GOSSIP_PORT = 7946

export class Relay implements AsyncDisposable {
  /** Of `performance.now()`; undefined while nobody has come. */
  firstAtMs: number | undefined
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(to: string) {
    this.#server = createServer(from => this.#pass(from, connect(GOSSIP_PORT, to)))
  }

  /** Listens on Serf's port of `ip`, for the one of `to`. Datagrams are not passed: joining is one TCP connection. */
  static async open(ip: string, to: string): Promise<Relay> {
    const relay = new Relay(to)
    await new Promise<void>(listening => relay.#server.listen(GOSSIP_PORT, ip, listening))
    return relay
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise(closed => this.#server.close(closed))
  }

  #pass(from: Socket, to: Socket): void {
    this.firstAtMs ??= performance.now()
    for (const [socket, other] of [
      [from, to],
      [to, from],
    ] as const) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.pipe(other)
      socket.once('error', () => other.destroy())
      socket.once('close', () => this.#sockets.delete(socket))
    }
  }
}
