/** What operators, HAProxy and guards have decided about a server, and how its traffic goes. */
import { age, counted } from '../../../base/index.ts'
import { type Case, isServing, type Rule, standing, verdict } from '../case.ts'
import type { ServerFacts } from '../facts.ts'
import { firstLine, listed, quoted } from '../words.ts'

/** An operator's `muster drain`. */
export const drained: Rule = c => {
  const { facts, server } = c
  const drain = facts.drains.find(
    one => isAbout(one.server, c) && (one.pool === undefined || one.pool === server?.pool),
  )
  if (drain === undefined || drain.takenBack) return undefined
  const why = drain.reason === undefined ? '' : ` (${quoted(drain.reason)})`
  const what = `${c.name} was drained by ${drain.by} ${age(facts.nowMs - Date.parse(drain.since))} ago${why}`
  if (drain.heldBack !== undefined)
    return verdict(
      c,
      'drain-held-back',
      'wrong',
      `${what}, and takes traffic all the same: pool ${drain.heldBack} has no other live server`,
    )
  const busy = drain.balancers.filter(one => one.sessions > 0).map(one => one.name)
  const left =
    busy.length === 0 ? 'nothing is left on it' : `${counted(drain.sessions, 'session')} left on ${listed(busy)}`
  const silent = drain.silent.length === 0 ? '' : `, no answer from ${listed(drain.silent)}`
  return verdict(
    c,
    'drained',
    'wished',
    `${what}: ${left}${silent}; to take it back: muster drain --undo ${drain.server}`,
  )
}

const haproxyDown: Rule = c => {
  const { balancer, node } = c.facts
  if (balancer === undefined || c.server?.balancer !== node || !isDown(balancer.haproxy)) return undefined
  return verdict(
    c,
    'haproxy-down',
    'wrong',
    `${c.name} may get no traffic: HAProxy on ${node} is ${balancer.haproxy}${problem(c)}`,
  )
}

/** Found in HAProxy, or vanished from the ring without a word: nobody says that it is theirs. */
const unclaimed: Rule = c => {
  const { server } = c
  if (server === undefined || !/nobody claim|has not been joined/.test(server.reason)) return undefined
  return verdict(c, 'unclaimed', 'wrong', `${standing(c)}, and no member announces it: ${server.reason}`)
}

/** Its member, or the ring, wants it out; what runs on it is waited for. */
const leaving: Rule = c => {
  const { server } = c
  if (server?.state !== 'drain' && server?.state !== 'maint') return undefined
  if (unclaimed(c) !== undefined) return undefined
  const left = server.traffic === undefined ? '' : `; ${counted(server.traffic.sessions, 'session')} left`
  return verdict(c, 'leaving', 'wished', `${standing(c)}: ${server.reason}${left}`)
}

/** It came and went too often, and is not let in before its pause is over. */
const heldOut: Rule = c => {
  const { server } = c
  const isHeld = guardOn(c, 'flapping') !== undefined || server?.reason.includes('held out') === true
  if (server?.state !== 'drain' || !isHeld) return undefined
  const problem =
    server.look?.problem === undefined ? '' : `; at this moment ${server.look.asked} ${server.look.problem}`
  return verdict(
    c,
    'flapping',
    'wrong',
    `${c.name} is held out of pool ${server.pool}, since it flaps: ${server.reason}${problem}`,
  )
}

/** It answers, and much later than the others. */
const slow: Rule = c => {
  const guard = guardOn(c, 'slow server')
  return guard === undefined
    ? undefined
    : verdict(c, 'slow', 'wrong', `${standing(c)}, but less than its share: ${guard.what}`)
}

/** Somebody used HAProxy's socket, and it is left so. */
const poked: Rule = c => {
  const { server } = c
  if (server === undefined || server.state === 'maint' || server.state === 'entering') return undefined
  const found = (server.state === 'drain' ? /^(MAINT)/ : /^(MAINT|DRAIN)/).exec(server.status ?? '')?.[1]
  if (found === undefined) return undefined
  const by =
    server.drift === undefined ? 'and muster wants it ready' : `${age(server.drift.agoMs)} ago, ${server.drift.outcome}`
  return verdict(
    c,
    'changed-by-hand',
    'wrong',
    `${c.name} gets no traffic in pool ${server.pool}: somebody set it to ${found} in HAProxy by hand, ${by}`,
  )
}

/** Wanted, and not in HAProxy. */
const notPlaced: Rule = c => {
  const { server } = c
  if (server?.state !== 'down' || server.status !== undefined) return undefined
  return verdict(
    c,
    'not-placed',
    'wrong',
    `${c.name} is not in HAProxy yet for pool ${server.pool}${problem(c) || `: ${server.reason}`}`,
  )
}

const weightZero: Rule = c => {
  const { server } = c
  if (server?.state !== 'ready' || (server.weight !== 0 && server.haproxyWeight !== 0)) return undefined
  const none = `${c.name} gets no new clients in pool ${server.pool}`
  if (server.weight === 0) return verdict(c, 'weight-zero', 'wished', `${none}: its tag gives it weight 0`)
  return verdict(c, 'weight-zero', 'wrong', `${none}: HAProxy has weight 0 for it, its tag ${server.weight}`)
}

/** A guard of ours has acted on it, and said so in the journal. */
const guarded: Rule = c => {
  const { facts } = c
  const record = facts.records.findLast(
    one => one.kind === 'guard' && !OTHERS.has(String(one['guard'])) && isAbout(String(one['server'] ?? ''), c),
  )
  if (record === undefined) return undefined
  const agoMs = facts.nowMs - Date.parse(record.at)
  const what = String(record['what'] ?? '')
  if (agoMs > GUARD_MS || what.startsWith('over: ')) return undefined
  const reason = typeof record['reason'] === 'string' ? ` (${firstLine(record['reason'])})` : ''
  return verdict(
    c,
    'guard',
    'wrong',
    `${standing(c)}; the guard "${String(record['guard'])}" acted ${age(agoMs)} ago: ${what}${reason}`,
  )
}

/** Up and down again and again. */
const flapping: Rule = c => {
  const { server, facts, member } = c
  const downs = server?.downs ?? 0
  if (downs > FLAPS && (server?.sinceMs ?? Number.POSITIVE_INFINITY) < FLAP_MS)
    return verdict(
      c,
      'flapping',
      'wrong',
      `${standing(c)}, but it flaps: HAProxy's checks failed and passed again ${downs - 1} times, last ${age(server?.sinceMs ?? 0)} ago`,
    )
  const failed = facts.records.filter(
    one =>
      one.kind === 'member' &&
      one['event'] === 'failed' &&
      one['member'] === member?.name &&
      facts.nowMs - Date.parse(one.at) < FLAP_MS,
  )
  if (member === undefined || failed.length < FLAPS) return undefined
  return verdict(
    c,
    'flapping',
    'wrong',
    `${standing(c)}, but it flaps: its member failed and came back ${failed.length} times in ${age(FLAP_MS)}`,
  )
}

/** Checks pass, users see errors. */
const errors: Rule = c => {
  const traffic = c.server?.traffic
  if (!isServing(c) || traffic === undefined || traffic.requests < ERRORS_OF) return undefined
  const bad = traffic.errors5xx + traffic.connectErrors
  if (bad / traffic.requests < ERROR_SHARE) return undefined
  const refused = traffic.connectErrors === 0 ? '' : `, ${counted(traffic.connectErrors, 'connection')} failed`
  const words = `${traffic.errors5xx} of ${traffic.requests} requests since HAProxy's last reload were answered with 5xx${refused}`
  return verdict(c, 'errors', 'wrong', `${standing(c)} and its checks pass, but ${words}`)
}

/** Put right again a moment ago. */
const restored: Rule = c => {
  const drift = c.server?.drift
  if (drift === undefined || drift.agoMs > RECENT_MS) return undefined
  return verdict(
    c,
    'drift',
    'ok',
    `${standing(c)}: somebody changed it in HAProxy by hand ${age(drift.agoMs)} ago, ${drift.outcome}`,
  )
}

/** An operator wanted it out, and a guard did not. */
const drainRefused: Rule = c => {
  const { facts } = c
  const record = facts.records.findLast(one => one.kind === 'command' && String(one['command']).startsWith('drain '))
  if (record === undefined || !isServing(c)) return undefined
  const [, server = ''] = String(record['command']).split(' ')
  const agoMs = facts.nowMs - Date.parse(record.at)
  const outcome = String(record['outcome'])
  if (!isAbout(server, c) || agoMs > RECENT_MS || !outcome.includes('must keep')) return undefined
  const said = outcome.replace(/^.*? is not drained: /, '').replace(/; to go on all the same.*$/, '')
  return verdict(
    c,
    'below-minimum',
    'ok',
    `${standing(c)}: the drain of ${String(record['actor'])} ${age(agoMs)} ago was refused: ${said}`,
  )
}

/** Its agent should have said something. */
const silentAgent: Rule = c => {
  const { member, facts } = c
  if (member === undefined || !facts.silent.includes(member.name)) return undefined
  return verdict(
    c,
    'silent',
    'wrong',
    `${standing(c)}, but the agent of ${member.name} gives no answer: it is frozen, cut off, or just going down`,
  )
}

/** All is well. */
const serving: Rule = c => {
  const { server } = c
  if (server?.state !== 'ready') return undefined
  const words = [server.reason, checkWords(server), rateWords(server)].filter(text => text !== '').join(', ')
  return verdict(c, 'serving', 'ok', `${standing(c)}: ${words}`)
}

/** Of a service without a server, or on a node that no balancer has told of. */
const running: Rule = c => {
  const { service } = c
  if (service?.state !== 'ready') return undefined
  const pid = service.pid === undefined ? '' : ` (pid ${service.pid})`
  if (service.pool === undefined)
    return verdict(c, 'running', 'ok', `${c.name} runs${pid} for ${age(service.sinceMs)}; it serves no pool`)
  const asked =
    c.facts.ring.balancers.length === 0 ? '' : `; no balancer has told of it (${listed(c.facts.ring.balancers)})`
  return verdict(
    c,
    'running',
    'ok',
    `${c.name} is ready${pid} for ${age(service.sinceMs)} and announced for pool ${service.pool}${asked}`,
  )
}

export const BALANCER_RULES: readonly Rule[] = [haproxyDown, poked, heldOut, unclaimed, leaving, notPlaced]
export const LATE_RULES: readonly Rule[] = [
  weightZero,
  slow,
  guarded,
  flapping,
  errors,
  silentAgent,
  restored,
  drainRefused,
  serving,
  running,
]

/** Guards whose acts are told by rules of their own. */
const OTHERS: ReadonlySet<string> = new Set(['drain', 'min_servers', 'last server', 'flapping', 'slow server'])
const GUARD_MS = 60 * 60_000
const RECENT_MS = 10 * 60_000
const FLAP_MS = 10 * 60_000
/** The first time down is that before a server's first good check. */
const FLAPS = 3
const ERRORS_OF = 20
const ERROR_SHARE = 0.1

/** HAProxy's process, not its configuration. */
export function isDown(state: string): boolean {
  return state !== 'ready' && state !== 'starting'
}

function guardOn({ facts, server }: Case, guard: string) {
  return facts.guards.find(one => one.guard === guard && one.pool === server?.pool && one.server === server.name)
}

function isAbout(named: string, { name, server, member }: Case): boolean {
  return named !== '' && [name, server?.name, server?.address, member?.name].includes(named)
}

function problem({ facts }: Case): string {
  return facts.balancer?.problem === undefined ? '' : `: ${firstLine(facts.balancer.problem)}`
}

function checkWords({ check, status }: ServerFacts): string {
  if (check === undefined || check.status === '') return status === undefined ? '' : `HAProxy says ${status}`
  if (check.status === 'INI') return 'its first check is to come'
  const code = check.code === undefined ? '' : ` ${check.code}`
  const took = check.tookMs === undefined ? '' : ` in ${check.tookMs} ms`
  return /OK/.test(check.status)
    ? `HAProxy's checks pass (${check.status}${code}${took})`
    : `HAProxy's last check: ${check.status}${code}`
}

function rateWords({ traffic }: ServerFacts): string {
  if (traffic === undefined) return ''
  if (traffic.perSecond > 0) return counted(traffic.perSecond, 'request').concat(' per second')
  return traffic.quietMs === undefined ? 'no request yet' : `last request ${age(traffic.quietMs)} ago`
}
