import type { Server, Socket } from 'node:net'
import { messageOf } from '../../base/index.ts'
import type { StreamMessage } from '../messages.ts'
import { StreamReader, StreamRefusedError } from '../wire/stream.ts'
import { type StreamConfig, sealed } from './stream.ts'

/** memberlist refuses the 128th at a time: "Too many pending push/pull requests". */
const PUSH_PULLS_MAX = 127
/** Bytes of unfinished messages from all peers together. A list of 10 000 members has some 2 MB. */
const UNREAD_BYTES_MAX = 64 << 20

export interface StreamsInConfig extends StreamConfig {
  readonly timeoutMs: number
  /**
   * What to answer; undefined: close without a word. Runs `after` once the answer is on its way.
   * @param isStale it could be read with a retired key only
   */
  readonly answer: (
    message: StreamMessage,
    isStale: boolean,
  ) => { answer?: StreamMessage; after?: () => void } | undefined
  readonly refused: (reason: string, peer: string | undefined, thrown?: unknown) => void
}

/** Serves streams that others open: one message in, at most one out, then closed. */
export class StreamsIn {
  readonly #config: StreamsInConfig
  readonly #open = new Set<Socket>()
  #unread = 0
  #exchanges = 0

  constructor(server: Server, config: StreamsInConfig) {
    this.#config = config
    server.on('connection', socket => this.#accept(socket))
    server.on('error', failure => config.refused(failure.message, undefined))
  }

  close(): void {
    for (const socket of this.#open) socket.destroy()
  }

  #accept(socket: Socket): void {
    const { keyring, label, clock, timeoutMs, refused } = this.#config
    let key: Uint8Array | undefined
    const onRetired = (retired: Uint8Array) => {
      key = retired // whoever speaks with it reads nothing else
    }
    const reader = new StreamReader({ keyring, label, expectLabel: true, onRetired })
    const peer = socket.remoteAddress
    let unread = 0
    let isExchange = false
    this.#open.add(socket)
    const deadline = clock.after(timeoutMs, () => socket.destroy())
    socket.on('error', failure => refused(failure.message, peer))
    socket.on('close', () => {
      deadline.cancel()
      this.#open.delete(socket)
      this.#unread -= unread
      if (isExchange) this.#exchanges--
    })
    socket.on('data', chunk => {
      unread += chunk.length
      this.#unread += chunk.length
      if (this.#unread > UNREAD_BYTES_MAX) return this.#drop(socket, 'too many bytes pending')
      const message = this.#read(reader, chunk, socket)
      // Pings come whole in their first segment: what does not is a push/pull, and counts from here on.
      if (socket.destroyed || isExchange || (message !== undefined && message.type !== 'pushPull')) {
        // already counted, or never to be
      } else if (this.#exchanges >= PUSH_PULLS_MAX) return this.#drop(socket, 'Too many pending push/pull requests')
      else {
        isExchange = true
        this.#exchanges++
      }
      if (message !== undefined) this.#respond(socket, message, key)
    })
  }

  #read(reader: StreamReader, chunk: Uint8Array, socket: Socket): StreamMessage | undefined {
    try {
      return reader.push(chunk)
    } catch (thrown) {
      this.#config.refused(messageOf(thrown), socket.remoteAddress, thrown)
      const answer = thrown instanceof StreamRefusedError ? thrown.answer : undefined
      if (answer === undefined) socket.destroy()
      else socket.end(sealed({ type: 'err', error: answer }, this.#config, false))
      return undefined
    }
  }

  #respond(socket: Socket, message: StreamMessage, key: Uint8Array | undefined): void {
    const response = this.#config.answer(message, key !== undefined)
    if (response?.answer === undefined) socket.end()
    else this.#send(socket, response.answer, key)
    response?.after?.()
  }

  #send(socket: Socket, answer: StreamMessage, key: Uint8Array | undefined): void {
    try {
      socket.end(sealed(answer, { ...this.#config, key }, false))
    } catch (thrown) {
      this.#drop(socket, messageOf(thrown))
    }
  }

  #drop(socket: Socket, reason: string): void {
    this.#config.refused(reason, socket.remoteAddress)
    socket.destroy()
  }
}
