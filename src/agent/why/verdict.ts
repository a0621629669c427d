/**
 * Facts in, verdicts out: an ordered list of rules, the cause before its symptoms. What is said first is the first rule that
 * has something to say; what the later ones say is said, too, behind it.
 */
import type { WhyVerdict } from '../../api/index.ts'
import { type Case, casesOf, isServing, type Rule } from './case.ts'
import type { Code } from './codes.ts'
import type { Facts } from './facts.ts'
import { checkFails, entering } from './rules/checks.ts'
import { MEMBER_RULES, memberOnly, nameClash, TAG_RULES, unknownPoolToo } from './rules/membership.ts'
import { allIsWell, NODE_LATE_RULES, NODE_RULES } from './rules/node.ts'
import { poolVerdict } from './rules/pool.ts'
import { PROCESS_RULES, restarted } from './rules/service.ts'
import { BALANCER_RULES, drained, LATE_RULES } from './rules/traffic.ts'

/** A wish first, then the process, its member, its tags, HAProxy and its checks; then how it goes. */
const RULES: readonly Rule[] = [
  ...[nameClash, drained, ...PROCESS_RULES, ...MEMBER_RULES, ...TAG_RULES],
  ...[...BALANCER_RULES, checkFails, entering, unknownPoolToo, restarted, ...LATE_RULES, memberOnly],
]

const RANK = { wrong: 0, wished: 1, ok: 2 } as const

/** The first one is the verdict. Empty: nobody knows of what was asked for. */
export function verdictsOf(facts: Facts): WhyVerdict[] {
  if (facts.what === undefined || isThisNode(facts)) return nodeVerdicts(facts)
  const pool = facts.isService ? [] : facts.pools.filter(({ name }) => name === facts.what)
  if (pool.length === 0) return unique(byRank(worstFirst(facts).map(verdictsOfCase)))
  const verdicts = byRank(worstFirst(facts).map(verdictsOfCase))
  return unique([...pool.map(one => poolVerdict(facts, one, firstsOf(facts))), ...verdicts])
}

/** What the rules say of one case, in their order. */
function verdictsOfCase(c: Case): WhyVerdict[] {
  const said = RULES.flatMap(rule => rule(c) ?? [])
  const [first, ...rest] = said
  return first === undefined ? [] : [first, ...rest.filter(one => one.severity !== 'ok')]
}

/** Who is out of traffic counts for more than who is in it, whatever else is wrong with either. */
function worstFirst(facts: Facts): Case[] {
  return casesOf(facts).toSorted((a, b) => Number(isServing(a)) - Number(isServing(b)))
}

/** A balancer, or a node without a service: asked about itself. */
function isThisNode({ what, node, isBalancer, services, servers }: Facts): boolean {
  if (what === 'haproxy' && isBalancer) return true
  return what === node && services.every(({ name }) => name === 'haproxy') && servers.length === 0
}

function nodeVerdicts(facts: Facts): WhyVerdict[] {
  const cases = worstFirst(facts).map(c => verdictsOfCase(c).filter(one => one.severity !== 'ok' || TOLD.has(one.code)))
  const empty = facts.pools
    .map(one => poolVerdict(facts, one, firstsOf(facts, one.name)))
    .filter(({ code }) => EMPTY.has(code))
  const own = NODE_RULES.flatMap(rule => rule(facts) ?? [])
  const late = NODE_LATE_RULES.flatMap(rule => rule(facts) ?? [])
  const all = byRank([...own.map(one => [one]), ...empty.map(one => [one]), ...cases, ...late.map(one => [one])])
  const [first] = all
  return unique(
    first === undefined || (first.severity === 'ok' && !TOLD.has(first.code)) ? [allIsWell(facts), ...all] : all,
  )
}

const EMPTY: ReadonlySet<string> = new Set<Code>(['pool-empty', 'pool-below-minimum'])
/** All is well, and yet something has happened. */
const TOLD: ReadonlySet<string> = new Set<Code>(['drift', 'restarted', 'below-minimum'])

function firstsOf(facts: Facts, pool = facts.what): WhyVerdict[] {
  const its = worstFirst(facts).filter(
    c =>
      [c.server?.pool, c.service?.pool].includes(pool) ||
      c.member?.endpoints.some(one => one.pool === pool) ||
      hasTag(c, pool),
  )
  return byRank(its.map(c => verdictsOfCase(c).slice(0, 1)))
}

function hasTag({ member }: Case, pool: string | undefined): boolean {
  return member?.tags[`pool.${pool ?? ''}`] !== undefined
}

/** The worst case first, each with all that is said of it; what is told although all is well comes before the rest of what is well. */
function byRank(cases: readonly (readonly WhyVerdict[])[]): WhyVerdict[] {
  const rankOf = ([first]: readonly WhyVerdict[]) =>
    first === undefined
      ? RANK.ok + 1
      : RANK[first.severity] + (first.severity === 'ok' && !TOLD.has(first.code) ? 0.5 : 0)
  return cases
    .filter(verdicts => verdicts.length > 0)
    .toSorted((a, b) => rankOf(a) - rankOf(b))
    .flat()
}

function unique(verdicts: readonly WhyVerdict[]): WhyVerdict[] {
  const seen = new Set<string>()
  return verdicts.filter(({ sentence }) => !seen.has(sentence) && seen.add(sentence))
}
