import { connect, type Socket } from 'node:net'
import { type Address, type Clock, formatAddress, messageOf, type Random } from '../../base/index.ts'
import type { Keyring } from '../keyring.ts'
import type { StreamMessage } from '../messages.ts'
import { sealStream, StreamReader } from '../wire/stream.ts'
import { encodeStreamMessage } from '../wire/encode.ts'
import { ExchangeError } from './errors.ts'

/** How streams are framed, and by what they are bounded. */
export interface StreamConfig {
  readonly keyring: Keyring | undefined
  /** Instead of the ring's primary key, to whoever has another. */
  readonly key?: Uint8Array | undefined
  readonly label: string | undefined
  readonly compress: boolean
  readonly random: Random
  readonly clock: Clock
}

export function sealed(message: StreamMessage, config: StreamConfig, sendLabel: boolean): Uint8Array {
  return sealStream(encodeStreamMessage(message), { ...config, sendLabel })
}

/**
 * One message there and one back, on a connection of its own.
 * @param timeoutMs for the whole exchange
 * @throws ExchangeError: refused, timed out, closed without an answer, or the answer cannot be read
 */
export function exchange(
  to: Address,
  message: StreamMessage,
  timeoutMs: number,
  config: StreamConfig,
  signal: AbortSignal,
): Promise<StreamMessage> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: to.ip, port: to.port, noDelay: true })
    const reader = new StreamReader({ keyring: config.keyring, label: config.label, expectLabel: false })
    const end = (failure: string | undefined, cause?: unknown) => {
      timer.cancel()
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      if (failure !== undefined) reject(new ExchangeError(`${formatAddress(to)}: ${failure}`, { cause }))
    }
    const onAbort = () => end('stopped')
    const timer = config.clock.after(timeoutMs, () => end(`no answer within ${Math.round(timeoutMs)} ms`))
    signal.addEventListener('abort', onAbort, { once: true })
    socket.on('error', failure => end(failure.message, failure))
    socket.on('close', () => end('closed without an answer'))
    socket.on('connect', () => write(socket, message, config, end))
    socket.on('data', chunk => {
      try {
        const answer = reader.push(chunk)
        if (answer === undefined) return
        resolve(answer)
        end(undefined)
      } catch (thrown) {
        end(messageOf(thrown), thrown)
      }
    })
    if (signal.aborted) onAbort()
  })
}

function write(
  socket: Socket,
  message: StreamMessage,
  config: StreamConfig,
  end: (failure: string, cause: unknown) => void,
): void {
  try {
    socket.write(sealed(message, config, true))
  } catch (thrown) {
    end(messageOf(thrown), thrown)
  }
}
