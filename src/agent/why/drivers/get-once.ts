import { request } from 'node:http'
import { type Clock, type ProbeTarget, probe } from '../../../base/index.ts'
import type { LookFacts } from '../facts.ts'

/** Of a body; a sentence, not a page. */
const BODY_BYTES_MAX = 200

/**
 * Asks a server once, as a check would, and keeps what it says. Never throws, and leaves no socket behind.
 * @param options.takesAny whatever is answered is good: what the check takes is not known here
 */
export async function getOnce(
  target: ProbeTarget,
  options: { readonly timeoutMs: number; readonly clock: Clock; readonly takesAny?: boolean },
): Promise<LookFacts> {
  const startedMs = options.clock.nowMs()
  const took = () => ({ tookMs: Math.round(options.clock.nowMs() - startedMs) })
  if (target.kind === 'tcp') {
    const asked = `connecting to ${target.ip}:${target.port}`
    const problem = await probe(target, options)
    return { asked, ...took(), ...(problem === undefined ? {} : { problem }) }
  }
  const asked = `GET ${target.path}`
  const found = await get(target, options)
  if (typeof found === 'string') return { asked, problem: found, ...took() }
  const isGood = options.takesAny === true || (found.code >= 200 && found.code < 400)
  return { asked, ...found, ...took(), ...(isGood ? {} : { problem: `answered ${found.code}` }) }
}

function get(
  { ip, port, path, host }: ProbeTarget & { kind: 'http' },
  { timeoutMs, clock }: { readonly timeoutMs: number; readonly clock: Clock },
): Promise<string | { readonly code: number; readonly body: string }> {
  return new Promise(resolve => {
    const settle = (outcome: string | { readonly code: number; readonly body: string }) => {
      timer.cancel()
      sent.destroy()
      resolve(outcome)
    }
    const headers = { host: host ?? `${ip}:${port}`, connection: 'close' }
    const sent = request({ host: ip, port, path, headers, agent: false }, answer => {
      const code = answer.statusCode ?? 0
      let body = ''
      answer.on('data', (chunk: Buffer) => {
        body += chunk.toString('latin1').slice(0, BODY_BYTES_MAX - body.length)
        if (body.length >= BODY_BYTES_MAX) settle({ code, body })
      })
      answer.on('end', () => settle({ code, body }))
      answer.on('error', () => settle({ code, body }))
    })
    const timer = clock.after(timeoutMs, () => settle(`no answer within ${timeoutMs} ms`))
    sent.on('error', error => settle(error.message))
    sent.end()
  })
}
