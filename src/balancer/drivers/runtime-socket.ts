import { connect, type Socket } from 'node:net'
import type { Clock, Timer } from '../../base/index.ts'
import { RuntimeSocketError, UnknownReplyError } from '../errors.ts'

/** A transaction with HAProxy: opened for it, closed after it, since a kept connection talks to the old worker after a reload. */
export interface RuntimeSession {
  /**
   * @param payload what follows a line that ends in `<<`
   * @throws RuntimeSocketError when the connection ends, the reply takes too long, or the line could hold two commands;
   * UnknownReplyError when this way takes no payload
   */
  command(line: string, payload?: string): Promise<string>
  close(): void
}

/** Longest reply: 20 000 servers' statistics are 5 MB. */
const REPLY_BYTES_MAX = 32 * 1024 * 1024
/** HAProxy 2.6 never answers and never closes a command longer than its buffer less 1 KiB. */
const COMMAND_BYTES_MAX = 8_000
/** Ends each reply in prompt mode. */
const PROMPT = '\n> '
/** HAProxy takes payloads of 16 300 bytes. */
const PAYLOAD_BYTES_MAX = 16_200
/** The master's answer when the worker asked for has ended, or has not loaded its file yet (3.1 and later). */
const NO_WORKER = "Can't find the target PID"

interface Waiting {
  resolve(reply: string): void
  reject(error: Error): void
}

/**
 * Opens the admin socket in prompt mode, where `\n> ` ends each reply without doubt.
 * @param timeoutMs for each wait
 * @throws RuntimeSocketError; the connection is released
 */
export async function openRuntimeSession(
  path: string,
  options: { readonly timeoutMs: number; readonly clock: Clock },
): Promise<RuntimeSession> {
  const session = new SocketSession(path, options.timeoutMs, options.clock)
  try {
    const settings = ['prompt', 'set severity-output number'].map(line => session.command(line))
    await Promise.all([session.opened, ...settings]) // one way there and back: each is a tenth of a small pool's pass
    return session
  } catch (failure) {
    session.close()
    throw failure
  }
}

class SocketSession implements RuntimeSession {
  readonly opened: Promise<void>
  readonly #path: string
  readonly #socket: Socket
  readonly #timeoutMs: number
  readonly #clock: Clock
  readonly #waiting: Waiting[] = []
  #pieces: string[] = []
  #length = 0
  /** The end of the last piece: the prompt may begin there. */
  #seam = ''
  #ended: { readonly why: string; readonly cause: Error | undefined } | undefined
  #timer: Timer | undefined

  constructor(path: string, timeoutMs: number, clock: Clock) {
    this.#path = path
    this.#timeoutMs = timeoutMs
    this.#clock = clock
    this.#socket = connect(path)
    this.#socket.setEncoding('latin1')
    this.opened = new Promise((resolve, reject) => {
      this.#waiting.push({ resolve: () => resolve(), reject })
      this.#socket.once('connect', () => this.#settle(''))
    })
    this.#arm()
    this.#socket.on('data', (text: string) => this.#read(text))
    this.#socket.on('error', error => this.#end(error.message, error))
    this.#socket.on('close', () => this.#end('HAProxy closed the connection'))
  }

  command(line: string, payload?: string): Promise<string> {
    if (!isSingle(line) || !isPayload(payload))
      return Promise.reject(new RuntimeSocketError(`not a single command: ${JSON.stringify(line.slice(0, 80))}`))
    if (this.#ended !== undefined) return Promise.reject(this.#failure(this.#ended))
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#arm()
      this.#socket.write(payload === undefined ? `${line}\n` : `${line}\n${payload.trimEnd()}\n\n`)
    })
  }

  close(): void {
    this.#end('closed')
  }

  /** A dump of megabytes comes in many pieces: only the seam to the one before is looked at again. */
  #read(text: string): void {
    for (let rest = text; ; ) {
      const seam = this.#seam + rest
      const at = seam.indexOf(PROMPT)
      this.#pieces.push(rest)
      this.#length += rest.length
      if (this.#length > REPLY_BYTES_MAX) return this.#end('reply too long')
      this.#seam = seam.slice(1 - PROMPT.length)
      if (at < 0) return
      const all = this.#pieces.join('')
      const end = all.length - seam.length + at
      rest = all.slice(end + PROMPT.length)
      this.#pieces = []
      this.#length = 0
      this.#seam = ''
      this.#settle(all.slice(0, end).replace(/^(?:\n|\+ )+|\n+$/g, '')) // `+ ` asks for more of a payload
    }
  }

  #settle(reply: string): void {
    this.#timer?.cancel()
    this.#waiting.shift()?.resolve(reply)
    if (this.#waiting.length > 0) this.#arm()
  }

  #arm(): void {
    this.#timer?.cancel()
    this.#timer = this.#clock.after(this.#timeoutMs, () => this.#end(`no answer within ${this.#timeoutMs} ms`))
  }

  #end(why: string, cause?: Error): void {
    this.#ended ??= { why, cause }
    this.#timer?.cancel()
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#failure(this.#ended))
    this.#socket.destroy()
  }

  /** Made only where somebody hears of it: every session ends, and an error costs as much as a short answer. */
  #failure({ why, cause }: { readonly why: string; readonly cause: Error | undefined }): RuntimeSocketError {
    return new RuntimeSocketError(`${this.#path}: ${why}`, { cause })
  }
}

/** A backslash only before a space, where it keeps one word together. */
function isSingle(line: string): boolean {
  return !/[\n\r;]|\\(?! )/.test(line) && Buffer.byteLength(line) <= COMMAND_BYTES_MAX
}

/** An empty line would end it, and what follows would be commands. */
function isPayload(payload: string | undefined): boolean {
  if (payload === undefined) return true
  return !/\n\s*\n/.test(payload.trimEnd()) && Buffer.byteLength(payload) <= PAYLOAD_BYTES_MAX
}

/**
 * One exchange with the master socket, which does not close by itself: `quit` makes it.
 * @returns what it said before it closed; empty for `reload` on 2.6, which cuts the connection
 * @throws RuntimeSocketError when it cannot be reached or is silent for `timeoutMs`
 */
export function askMaster(
  path: string,
  line: string,
  options: { readonly timeoutMs: number; readonly clock: Clock },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    let text = ''
    const timer = options.clock.after(options.timeoutMs, () => {
      socket.destroy()
      reject(new RuntimeSocketError(`${path}: no answer within ${options.timeoutMs} ms`))
    })
    socket.setEncoding('latin1')
    socket.on('connect', () => socket.write(`${line};quit\n`))
    socket.on('data', (chunk: string) => {
      text += chunk
      if (text.length > REPLY_BYTES_MAX) socket.destroy(new Error('reply too long'))
      else if (text.startsWith(NO_WORKER)) socket.destroy() // since 2.8 it ignores the rest of such a line, `quit` too
    })
    socket.on('error', error => {
      timer.cancel()
      reject(new RuntimeSocketError(`${path}: ${error.message}`, { cause: error }))
    })
    socket.on('close', () => {
      timer.cancel()
      resolve(text.trim())
    })
  })
}

/** Speaks to the current worker through the master, for configurations without a `stats socket`. */
export function masterSession(
  path: string,
  options: { readonly timeoutMs: number; readonly clock: Clock },
): RuntimeSession {
  return {
    async command(line, payload) {
      if (payload !== undefined) throw new UnknownReplyError(`${path}: the master's socket takes no payload`)
      const reply = await askMaster(path, `@1 ${line}`, options)
      if (reply.startsWith(NO_WORKER)) throw new RuntimeSocketError(`${path}: no worker serves yet`)
      return reply
    },
    close() {},
  }
}
