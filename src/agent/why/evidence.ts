/** The evidence behind a verdict: a block from each of those who know. */
import type { DrainReport, WhyEvidence, WhyFact } from '../../api/index.ts'
import type { BalancerFacts, Facts, LookFacts, MemberFacts, ServerFacts, ServiceFacts } from './facts.ts'

/** Of more than that, only those are shown that are not well. */
const SHOWN_ANYWAY = 4
const SHOWN_MAX = 40
const LINES_MAX = 5

export function evidenceOf(facts: Facts): WhyEvidence[] {
  const { node, ring, balancer, guards, journalProblem, what } = facts
  const isWhole = what === undefined || what === node || what === 'haproxy'
  const members = told(facts.members, one => one.status !== 'alive' || one.isHeld || one.refused.length > 0)
  const servers = told(facts.servers, one => one.state !== 'ready' || one.drift !== undefined || one.weight === 0)
  return [
    ...told(facts.services, one => one.state !== 'ready' || one.isFrozen).flatMap(processOf),
    ...members.map(one => gossipOf(node, one)),
    ...servers.flatMap(haproxyOf),
    ...facts.drains.filter(one => isWhole || isAbout(facts, one)).map(one => drainOf(node, one)),
    ...guards
      .filter(one => isWhole || one.server === undefined || isAbout(facts, { server: one.server }))
      .map(one => guardOf(node, one)),
    ...(isWhole && balancer !== undefined ? [balancerOf(node, balancer)] : []),
    ...(isWhole || ring.warnings.length > 0 ? [ringOf(facts)] : []),
    ...(journalProblem === undefined ? [] : [block('balancer', 'journal', node, { problem: journalProblem })]),
  ]
}

function told<T>(all: readonly T[], isTelling: (one: T) => boolean): readonly T[] {
  return (all.length <= SHOWN_ANYWAY ? all : all.filter(isTelling)).slice(0, SHOWN_MAX)
}

function guardOf(node: string, { guard, pool, server, what }: Facts['guards'][number]): WhyEvidence {
  return block('guard', server ?? pool, node, { guard, pool, acts: what })
}

function processOf(service: ServiceFacts): WhyEvidence[] {
  const { node, name, state, sinceMs, restarts, pid, reason, pool, port, lastLines, isFrozen, listens, look } = service
  const facts = { state, sinceMs, pid, restarts, reason, pool, port, frozen: isFrozen || undefined }
  const heard = {
    listens: listens?.map(String),
    lastLines: lastLines.length === 0 ? undefined : lastLines.slice(-LINES_MAX),
  }
  const process = block('process', name, node, { ...facts, ...heard })
  return look === undefined ? [process] : [process, block('readiness', name, node, lookFacts(look))]
}

function gossipOf(node: string, member: MemberFacts): WhyEvidence {
  const { name, address, status, sinceMs, tags, failures, isHeld, refused, rival, hasForeignKey } = member
  return block('gossip', name, node, {
    ...{ status, sinceMs, address },
    tags: Object.entries(tags).map(([key, value]) => `${key}=${value}`),
    failures: failures > 0 ? failures : undefined,
    held: isHeld || undefined,
    refused: refused.length === 0 ? undefined : refused,
    rival: rival === undefined ? undefined : `${rival.name} has ${rival.endpoint}`,
    foreignKey: hasForeignKey || undefined,
  })
}

function haproxyOf(server: ServerFacts): WhyEvidence[] {
  const { balancer, pool, name, check, traffic, look, drift } = server
  const { address, state, reason, slot, status, sinceMs, weight, haproxyWeight, downs } = server
  const about = `${pool}/${name}`
  const own = { address, state, reason, slot, status, sinceMs, weight, haproxyWeight, timesDown: downs }
  const drifted = drift === undefined ? undefined : `${drift.outcome}, ${Math.round(drift.agoMs / 1000)} s ago`
  return [
    block('haproxy', about, balancer, { ...own, ...checkFacts(check), changedByHand: drifted }),
    ...(look === undefined ? [] : [block('readiness', about, balancer, lookFacts(look))]),
    ...(traffic === undefined ? [] : [block('traffic', about, balancer, { ...traffic })]),
  ]
}

function checkFacts(check: ServerFacts['check']) {
  if (check === undefined) return {}
  const { status, code, tookMs, words, failed } = check
  return { check: status, checkCode: code, checkTookMs: tookMs, checkWords: words, checksFailed: failed }
}

function lookFacts({ asked, problem, code, body, tookMs }: LookFacts) {
  return {
    asked,
    answer: problem ?? (code === undefined ? 'good' : `answered ${code}`),
    body: body === '' ? undefined : body,
    tookMs,
  }
}

function drainOf(node: string, drain: DrainReport): WhyEvidence {
  const { server, pool, by, since, reason, forced, sessions, oldestMs, done, heldBack, silent } = drain
  return block('drain', server, node, {
    ...{ pool, by, since, reason, forced: forced || undefined, sessions, oldestMs, done, heldBack },
    silent: silent.length === 0 ? undefined : silent,
  })
}

function balancerOf(node: string, balancer: BalancerFacts): WhyEvidence {
  const { version, haproxy, pid, reloads, problem, drifts, configuration, pinned, advice } = balancer
  return block('balancer', 'haproxy', node, {
    ...{ version, state: haproxy, pid, reloads, problem, configuration: configuration?.words, generation: pinned },
    changedByHand: drifts.length === 0 ? undefined : drifts.map(({ what, outcome }) => `${what}: ${outcome}`),
    advice: advice.length === 0 ? undefined : advice,
  })
}

function ringOf({ node, ring }: Facts): WhyEvidence {
  const { alive, failed, left, balancers, warnings } = ring
  return block('ring', node, node, {
    alive,
    left,
    failed,
    balancers,
    warnings: warnings.length === 0 ? undefined : warnings,
  })
}

function isAbout({ members, servers, what }: Facts, { server }: Pick<DrainReport, 'server'>): boolean {
  return (
    server === what ||
    members.some(({ name }) => name === server) ||
    servers.some(one => one.name === server || one.address === server)
  )
}

/** What is not known is left out. */
function block(
  from: WhyEvidence['from'],
  about: string,
  seenBy: string,
  given: Readonly<Record<string, WhyFact | undefined>>,
): WhyEvidence {
  const facts = Object.entries(given).filter(
    (entry): entry is [string, WhyFact] => entry[1] !== undefined && entry[1] !== '',
  )
  return { from, about, seenBy, facts: Object.fromEntries(facts) }
}
