import { createServer, type Socket } from 'node:net'
import {
  type Decoded,
  decodeMsgpack,
  encodeMsgpack,
  type MsgpackValue,
  NeedMoreError,
  Raw,
} from '../src/codec/index.ts'

/** Writes the header of an answer, or of a pushed record, and the bodies behind it. */
export type Say = (error: string, ...bodies: MsgpackValue[]) => void
export type Script = (command: string, say: Say, body: ReadonlyMap<string, Decoded>, socket: Socket) => void

/** Commands whose request has a body (serf-rpc 5). */
const WITHOUT_BODY = new Set(['members', 'leave', 'list-keys', 'stats'])

/** An agent that shakes hands and otherwise says what a test tells it to: for states that no real agent is in for long. */
export class ScriptedAgent implements AsyncDisposable {
  readonly rpc: string
  readonly #server
  readonly #sockets

  private constructor(rpc: string, server: ReturnType<typeof createServer>, sockets: Set<Socket>) {
    this.rpc = rpc
    this.#server = server
    this.#sockets = sockets
  }

  static async start(ip: string, script: Script): Promise<ScriptedAgent> {
    const sockets = new Set<Socket>()
    const server = createServer(socket => {
      sockets.add(socket)
      let held = Buffer.alloc(0)
      let header: ReadonlyMap<string, Decoded> | undefined
      const take = (value: ReadonlyMap<string, Decoded>) => {
        const command = textOf((header ?? value).get('Command'))
        const seq = Number((header ?? value).get('Seq'))
        if (header === undefined && !WITHOUT_BODY.has(command)) {
          header = value
          return
        }
        header = undefined
        const say: Say = (error, ...bodies) => {
          for (const one of [{ Error: error, Seq: seq }, ...bodies]) socket.write(encodeMsgpack(one, 'new'))
        }
        if (command === 'handshake') say('')
        else script(command, say, value, socket)
      }
      socket.on('error', () => {})
      socket.on('data', chunk => {
        held = Buffer.concat([held, chunk])
        try {
          while (held.length > 0) {
            const { value, end } = decodeMsgpack(held)
            held = held.subarray(end)
            if (value instanceof Map) take(value)
          }
        } catch (failure) {
          if (!(failure instanceof NeedMoreError)) throw failure
        }
      })
    })
    await new Promise<void>(resolve => void server.listen(0, ip, resolve))
    const { port } = server.address() as { port: number }
    return new ScriptedAgent(`${ip}:${port}`, server, sockets)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise(resolve => void this.#server.close(resolve))
  }
}

function textOf(value: Decoded | undefined): string {
  return value instanceof Raw ? value.text : ''
}
