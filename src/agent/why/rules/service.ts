/** What the agent beside the process knows. */
import { age, counted } from '../../../base/index.ts'
import { type Case, type Rule, standing, verdict } from '../case.ts'
import type { ServiceFacts } from '../facts.ts'
import { firstLine, listed, quoted } from '../words.ts'

/** A crash loop has used up its restarts. */
const quarantined: Rule = c => {
  const { service } = c
  if (service?.state !== 'quarantined') return undefined
  const often = counted(service.restarts, 'restart')
  const why = `${its(c, service)} was given up after ${often}: ${reasonOf(service)}`
  return verdict(c, 'quarantined', 'wrong', `${standing(c)}: ${why}${lastLine(service)}`)
}

/** It ended by itself and waits for its next start. */
const crashed: Rule = c => {
  const { service } = c
  if (service?.state !== 'backoff') return undefined
  const again = `${age(service.sinceMs)} ago and is started again (${counted(service.restarts, 'restart')} so far)`
  return verdict(
    c,
    'crashed',
    'wrong',
    `${standing(c)}: ${its(c, service)} ended: ${reasonOf(service)}, ${again}${lastLine(service)}`,
  )
}

/** SIGSTOP, or a debugger. */
const frozenProcess: Rule = c => {
  const { service } = c
  if (service?.isFrozen !== true) return undefined
  const why = `the process of ${its(c, service)} (pid ${service.pid ?? '?'}) is stopped by a signal or a debugger; kill -CONT lets it go on`
  return verdict(c, 'frozen', 'wrong', `${standing(c)}: ${why}`)
}

/** It runs, and listens somewhere else. */
const wrongPort: Rule = c => {
  const { service } = c
  if (service?.state !== 'starting' || service.port === undefined || service.listens === undefined) return undefined
  if (service.listens.length === 0 || service.listens.includes(service.port)) return undefined
  const where = `port ${listed(service.listens.map(String))}`
  const why = `${its(c, service)} is configured for port ${service.port}, and its process (pid ${service.pid ?? '?'}) listens on ${where}`
  return verdict(c, 'wrong-port', 'wrong', `${standing(c)}: ${why}`)
}

/** It runs, and its readiness check has not been good yet. */
const notReady: Rule = c => {
  const { service } = c
  if (service?.state !== 'starting') return undefined
  const { look } = service
  const words =
    look?.problem === undefined ? (service.reason ?? 'it was started just now') : `${look.asked} ${look.problem}`
  const body = look?.problem === undefined || look.body === undefined ? '' : `, body ${quoted(look.body)}`
  const why = `${its(c, service)} runs for ${age(service.sinceMs)} and is not ready: ${words}${body}`
  return verdict(c, 'not-ready', 'wrong', `${standing(c)}: ${why}${lastLine(service)}`)
}

/** It is being stopped, and drained before. */
const stopping: Rule = c => {
  const { service } = c
  if (service?.state !== 'stopping') return undefined
  const waits = c.facts.ring.warnings.find(one => one.startsWith(`${service.name} is being stopped and waits for`))
  if (waits !== undefined && service.node === c.facts.node)
    return verdict(c, 'stop-waits', 'wrong', `${standing(c)}: ${waits}`)
  const left = c.server?.traffic?.sessions
  const words = left === undefined ? '' : `, ${counted(left, 'session')} left`
  return verdict(
    c,
    'stopping',
    'wished',
    `${standing(c)}: ${its(c, service)} is drained and stopped (${reasonOf(service)})${words}`,
  )
}

const stopped: Rule = c => {
  const { service } = c
  if (service?.state !== 'stopped') return undefined
  return verdict(
    c,
    'stopped',
    'wrong',
    `${standing(c)}: ${its(c, service)} is stopped for ${age(service.sinceMs)}: ${reasonOf(service)}`,
  )
}

export const PROCESS_RULES: readonly Rule[] = [
  quarantined,
  crashed,
  frozenProcess,
  wrongPort,
  notReady,
  stopping,
  stopped,
]

/** It serves again. Read after all that is wrong now. */
export const restarted: Rule = c => {
  const { service, facts } = c
  if (service === undefined || service.restarts === 0 || service.sinceMs > RECENT_MS) return undefined
  const last = facts.records.findLast(
    one => one.kind === 'service' && one['service'] === service.name && one['after'] === 'backoff',
  )
  const reason = typeof last?.['reason'] === 'string' ? `: ${last['reason']}` : ''
  const words = `${its(c, service)} ended and was started again ${age(service.sinceMs)} ago${reason}`
  const code = service.restarts < OFTEN ? 'restarted' : 'crash-loop'
  const severity = service.restarts < OFTEN ? 'ok' : 'wrong'
  return verdict(c, code, severity, `${standing(c)}: ${words}, ${counted(service.restarts, 'restart')} so far`)
}

const RECENT_MS = 10 * 60_000
const OFTEN = 3

function its({ name }: Case, service: ServiceFacts): string {
  return service.name === name ? 'the service' : `its service ${service.name}`
}

function reasonOf({ reason }: ServiceFacts): string {
  return reason === undefined ? 'no reason known' : firstLine(reason)
}

function lastLine({ lastLines }: ServiceFacts): string {
  const line = lastLines.findLast(one => one.trim() !== '')
  return line === undefined ? '' : `; its last line: ${quoted(line)}`
}
