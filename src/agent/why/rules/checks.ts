/** What HAProxy's checks found, in words: its own short codes are in the evidence. */
import { counted } from '../../../base/index.ts'
import { type Case, type Rule, standing, verdict } from '../case.ts'
import type { Code } from '../codes.ts'
import { quoted } from '../words.ts'

/** Why it is not in traffic. */
export interface FailedCheck {
  readonly code: Code
  readonly words: string
}

/** Undefined while checks pass, or none was made. */
export function failedCheck(c: Case): FailedCheck | undefined {
  const { check, look } = c.server ?? {}
  if (check === undefined || /^(L[4-7]OKC?|INI|UNK|)$/.test(check.status)) return fromLook(c)
  const often = check.failed > 1 ? `, ${counted(check.failed, 'check')} failed` : ''
  const asked = look?.asked ?? 'the check'
  if (check.status === 'L7STS') {
    const body = look?.body === undefined || look.body === '' ? '' : `; last body ${quoted(look.body)}`
    return { code: 'check-status', words: `${asked} answered ${check.code ?? 'with an error'}${often}${body}` }
  }
  if (check.status === 'L4CON') return refusedConnection(c, often)
  if (check.status === 'L4TOUT')
    return {
      code: 'unreachable',
      words: `no connection to ${address(c)} within the check's time-out${often}: its host is off, cut off, or drops packets`,
    }
  if (check.status.endsWith('TOUT'))
    return {
      code: 'timeout',
      words: `${asked} was not answered within the check's time-out${often}: the process is frozen or overloaded, or its host is`,
    }
  if (check.status.startsWith('L6')) return { code: 'check-tls', words: `TLS fails: ${check.words}${often}` }
  if (check.status === 'SOCKERR')
    return { code: 'check-socket', words: `HAProxy cannot make a connection: ${check.words}${often}` }
  return { code: 'check-answer', words: `the answer to ${asked} is none that the check takes: ${check.words}${often}` }
}

function refusedConnection(c: Case, often: string): FailedCheck {
  if (!/refused/i.test(c.server?.check?.words || 'refused'))
    return { code: 'unreachable', words: `no connection to ${address(c)}: ${c.server?.check?.words ?? ''}${often}` }
  return { code: 'refused-connection', words: `nothing listens on ${address(c)}: connection refused${often}` }
}

/** The agent has asked itself. */
function fromLook(c: Case): FailedCheck | undefined {
  const look = c.server?.look
  if (look?.problem === undefined) return undefined
  const body = look.body === undefined || look.body === '' ? '' : `; body ${quoted(look.body)}`
  if (look.code !== undefined) return { code: 'check-status', words: `${look.asked} answered ${look.code}${body}` }
  if (/ECONNREFUSED/.test(look.problem))
    return { code: 'refused-connection', words: `nothing listens on ${address(c)}: connection refused` }
  const isLate = look.problem.startsWith('no answer')
  return { code: isLate ? 'timeout' : 'check-answer', words: `${look.asked}: ${look.problem}` }
}

/** HAProxy has taken it out. */
export const checkFails: Rule = c => {
  if (c.server?.state !== 'down') return undefined
  const check = failedCheck(c)
  if (check !== undefined) return verdict(c, check.code, 'wrong', `${standing(c)}: ${check.words}`)
  const { status, pool } = c.server
  if (status === undefined) return undefined
  if (/^(UP|no check)/.test(status))
    return verdict(
      c,
      'recovering',
      'ok',
      `${c.name} comes back into pool ${pool} at this moment: HAProxy says ${status}`,
    )
  return verdict(
    c,
    'recovering',
    'wrong',
    `${standing(c)}: the agent's own question is answered, HAProxy's next good checks let it in`,
  )
}

/** It has been announced, and has not proved itself. */
export const entering: Rule = c => {
  if (c.server?.state !== 'entering') return undefined
  const check = fromLook(c)
  const words = check === undefined ? c.server.reason : `it is announced, but its first probe fails: ${check.words}`
  return verdict(c, 'entering', 'wrong', `${standing(c)}: ${words}`)
}

function address({ server }: Case): string {
  return server?.address ?? 'its address'
}
