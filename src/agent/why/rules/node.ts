/** What concerns this node as a whole: its ring, its HAProxy, its files. */
import type { WhySeverity, WhyVerdict } from '../../../api/index.ts'
import { age, counted } from '../../../base/index.ts'
import type { Code } from '../codes.ts'
import type { Facts } from '../facts.ts'
import { firstLine, listed } from '../words.ts'
import { isPartition } from './membership.ts'
import { isDown } from './traffic.ts'

export type NodeRule = (facts: Facts) => WhyVerdict | undefined

function verdict({ node }: Facts, code: Code, severity: WhySeverity, sentence: string): WhyVerdict {
  return { code, severity, sentence, about: node }
}

const nameClash: NodeRule = f =>
  f.ring.hasStopped
    ? verdict(
        f,
        'name-clash',
        'wrong',
        `${f.node} has lost its name: another node of the ring is called ${f.node}, so the gossip of this one has stopped; give it another name and start it again`,
      )
    : undefined

const haproxyDown: NodeRule = f => {
  const { balancer } = f
  if (balancer === undefined || !isDown(balancer.haproxy)) return undefined
  const why = balancer.problem === undefined ? '' : `: ${firstLine(balancer.problem)}`
  return verdict(f, 'haproxy-down', 'wrong', `HAProxy on ${f.node} is ${balancer.haproxy}${why}`)
}

/** A file of HAProxy's, or its record, cannot be written: it serves, and forgets with its next start. */
const diskFull: NodeRule = f => {
  const problem = f.balancer?.problem
  if (problem === undefined || !/cannot be (written|put on record)|ENOSPC|EROFS|EDQUOT|EACCES/.test(problem))
    return undefined
  return verdict(f, 'disk', 'wrong', `${f.node} balances, but cannot write: ${firstLine(problem)}`)
}

const configuration: NodeRule = f => {
  const found = f.balancer?.configuration
  if (found === undefined) return undefined
  const wrong = (code: Code, what: string) => verdict(f, code, 'wrong', `${what}: ${telling(found.words)}`)
  if (found.kind === 'template')
    return wrong('template', `the template of ${f.node} is bad and not in force, the one before serves`)
  if (found.kind === 'refused')
    return wrong('config-refused', `HAProxy refuses the newest configuration of ${f.node}, the one before serves`)
  return wrong('config-invalid', `the configuration in the files of ${f.node} is not in force`)
}

/** Of a node that does not balance, as well. */
const notTaken: NodeRule = f => {
  const warning = f.ring.warnings.find(one => one.startsWith('the configuration was not taken'))
  if (warning === undefined || f.balancer?.configuration !== undefined) return undefined
  return verdict(f, 'config-invalid', 'wrong', `on ${f.node} ${telling(warning)}`)
}

/** What the agent warns of, and no other rule tells. */
const warned: NodeRule = f => {
  const warning = f.ring.warnings.find(one => !TOLD_ELSEWHERE.test(one))
  return warning === undefined ? undefined : verdict(f, 'warning', 'wrong', `${f.node} warns: ${firstLine(warning)}`)
}

/** Anything else that keeps the newest pool from being in force. */
const balancerProblem: NodeRule = f => {
  const problem = f.balancer?.problem
  return problem === undefined
    ? undefined
    : verdict(f, 'balancer-problem', 'wrong', `${f.node} cannot bring HAProxy up to date: ${telling(problem)}`)
}

const cutOff: NodeRule = f =>
  isPartition(f.ring)
    ? verdict(
        f,
        'partition',
        'wrong',
        `${f.node} is likely cut off by the network: ${f.ring.failedTogether} of ${f.ring.alive - 1 + f.ring.failed.length} other members failed at once (${listed(f.ring.failed)})`,
      )
    : undefined

/** Half of a pool, as the ring sees it; its servers stay under checks. */
const vanished: NodeRule = f => {
  const guard = f.guards.find(one => one.guard === 'mass disappearance')
  return guard === undefined ? undefined : verdict(f, 'mass-disappearance', 'wrong', guard.what)
}

const alone: NodeRule = f =>
  f.ring.isAlone
    ? verdict(f, 'alone', 'wrong', `${f.node} is alone: none of the addresses that it is to join has answered`)
    : undefined

/** Packets that cannot be read. */
const foreignKey: NodeRule = f => {
  const warning = f.ring.warnings.find(one => one.includes('speaks with a key'))
  return warning === undefined ? undefined : verdict(f, 'key-mismatch', 'wrong', warning)
}

const journal: NodeRule = f =>
  f.journalProblem === undefined
    ? undefined
    : verdict(f, 'journal', 'wrong', `nothing is put on record on ${f.node}: ${firstLine(f.journalProblem)}`)

/** Left alone, or kept: ours is not in force there. */
const drifted: NodeRule = f => {
  const last = f.balancer?.drifts.at(-1)
  if (last === undefined || last.agoMs > RECENT_MS) return undefined
  const isRight = last.outcome === 'put right'
  return verdict(
    f,
    'drift',
    isRight ? 'ok' : 'wrong',
    `somebody changed ${last.what} by hand ${age(last.agoMs)} ago: ${last.outcome}`,
  )
}

const rolledBack: NodeRule = f =>
  f.balancer?.pinned === undefined
    ? undefined
    : verdict(
        f,
        'rolled-back',
        'wished',
        `${f.node} serves generation ${f.balancer.pinned} of its configuration, which an operator went back to; muster apply takes that of the files`,
      )

const failedMembers: NodeRule = f =>
  f.ring.failed.length === 0 || isPartition(f.ring)
    ? undefined
    : verdict(
        f,
        'failed-members',
        'wrong',
        `${counted(f.ring.failed.length, 'member')} of the ring failed: ${listed(f.ring.failed)}`,
      )

export const NODE_RULES: readonly NodeRule[] = [
  ...[nameClash, haproxyDown, configuration, notTaken, diskFull, balancerProblem, alone, cutOff, vanished, foreignKey],
  ...[journal, drifted, rolledBack],
]
/** Said when nothing more telling is. */
export const NODE_LATE_RULES: readonly NodeRule[] = [warned, failedMembers]

const TOLD_ELSEWHERE = /^(the configuration was not taken|generation \d|gossip has stopped)|speaks with a key/

const RECENT_MS = 10 * 60_000

export function allIsWell(f: Facts): WhyVerdict {
  const pools = f.pools.map(
    ({ name, ready, servers }) => `pool ${name} has ${ready} of ${counted(servers, 'server')} in traffic`,
  )
  const haproxy = f.balancer === undefined ? [] : [`HAProxy ${f.balancer.version} is ${f.balancer.haproxy}`]
  const services = f.services.filter(({ state, name }) => state === 'ready' && name !== 'haproxy')
  const ready =
    services.length === 0
      ? []
      : [`${listed(services.map(one => `service ${one.name}`))} ${services.length === 1 ? 'is' : 'are'} ready`]
  const words = [...pools.slice(0, POOLS_SHOWN), ...haproxy, ...ready, `${counted(f.ring.alive, 'member')} alive`]
  return verdict(f, 'well', 'ok', `nothing is wrong on ${f.node}: ${words.join(', ')}`)
}

const POOLS_SHOWN = 4

/** Where words have several lines, the telling one: HAProxy's own alert, rather than where it is to be read, or that there was one. */
function telling(words: string): string {
  const alerts = words.split('\n').filter(line => line.includes('[ALERT]'))
  const alert = alerts.find(line => !SUMMARY.test(line)) ?? alerts[0]
  return firstLine(alert?.replace(/^.*?\[ALERT\]\s*\(\d+\)\s*:\s*/, '').trim() ?? words)
}

/** HAProxy ends with these, whatever it was. */
const SUMMARY = /: (Fatal errors|Error\(s\)) found in configuration/
