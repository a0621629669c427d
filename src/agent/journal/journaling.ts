/** What the agent keeps books of: the rooms' events, translated into records of the journal. */
import { join } from 'node:path'
import { type Clock, formatAddress, type Log, type Scope } from '../../base/index.ts'
import {
  type AgentEntry,
  type CheckEntry,
  type CommandEntry,
  type GuardEntry,
  type Journal,
  type MemberEntry,
  type MemberState,
  openJournal,
  type PoolServer,
  type Receipt,
  type ReceiptChange,
} from '../../journal/index.ts'
import type { BalancerStatus, ServerStatus } from '../../balancer/index.ts'
import { type Engine, isMemberEvent, type SerfEvent, type SerfMember } from '../../serf/index.ts'
import type { ServiceStatus, Supervisor } from '../../supervisor/index.ts'
import { VERSION } from '../version.ts'

export interface JournalingDeps {
  readonly clock: Clock
  readonly log: Log
  readonly pid: number
}

/** A server that was found in HAProxy. */
type FoundServer = Omit<PoolServer, 'since'>

/** Opens the journal in the state directory, whatever is there; the scope's end writes the last record. */
export async function startJournaling(
  config: { readonly stateDir: string; readonly journalMaxBytes?: number },
  deps: JournalingDeps,
  scope: Scope,
): Promise<Journaling> {
  const maxBytes = config.journalMaxBytes === undefined ? {} : { maxBytes: config.journalMaxBytes }
  const log = deps.log.child({ room: 'journal' })
  const journal = await openJournal({ directory: join(config.stateDir, 'journal'), ...maxBytes }, { ...deps, log })
  const journaling = new Journaling(journal, deps)
  scope.defer(() => journaling.end())
  return journaling
}

/** The journal, as the parts of the agent write into it. Nothing here throws or waits. */
export class Journaling {
  /** To be read. */
  readonly journal: Journal
  readonly #clock: Clock
  readonly #pid: number
  #node = ''
  /** How the members were, to say what has changed. No more than the ring has. */
  readonly #members = new Map<string, MemberState>()
  readonly #services = new Map<string, string>()
  #isOver = false
  #ending: { readonly event: AgentEntry['event']; readonly reason?: string } | undefined

  constructor(journal: Journal, { clock, pid }: Pick<JournalingDeps, 'clock' | 'pid'>) {
    this.journal = journal
    this.#clock = clock
    this.#pid = pid
  }

  /** Why nothing is written at the moment, in words. */
  get problem(): string | undefined {
    return this.journal.problem
  }

  /** A change that was applied to HAProxy. */
  receipt(receipt: Receipt): void {
    this.journal.append({ kind: 'receipt', ...receipt })
  }

  /** What an operator asked for, and what came of it. */
  command(command: Omit<CommandEntry, 'kind'>): void {
    this.journal.append({ kind: 'command', ...command })
  }

  /** HAProxy's own checks took a server out of traffic, or let it in again. */
  check(check: Omit<CheckEntry, 'kind'>): void {
    this.journal.append({ kind: 'check', ...check })
  }

  /** A guard acted, or let go again. */
  guard(guard: Omit<GuardEntry, 'kind'>): void {
    this.journal.append({ kind: 'guard', ...guard })
  }

  /** The ring is known from now on: this agent is at work, and every change of a member is on record. */
  follow(serf: Engine, gossips: boolean, scope: Scope): void {
    this.#node = serf.local().name
    const previous = this.journal.agent
    const killed = previous?.event === 'started' ? { reason: KILLED } : {}
    this.journal.append({
      kind: 'agent',
      event: 'started',
      node: this.#node,
      version: VERSION,
      pid: this.#pid,
      ...killed,
    })
    this.#ending = { event: 'stopped', reason: 'its start failed, or was given up' }
    const self = gossips ? serf.local().name : undefined
    for (const member of serf.members())
      if (member.name === self) this.#member('join', member)
      else this.#members.set(member.name, stateOf(member))
    scope.defer(serf.onEvent(event => this.#hear(event)))
  }

  /** Every change of a service of this host is on record from now on, beginning with how they are. */
  followServices(supervisor: Supervisor, scope: Scope): void {
    for (const service of supervisor.services()) this.#service(service)
    scope.defer(supervisor.onChange(status => this.#service(status)))
  }

  /**
   * What HAProxy had when this agent took over, told before the first receipt. What differs from the books, since it changed
   * while no agent was there to write it down or the books are new, is put on record.
   */
  poolsFound({ pools }: Pick<BalancerStatus, 'pools'>): void {
    const found = pools.flatMap(({ name, servers }) => servers.map(server => foundOf(name, server)))
    const changes = differences(this.journal.pools(), found)
    if (changes.length === 0) return
    const at = Math.floor(this.#clock.wallMs()).toString(36) // in a container every agent has the same pid
    this.receipt({
      ...{ id: `found-${at}`, actor: 'muster', causes: [{ what: 'found when the agent started' }] },
      ...{ method: 'file', reasons: [], commands: [], tookMs: 0, changes },
    })
  }

  /** The start is over; @param how the agent will end, unless told otherwise later */
  ends(how: 'stopped' | 'handed over'): void {
    if (this.#ending !== undefined) this.#ending = { event: how }
  }

  /** Idempotent. */
  async end(): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    if (this.#ending !== undefined)
      this.journal.append({ kind: 'agent', node: this.#node, version: VERSION, pid: this.#pid, ...this.#ending })
    await this.journal.close()
  }

  #hear(event: SerfEvent): void {
    if (!isMemberEvent(event)) return
    const what = event.kind.slice('member-'.length) as MemberEntry['event']
    for (const member of event.members) this.#member(what, member)
  }

  #member(event: MemberEntry['event'], member: SerfMember): void {
    const before = this.#members.get(member.name) ?? null
    const after = stateOf(member)
    if (event === 'reap') this.#members.delete(member.name)
    else this.#members.set(member.name, after)
    this.journal.append({ kind: 'member', event, member: member.name, before, after, seenBy: this.#node })
  }

  #service({ name, state, pid, reason, adopted }: ServiceStatus): void {
    const before = this.#services.get(name) ?? null
    if (before === state) return
    this.#services.set(name, state)
    const why = reason ?? (adopted && before === null ? 'ran on while the agent was away' : undefined)
    this.journal.append({
      ...{ kind: 'service', service: name, before, after: state },
      ...(pid === undefined ? {} : { pid }),
      ...(why === undefined ? {} : { reason: why }),
    })
  }
}

const KILLED = 'the agent before it was killed, or the host went down: it left no last word'

function stateOf({ ip, port, status, tags }: SerfMember): MemberState {
  return { address: formatAddress({ ip, port }), status, tags }
}

function differences(known: readonly PoolServer[], found: readonly FoundServer[]): ReceiptChange[] {
  const keyOf = ({ pool, address }: FoundServer) => `${pool}\0${address}`
  const books = new Map(known.map(server => [keyOf(server), server]))
  const present = new Set(found.map(keyOf))
  const gone = known
    .filter(server => !present.has(keyOf(server)))
    .map(server => ({ ...placeOf(server), before: standingOf(server), after: null, reason: 'not in HAProxy any more' }))
  const changed = found.flatMap(server => {
    const before = books.get(keyOf(server))
    const hasWeight = before?.weight === server.weight || server.state === 'drain' // of which HAProxy does not tell it
    if (before?.state === server.state && hasWeight && before.server === server.server) return []
    const was = before === undefined ? null : standingOf(before)
    return [{ ...placeOf(server), before: was, after: standingOf(server), reason: server.reason }]
  })
  return [...gone, ...changed]
}

/** One that is down would take requests if its checks let it: that is HAProxy's to say, and not what was applied. */
function foundOf(pool: string, { name, ip, port, state, weight, reason }: ServerStatus): FoundServer {
  const address = formatAddress({ ip, port })
  return { ...{ pool, server: name, address, weight, reason }, state: state === 'down' ? 'ready' : state }
}

function placeOf({ pool, server, address }: FoundServer) {
  return { pool, server, address }
}

function standingOf({ state, weight }: FoundServer) {
  return { state, weight }
}
