/** Asks all who know, at once, and waits no longer than a person would. */
import type { DrainReport, HistoryRecord } from '../../api/index.ts'
import type { Server } from '../../balancer/index.ts'
import { type Clock, formatAddress, MusterError, messageOf, within } from '../../base/index.ts'
import type { JournalRecord } from '../../journal/index.ts'
import type { SerfMember } from '../../serf/index.ts'
import type { Agent } from '../agent.ts'
import { balancersIn } from '../endpoints/drain-query.ts'
import { isHostLocal, readEndpoints } from '../endpoints/endpoints.ts'
import { ANY, askAgents } from './asking.ts'
import type { BalancerFacts, Facts, MemberFacts, RingFacts } from './facts.ts'
import { knownHere, settingsOf } from './local.ts'
import type { WhyAnswer } from './messages.ts'
import { isMemberMeant, recordedAs } from './subject.ts'

/** A server that does not answer a question of ours by then is late. */
const LOOK_MS = 1_500
/** The API's client waits 10 s for everything. */
const PATIENCE_MS = 4_000
const RECORDS = 60
/** More are not looked up one by one. */
const MEMBERS_READ_MAX = 8
/** Failures within so long of one another have one cause. */
const TOGETHER_MS = 30_000
const TOGETHER_AGE_MS = 3_600_000

export async function collectFacts(agent: Agent, what: string | undefined): Promise<Facts> {
  const { balancing, config, deps, journal } = agent.parts
  const found = await knownHere(agent, what, LOOK_MS)
  const isService = balancing === undefined && found.services.some(({ name }) => name === what)
  const here = isService ? { ...found, services: found.services.filter(({ name }) => name === what) } : found
  const members = membersMeant(agent, isService ? undefined : what, here)
  const [asked, drains, records, histories, balancer] = await Promise.all([
    askOthers(agent, isService ? undefined : what, here, members),
    drainsOf(agent),
    recordsOf(agent, what === undefined ? undefined : recordedAs(what, here.servers)),
    historiesOf(agent, members),
    balancing === undefined ? undefined : balancerFacts(agent),
  ])
  const all = [here, ...asked.answers]
  const ring = ringFacts(agent)
  const owners = ownersOf(agent)
  return {
    ...(what === undefined ? {} : { what }),
    ...{ node: config.node.name, isService, isBalancer: balancing !== undefined, drains, records, ring },
    services: all.flatMap(({ services }) => services),
    servers: all.flatMap(({ servers }) => servers),
    pools: all.flatMap(({ pools }) => pools),
    members: await Promise.all(
      members.map(one => memberFacts(agent, one, { ring, owners, changedAtMs: histories.get(one.name) })),
    ),
    nowMs: deps.clock.wallMs(),
    guards: balancing?.status().guards ?? [],
    ...(balancer === undefined ? {} : { balancer }),
    ...(journal.problem === undefined ? {} : { journalProblem: journal.problem }),
    silent: asked.silent,
  }
}

/** @param what undefined: a balancer has to do with all of them, anybody else with itself */
function membersMeant(agent: Agent, what: string | undefined, here: WhyAnswer): SerfMember[] {
  const { serf, balancing } = agent.parts
  const all = serf.members().filter(({ status }) => status !== 'none')
  if (what === undefined && balancing === undefined) return all.filter(({ name }) => name === serf.local().name)
  const named = new Set(
    what === undefined ? [] : [...here.services.map(({ node }) => node), ...here.servers.map(({ name }) => name)],
  )
  return all.filter(one => named.has(one.name) || isMemberMeant(what, one, defaultPoolOf(agent)))
}

function defaultPoolOf(agent: Agent): string {
  return settingsOf(agent)?.plainPool ?? 'web'
}

/** A balancer asks the agents beside the processes; everybody else asks the balancers as well. @param what undefined: this node */
async function askOthers(
  agent: Agent,
  what: string | undefined,
  here: WhyAnswer,
  members: readonly SerfMember[],
): Promise<{ readonly answers: readonly WhyAnswer[]; readonly silent: readonly string[] }> {
  const { serf, balancing } = agent.parts
  const self = serf.local().name
  const isWell = new Set(here.servers.filter(one => one.state === 'ready').map(one => one.name))
  const beside = members
    .filter(one => one.name !== self && one.status === 'alive' && isOurs(one))
    .map(({ name }) => name)
    .filter(name => members.length <= MEMBERS_ASKED || !isWell.has(name))
  const balancers = balancing === undefined ? balancersIn(serf).filter(name => name !== self) : []
  const [agents, told] = await Promise.all([
    askAgents(agent, beside, what ?? ANY),
    askAgents(agent, balancers, what ?? self),
  ])
  return { answers: [...agents.from.values(), ...told.from.values()], silent: [...agents.silent, ...told.silent] }
}

/** So many are asked although all is well as far as this node knows. */
const MEMBERS_ASKED = 4

/** A plain `serf agent` would not answer. */
function isOurs({ tags }: SerfMember): boolean {
  return Object.keys(tags).some(key => key.startsWith('pool.'))
}

async function drainsOf(agent: Agent): Promise<readonly DrainReport[]> {
  const { drains, serf } = agent.parts
  if (balancersIn(serf).length === 0) return []
  return (await soon(agent, drains.list()))?.drains ?? []
}

async function recordsOf(agent: Agent, what: string | undefined): Promise<HistoryRecord[]> {
  const { journal } = agent.parts.journal
  const asked = what === undefined ? { kinds: ['receipt', 'command', 'guard', 'service'] as const } : { what }
  const page = await soon(agent, journal.read({ ...asked, limit: RECORDS }))
  return (page?.records ?? []).map(historyRecord)
}

function historyRecord(record: JournalRecord): HistoryRecord {
  return { ...record, at: new Date(record.at).toISOString() }
}

/** Since when each member is as it is, wall clock, ms. */
async function historiesOf(agent: Agent, members: readonly SerfMember[]): Promise<Map<string, number>> {
  const { journal } = agent.parts.journal
  const found = new Map<string, number>()
  const unknown = members.filter(({ leftAtMs }) => leftAtMs === 0)
  for (const { name, status } of unknown.length > MEMBERS_READ_MAX ? [] : unknown) {
    const page = await soon(agent, journal.read({ what: name, kinds: ['member'], limit: RECORDS }))
    const changed = page?.records.findLast(
      one =>
        one.kind === 'member' && one.member === name && one.after.status === status && one.before?.status !== status,
    )
    if (changed !== undefined) found.set(name, changed.at)
  }
  return found
}

async function memberFacts(
  agent: Agent,
  member: SerfMember,
  known: {
    readonly ring: RingFacts
    readonly owners: ReadonlyMap<string, string>
    readonly changedAtMs: number | undefined
  },
): Promise<MemberFacts> {
  const { ring, owners, changedAtMs } = known
  const { name, ip, port, status, tags, leftAtMs, flaps = 0, held = false } = member
  const { clock } = agent.parts.deps
  const reading = readEndpoints(tags, { pool: defaultPoolOf(agent) })
  const sinceMs =
    leftAtMs > 0 ? clock.nowMs() - leftAtMs : changedAtMs === undefined ? undefined : clock.wallMs() - changedAtMs
  const addresses = reading.endpoints.map(one => formatAddress({ ip, port: one.port }))
  const rival = status === 'alive' ? rivalOf(owners, name, addresses) : undefined
  return {
    ...{ name, address: formatAddress({ ip, port }), status, tags, isSelf: name === agent.parts.serf.local().name },
    ...(sinceMs === undefined ? {} : { sinceMs: Math.max(0, sinceMs) }),
    ...{ failures: flaps, isHeld: held, endpoints: reading.endpoints },
    refused: [...reading.refused, ...(await unsoundOf(agent, member, reading.endpoints))],
    ...(rival === undefined ? {} : { rival }),
    hasForeignKey: ring.warnings.some(one => one.startsWith(`${name} (`) || one.startsWith(`${ip} speaks`)),
  }
}

/** What balancers refuse of sound tags: names and addresses. */
async function unsoundOf(
  agent: Agent,
  { name, ip }: SerfMember,
  endpoints: MemberFacts['endpoints'],
): Promise<string[]> {
  const [endpoint] = endpoints
  if (endpoint === undefined || agent.parts.balancing === undefined) return []
  if (isHostLocal(ip) && !isHostLocal(agent.parts.serf.local().ip))
    return [`its address ${ip} means another machine on every host; let it bind or advertise one that others can reach`]
  const { refusalOf } = await import('../../balancer/index.ts')
  const server: Server = {
    pool: endpoint.pool,
    name,
    host: name,
    ip,
    port: endpoint.port,
    weight: endpoint.weight ?? 1,
    state: 'plain',
    liveness: 'alive',
  }
  const refusal = refusalOf(server)
  return refusal === undefined ? [] : [refusal]
}

/** `ip:port` → the server that has it here. */
function ownersOf({ parts }: Agent): Map<string, string> {
  const servers = parts.balancing?.status().pools.flatMap(pool => pool.servers) ?? []
  return new Map(servers.map(server => [formatAddress(server), server.name]))
}

function rivalOf(
  owners: ReadonlyMap<string, string>,
  name: string,
  addresses: readonly string[],
): MemberFacts['rival'] {
  for (const endpoint of addresses) {
    const owner = owners.get(endpoint)
    if (owner !== undefined && owner !== name && !owner.startsWith(`${name}:`)) return { name: owner, endpoint }
  }
  return undefined
}

function ringFacts(agent: Agent): RingFacts {
  const { serf, config } = agent.parts
  const all = serf.members()
  const failed = all.filter(({ status }) => status === 'failed')
  const { join, retryJoin } = config.cluster
  const warnings = serf.warnings()
  return {
    alive: all.filter(({ status }) => status === 'alive').length,
    failed: failed.map(({ name }) => name),
    failedTogether: togetherOf(failed, agent.parts.deps.clock),
    left: all.filter(({ status }) => status === 'left').length,
    balancers: balancersIn(serf),
    hasStopped: serf.state() === 'shutdown',
    isAlone: all.length <= 1 && join.length + retryJoin.length > 0,
    warnings: [...warnings, ...agent.warnings()],
  }
}

function togetherOf(failed: readonly SerfMember[], clock: Clock): number {
  const nowMs = clock.nowMs()
  const times = failed.map(({ leftAtMs }) => leftAtMs).filter(atMs => atMs > 0 && nowMs - atMs < TOGETHER_AGE_MS)
  return Math.max(0, ...times.map(atMs => times.filter(other => other >= atMs && other - atMs <= TOGETHER_MS).length))
}

async function balancerFacts(agent: Agent): Promise<BalancerFacts | undefined> {
  const { balancing, supervisor, generations, deps } = agent.parts
  if (balancing === undefined) return undefined
  const { haproxy, reloads, problem, drifts, missingRetries } = balancing.status()
  const pid = supervisor.services().find(({ name }) => name === 'haproxy')?.pid
  const configuration = await configurationOf(agent, problem)
  return {
    ...{ version: haproxy.version, haproxy: haproxy.state, reloads },
    ...(pid === undefined ? {} : { pid }),
    ...(problem === undefined ? {} : { problem }),
    drifts: drifts.map(({ what, outcome, atMs }) => ({ what, outcome, agoMs: deps.clock.nowMs() - atMs })),
    ...(configuration === undefined ? {} : { configuration }),
    ...(generations.pinned === undefined ? {} : { pinned: generations.pinned.number }),
    advice: missingRetries.map(({ setting, cost }) => `${setting} is missing: ${cost}`),
  }
}

/** What an apply would say now, HAProxy's own words about the file among it. */
async function configurationOf(agent: Agent, problem: string | undefined): Promise<BalancerFacts['configuration']> {
  if (problem?.startsWith(REFUSED) === true) return { kind: 'refused', words: problem }
  try {
    const plan = await soon(agent, agent.configuring.plan())
    return plan?.refusal === undefined ? undefined : { kind: 'refused', words: plan.refusal }
  } catch (failure) {
    const kind = KINDS.get(failure instanceof MusterError ? String((failure as { code?: unknown }).code) : '')
    return kind === undefined ? undefined : { kind, words: messageOf(failure) }
  }
}

const REFUSED = 'HAProxy refused'
const KINDS: ReadonlyMap<string, 'template' | 'invalid'> = new Map([
  ['BALANCER_TEMPLATE', 'template'],
  ['BALANCER_CONFIG', 'invalid'],
  ['CONFIG_INVALID', 'invalid'],
])

/** Undefined when it takes too long. @throws what `work` throws */
async function soon<T>(agent: Agent, work: Promise<T>): Promise<T | undefined> {
  const { clock } = agent.parts.deps
  const { signal } = new AbortController()
  const late = () => new LateError('too late')
  return within(work, { clock, timeoutMs: PATIENCE_MS, signal, late }).catch((failure: unknown) => {
    if (failure instanceof LateError) return undefined
    throw failure
  })
}

/** Somebody who was asked has not answered in time; the verdict does without. */
class LateError extends MusterError {
  readonly code = 'AGENT_LATE'
}
