import { request } from 'node:http'
import { connect } from 'node:net'
import type { Clock } from '../clock.ts'

/** What to ask a server to know whether it serves. */
export type ProbeTarget =
  | { readonly kind: 'tcp'; readonly ip: string; readonly port: number }
  | {
      readonly kind: 'http'
      readonly ip: string
      readonly port: number
      readonly path: string
      /** The `Host` header; the address when absent. */
      readonly host?: string
    }

/**
 * Asks once. TCP is good when the connection opens, HTTP when the status is 200 to 399, as HAProxy's own checks have it.
 * @param timeoutMs for the whole exchange
 * @returns undefined when good, else the reason in words; never throws, and leaves no socket behind
 */
export function probe(
  target: ProbeTarget,
  options: { readonly timeoutMs: number; readonly clock: Clock; readonly signal?: AbortSignal },
): Promise<string | undefined> {
  return new Promise(resolve => {
    const settle = (reason: string | undefined) => {
      timer.cancel()
      options.signal?.removeEventListener('abort', onAbort)
      release()
      resolve(reason)
    }
    const onAbort = () => settle('aborted')
    const timer = options.clock.after(options.timeoutMs, () => settle(`no answer within ${options.timeoutMs} ms`))
    const release = target.kind === 'tcp' ? probeTcp(target, settle) : probeHttp(target, settle)
    if (options.signal?.aborted) settle('aborted')
    else options.signal?.addEventListener('abort', onAbort, { once: true })
  })
}

type Settle = (reason: string | undefined) => void

function probeTcp(target: ProbeTarget & { kind: 'tcp' }, settle: Settle): () => void {
  const socket = connect(target.port, target.ip)
  socket.once('connect', () => settle(undefined))
  socket.on('error', error => settle(error.message))
  return () => socket.destroy()
}

function probeHttp(target: ProbeTarget & { kind: 'http' }, settle: Settle): () => void {
  const headers = { host: target.host ?? `${target.ip}:${target.port}`, connection: 'close' }
  const sent = request({ host: target.ip, port: target.port, path: target.path, headers, agent: false }, answer => {
    const status = answer.statusCode ?? 0
    answer.resume()
    settle(status >= 200 && status < 400 ? undefined : `HTTP status ${status}`)
  })
  sent.on('error', error => settle(error.message))
  sent.end()
  return () => sent.destroy()
}
