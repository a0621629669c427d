/** What gossip says of the member, and what its tags announce. */
import { age, counted } from '../../../base/index.ts'
import { type Case, isServing, type Rule, standing, verdict } from '../case.ts'
import { listed } from '../words.ts'
import { failedCheck } from './checks.ts'

/** This node's gossip has ended: it lost the vote over its name, or the agent ends. */
export const nameClash: Rule = c => {
  if (!c.facts.ring.hasStopped || c.member?.isSelf === false || c.name !== c.facts.node) return undefined
  return verdict(
    ...([c, 'name-clash', 'wrong'] as const),
    `${c.name} has lost its name: another node of the ring is called ${c.name}, so the gossip of this one has stopped; give it another name and start it again`,
  )
}

const left: Rule = c => {
  if (c.member?.status !== 'left') return undefined
  return verdict(c, 'left', 'wished', `${begun(c, 'it')} left the ring on purpose${since(c)}`)
}

const foreignKey: Rule = c => {
  if (c.member?.hasForeignKey !== true) return undefined
  const what = `${c.name} speaks with a gossip key that ${c.facts.node} does not have; one of them has missed a rotation: muster keys -list on both`
  return verdict(c, 'key-mismatch', 'wrong', isServing(c) ? `${standing(c)}, but ${what}` : what)
}

/** Many at once: rather this node, or the network, than all of them. */
const cutOff: Rule = c => {
  const { failed, failedTogether } = c.facts.ring
  if (c.member?.status !== 'failed' || !isPartition(c.facts.ring)) return undefined
  const others = `with ${counted(failedTogether - 1, 'other member')} at once (${listed(failed.filter(name => name !== c.name))})`
  const what = `${c.name} failed${since(c)}, ${others}: ${c.facts.node} is likely cut off from them by the network`
  return verdict(c, 'partition', 'wrong', `${what}; ${served(c)}`)
}

/** Its agent or its host is gone, and so is what it served. */
const failedAndDown: Rule = c => {
  if (c.member?.status !== 'failed' || isServing(c)) return undefined
  const check = failedCheck(c)
  const and = check === undefined ? '' : `, and HAProxy's checks fail: ${check.words}`
  const what = `${begun(c, 'its member')} failed${since(c)}, its agent or host gives no sign`
  return verdict(c, 'failed', 'wrong', `${what}${and}`)
}

const failedAndServed: Rule = c => {
  if (c.member?.status !== 'failed' || !isServing(c)) return undefined
  const why = `although its member failed${since(c)} (its agent gives no sign): HAProxy's checks pass`
  return verdict(c, 'failed-served', 'wrong', `${standing(c)} ${why}`)
}

/** It has come and gone so often that the ring does not believe it yet. */
const held: Rule = c => {
  if (c.member?.isHeld !== true) return undefined
  const often = c.member.failures > 1 ? `has failed ${c.member.failures} times of late` : 'comes and goes'
  return verdict(
    c,
    'flapping',
    'wrong',
    `${standing(c)}: its member flaps, it ${often} and is held back until it stays`,
  )
}

/** Its tags, or its name or address, cannot be used. */
const refused: Rule = c => {
  const reason = c.member?.refused[0]
  if (reason === undefined || c.server !== undefined) return undefined
  return verdict(c, 'refused', 'wrong', `${c.name} is in no pool: what it announces is refused: ${reason}`)
}

/** Two members name one endpoint; the one that had it first keeps it. */
const rival: Rule = c => {
  const other = c.member?.rival
  if (other === undefined || c.server !== undefined) return undefined
  const why = `${other.name} announces ${other.endpoint}, too, and has it`
  return verdict(c, 'address-taken', 'wrong', `${standing(c)}: ${why}; one of the two has the wrong address or port`)
}

/** Nobody would send requests. */
const noBalancer: Rule = c => {
  const { facts, member, service } = c
  const announces = service?.pool !== undefined || (member?.endpoints.length ?? 0) > 0
  if (facts.ring.balancers.length > 0 || facts.isBalancer || c.server !== undefined || !announces) return undefined
  const where = facts.ring.isAlone ? `${facts.node} has found nobody to join` : 'no balancer is alive in the ring'
  return verdict(c, 'no-balancer', 'wrong', `${c.name} gets no traffic: ${where}`)
}

const unknownPool: Rule = c => {
  const pool = unknownPoolOf(c)
  if (pool === undefined || c.server !== undefined) return undefined
  return verdict(c, 'unknown-pool', 'wrong', `${c.name} gets no traffic: it serves pool ${pool}, ${whichIsNone(c)}`)
}

/** Said behind what is wrong with the pool that there is. */
export const unknownPoolToo: Rule = c => {
  const pool = unknownPoolOf(c)
  if (pool === undefined || c.server === undefined) return undefined
  return verdict(c, 'unknown-pool', 'wrong', `${standing(c)}, but it serves pool ${pool}, too, ${whichIsNone(c)}`)
}

function unknownPoolOf({ facts, member }: Case): string | undefined {
  if (member?.status !== 'alive' || facts.pools.length === 0) return undefined
  return member.endpoints.find(({ pool }) => !facts.pools.some(({ name }) => name === pool))?.pool
}

function whichIsNone({ facts }: Case): string {
  const { balancer = facts.node } = facts.pools[0] ?? {}
  return `which ${balancer} does not have; its pools are ${listed([...new Set(facts.pools.map(({ name }) => name))])}`
}

/** Its agent has taken the endpoint back. */
const withdrawn: Rule = c => {
  const { member, server, facts } = c
  if (server !== undefined || member?.status !== 'alive' || member.endpoints.length > 0) return undefined
  const tag = Object.keys(member.tags).find(key => key.startsWith('pool.') && member.tags[key] === '')
  if (tag !== undefined) {
    const why = `its agent has taken the endpoint back, since nothing of it is ready`
    return verdict(c, 'withdrawn', 'wrong', `${c.name} is not in pool ${tag.slice('pool.'.length)}: ${why}`)
  }
  const before = lastChange(c)
  if (before === undefined) return undefined
  const why = `its tags named it until ${age(facts.nowMs - before.atMs)} ago and do no more`
  return verdict(c, 'withdrawn', 'wrong', `${c.name} is not in pool ${before.pool}: ${why}`)
}

/** A member like any other. */
export const memberOnly: Rule = c => {
  const { member, server, service } = c
  if (member === undefined || server !== undefined || service !== undefined) return undefined
  if (member.isSelf && member.tags['role'] === 'balancer') return undefined // told as a node
  if (member.status === 'leaving') return verdict(c, 'leaving', 'wished', `${c.name} is leaving the ring`)
  if (member.tags['role'] === 'balancer')
    return verdict(c, 'balancer', 'ok', `${c.name} is alive and balances${since(c, ' for ')}; ask it itself for more`)
  const [endpoint] = member.endpoints
  if (endpoint === undefined)
    return verdict(c, 'no-pool', 'ok', `${c.name} is alive${since(c, ' for ')} and serves no pool: its tags name none`)
  return verdict(
    c,
    'announced',
    'ok',
    `${c.name} is alive and announces port ${endpoint.port} for pool ${endpoint.pool}`,
  )
}

export const MEMBER_RULES: readonly Rule[] = [left, foreignKey, cutOff, failedAndDown, failedAndServed, held]
export const TAG_RULES: readonly Rule[] = [refused, rival, noBalancer, unknownPool, withdrawn]

/** Two or more, and more than half of all that were there. */
export function isPartition({
  alive,
  failedTogether,
}: {
  readonly alive: number
  readonly failedTogether: number
}): boolean {
  return failedTogether >= 2 && failedTogether > alive - 1
}

function served(c: Case): string {
  if (c.server === undefined) return 'it is in no pool here'
  return isServing(c) ? `it takes traffic in pool ${c.server.pool} as long as HAProxy's checks pass` : `${standing(c)}`
}

/** `web-2 is out of pool web: it`, or only `web-2` where no pool is known. */
function begun(c: Case, pronoun: string): string {
  const standingNow = standing(c)
  return standingNow === c.name ? c.name : `${standingNow}: ${pronoun}`
}

function since({ member }: Case, before = ' '): string {
  if (member?.sinceMs === undefined) return ''
  return before === ' ' ? ` ${age(member.sinceMs)} ago` : `${before}${age(member.sinceMs)}`
}

/** Of a server that is in the books and in no pool any more. */
function lastChange({ facts, name }: Case): { readonly pool: string; readonly atMs: number } | undefined {
  for (const record of [...facts.records].reverse()) {
    const changes: unknown = record.kind === 'receipt' ? record['changes'] : undefined
    if (!Array.isArray(changes)) continue
    const found = (changes as { server?: unknown; pool?: unknown; after?: unknown }[]).find(one => one.server === name)
    if (found?.after === null && typeof found.pool === 'string')
      return { pool: found.pool, atMs: Date.parse(record.at) }
  }
  return undefined
}
