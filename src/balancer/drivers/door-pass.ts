import { type IncomingMessage, request as send, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream'
import type { Clock, Timer } from '../../base/index.ts'

/** A request that is whole, and where its answer goes. */
export interface Held {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly body: Buffer
}

/** ms, to be connected, and from there to the first byte of an answer. */
export interface PassLimits {
  readonly connectMs: number
  readonly answerMs: number
}

/**
 * - `done`: the answer, or as much of it as came, is on its way, or nobody waits for it any more
 * - `unsent`: the server has not seen a byte of it
 * - `lost`: the server may have executed it and gave no answer
 * - `late`: the same, and the time is over
 */
export type Outcome = 'done' | 'unsent' | 'lost' | 'late'

/** By which HAProxy's process says who it is; no server sees it but those of requests that came while none lived. */
export const WORKER_HEADER = 'x-muster-door'

/** RFC 9110, 7.6.1, and what a proxy says for itself. */
const HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade']

/** Sends a request to `ip:port` over a connection of its own and hands the answer back. Never rejects. */
export function passOn(held: Held, to: string, limits: PassLimits, clock: Clock): Promise<Outcome> {
  return new Promise(resolve => {
    const { request, response, body } = held
    if (response.destroyed) return resolve('done')
    let [isConnected, isLate] = [false, false]
    const at = to.lastIndexOf(':')
    const sent = send({
      host: to.slice(0, at).replace(/^\[|\]$/g, ''),
      port: Number(to.slice(at + 1)),
      method: request.method ?? 'GET',
      path: request.url ?? '/',
      headers: requestHeaders(request, body),
      agent: false,
      maxHeaderSize: 65_536,
    })
    const leave = (): void => void sent.destroy()
    let timer: Timer = clock.after(limits.connectMs, leave)
    const settle = (outcome: Outcome): void => {
      timer.cancel()
      response.off('close', leave)
      resolve(outcome)
    }
    response.on('close', leave)
    sent.on('socket', socket =>
      socket.once('connect', () => {
        isConnected = true
        timer.cancel()
        timer = clock.after(limits.answerMs, () => {
          isLate = true
          leave()
        })
      }),
    )
    sent.on('response', answer => {
      timer.cancel()
      if (!handBack(answer, response, () => settle('done'))) leave()
    })
    sent.on('error', () => undefined) // `close` follows
    sent.on('close', () => {
      if (response.destroyed) settle('done')
      else if (!response.headersSent) settle(isLate ? 'late' : isConnected ? 'lost' : 'unsent')
    })
    sent.end(body)
  })
}

/** @returns false when this is no answer that could be handed on */
function handBack(answer: IncomingMessage, response: ServerResponse, onEnd: () => void): boolean {
  // HAProxy would send the request again for a 425, in the process whose servers are gone.
  const status = answer.statusCode === 425 ? 503 : (answer.statusCode ?? 502)
  const headers = [...endToEnd(answer, []), 'connection', 'close']
  if (status !== answer.statusCode) headers.push('retry-after', '1')
  try {
    response.sendDate = false
    response.writeHead(status, answer.statusMessage ?? '', headers)
  } catch {
    return false // some byte of it that Node does not write: like no answer
  }
  pipeline(answer, response, onEnd)
  return true
}

/** As they came, in their order; the length is what was received. */
function requestHeaders(request: IncomingMessage, body: Buffer): string[] {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  const hasBody = length !== undefined || encoding !== undefined
  const headers = endToEnd(request, ['content-length', 'expect', WORKER_HEADER])
  return [...headers, ...(hasBody ? ['content-length', String(body.length)] : []), 'connection', 'close']
}

/** Names and values by turns, without those between two neighbours. */
function endToEnd({ rawHeaders, headers }: IncomingMessage, without: readonly string[]): string[] {
  const named = (headers.connection ?? '').split(',').map(name => name.trim().toLowerCase())
  const dropped = new Set([...HOP_BY_HOP, ...named, ...without])
  const kept: string[] = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = [rawHeaders[at], rawHeaders[at + 1]]
    if (!dropped.has(name.toLowerCase())) kept.push(name, value)
  }
  return kept
}
