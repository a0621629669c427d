/** What an operator asks for at any agent: drain a server on every balancer, see how it goes, take it back. */
import { type DrainList, type DrainReport, NotThereError, reasonFault, RefusedError } from '../../api/index.ts'
import { type Clock, counted, type Log, messageOf, sleep } from '../../base/index.ts'
import type { Engine } from '../../serf/index.ts'
import { PAGES_MAX, whoIs } from './draining-balancer.ts'
import {
  type BelowMinimum,
  decodeDrainAnswer,
  decodePage,
  DRAINS_QUERY,
  type DrainAnswer,
  type DrainsRequest,
  type DrainTarget,
  encodeDrainsRequest,
} from '../endpoints/drain-messages.ts'
import { askBalancers, balancersIn } from '../endpoints/drain-query.ts'
import {
  decodeRecord,
  DrainBook,
  type DrainRecord,
  encodeRecord,
  isLater,
  isPoolName,
  isServerName,
  stampAfter,
  USER_MAX,
} from '../endpoints/drain-records.ts'

export interface DrainOrder extends DrainTarget {
  readonly user?: string
  readonly reason?: string
  /** In spite of the minimum number of servers. */
  readonly force: boolean
  /** How long whoever asks waits, ms; for the record. */
  readonly waitMs?: number
}

interface DrainsDeps {
  readonly clock: Clock
  readonly log: Log
  readonly serf: Engine
}

/** How long a balancer may take to answer a person; it asks HAProxy and all its old workers. */
const ANSWER_MS = 1_000
/** A balancer that does not confirm is told again and again for so long; after that it asks the others itself. */
const TELL_FOR_MS = 10 * 60_000
const TELL_MS_MIN = 250
const TELL_MS_MAX = 15_000
/** So many at once are told with their sessions. */
const LISTED_MAX = 64

const ALL_THE_SAME = 'to go on all the same: --force --reason "why"'

type Answers = ReadonlyMap<string, DrainAnswer>

export class Drains {
  readonly #deps: DrainsDeps
  /** By server and pool: what is still being told. */
  readonly #telling = new Map<string, AbortController>()

  constructor(deps: DrainsDeps) {
    this.#deps = deps
  }

  /**
   * Drains a server on every balancer; a balancer that does not answer now is told again. Already drained: tells how it goes.
   * @throws RefusedError below the minimum, NotThereError for a server that no balancer knows; nothing is drained
   */
  async drain(order: DrainOrder): Promise<DrainReport> {
    const target = targetOf(order)
    const seen = await this.#ask({ op: 'look', ...target })
    this.#assertThere(target, seen)
    const held = [...seen.values()].flatMap(({ record }) => (record === undefined ? [] : [record]))
    const now = held.find(record => !record.undone && (record.forced || !order.force))
    if (now === undefined && !order.force) assertAbove(`${target.server} is not drained`, seen)
    const record = now ?? this.#newRecord(order, held)
    const put = await this.#ask({ op: 'put', record })
    const refused = [...put.values()].find(answer => answer.below !== undefined && !isSame(answer.record, record))
    if (refused !== undefined && !record.forced) {
      this.#tell({ ...record, atMs: record.atMs + 1, undone: true }) // some may hold it already
      assertAbove(`${target.server} is not drained`, put)
    }
    this.#tell(record, put)
    return this.#report(record, put)
  }

  /**
   * Takes back every drain of a server, or that in one pool.
   * @returns what was taken back, and who has not confirmed it yet; they are told again
   * @throws NotThereError when none is in force
   */
  async undo(given: DrainTarget & { readonly user?: string }): Promise<DrainList> {
    const target = targetOf(given)
    const { records, silent } = await this.#records()
    const active = records.filter(one => one.server === target.server && (given.pool ?? one.pool) === one.pool)
    if (active.length === 0) {
      const others = records.map(record => record.server)
      throw new NotThereError(
        `${target.server} is not drained by anybody; ${others.length === 0 ? 'nothing is' : `drained are ${others.join(', ')}`}`,
      )
    }
    const drains: DrainReport[] = []
    for (const one of active) {
      const { server, pool } = one
      const order = { ...given, server, ...(pool === undefined ? {} : { pool }), force: false }
      const tombstone: DrainRecord = { ...this.#newRecord(order, [one]), undone: true }
      const put = await this.#ask({ op: 'put', record: tombstone })
      this.#tell(tombstone, put)
      drains.push(this.#report(tombstone, put))
    }
    return { drains, silent: [...new Set([...silent, ...drains.flatMap(drain => drain.silent)])] }
  }

  /** All that is drained, or one server, with what is left there; `more` where these are not all. */
  async list(target?: DrainTarget): Promise<DrainList> {
    const { records, answered, silent } = await this.#records()
    const isAsked = (one: DrainRecord) =>
      target === undefined || (one.server === target.server && (target.pool ?? one.pool) === one.pool)
    const found = records.filter(isAsked)
    const asked = found.slice(0, LISTED_MAX)
    const drains = await Promise.all(
      asked.map(async record => this.#report(record, await this.#ask({ op: 'look', ...targetOf(record) }))),
    )
    return { drains, ...(found.length > asked.length ? { more: true as const } : {}), answered, silent }
  }

  /**
   * What a node may take away on purpose without leaving a pool with too few.
   * @param words what is refused: `web-2 does not leave`
   * @throws RefusedError
   */
  async assertMinimum(server: string, words: string): Promise<void> {
    if (!isServerName(server) || balancersIn(this.#deps.serf).length === 0) return
    assertAbove(words, await this.#ask({ op: 'look', server }))
  }

  /**
   * What a node that balances may take away: not the only balancer of pools that have servers.
   * @param words what is refused: `lb-1 does not leave`
   * @throws RefusedError
   */
  assertOtherBalancer(
    pools: readonly { readonly name: string; readonly servers: readonly unknown[] }[],
    words: string,
  ) {
    const { serf } = this.#deps
    const pool = pools.find(({ servers }) => servers.length > 0)
    if (pool === undefined || balancersIn(serf).some(name => name !== serf.local().name)) return
    throw new RefusedError(
      `${words}: no other balancer is alive in the ring, and pool ${pool.name} has ${counted(pool.servers.length, 'server')}; ` +
        `nobody would send requests there; ${ALL_THE_SAME}`,
    )
  }

  /** Ends telling. */
  stop(): void {
    for (const telling of this.#telling.values()) telling.abort()
  }

  #newRecord(order: DrainOrder, earlier: readonly DrainRecord[]): DrainRecord {
    const { clock, serf } = this.#deps
    const nowMs = Math.floor(clock.wallMs())
    const user = order.user?.replaceAll(/\p{C}/gu, '').slice(0, USER_MAX)
    const record: DrainRecord = {
      server: order.server,
      ...(order.pool === undefined ? {} : { pool: order.pool }),
      node: serf.local().name,
      ...(user === undefined || user === '' ? {} : { user }),
      atMs: stampAfter(nowMs, earlier),
      ...(order.waitMs === undefined ? {} : { deadlineMs: nowMs + order.waitMs }),
      ...(order.reason === undefined ? {} : { reason: order.reason }),
      forced: order.force,
      undone: false,
    }
    if (decodeRecord(encodeRecord(record)) === undefined)
      throw new RefusedError('the reason is too long for a Serf query; shorten it; nothing is changed')
    return record
  }

  #assertThere(target: DrainTarget, seen: Answers): void {
    const balancers = balancersIn(this.#deps.serf)
    if (balancers.length === 0) throw new NotThereError('no balancer is alive in the ring; nothing is drained')
    if (seen.size === 0)
      throw new NotThereError(`no balancer answers (${balancers.join(', ')}); nothing is drained; try again`)
    if ([...seen.values()].some(({ servers, record }) => servers > 0 || record?.undone === false)) return
    const where = target.pool === undefined ? 'any pool' : `pool ${target.pool}`
    throw new NotThereError(
      `no server of ${where} is called ${target.server}; nothing is drained; give a name or an address as muster status shows it`,
    )
  }

  /** Every balancer once; answers that are none are left out. */
  async #ask(request: DrainsRequest): Promise<Answers> {
    const answers = await askBalancers(this.#deps.serf, DRAINS_QUERY, encodeDrainsRequest(request), ANSWER_MS)
    const read = [...answers].map(([from, payload]) => [from, decodeDrainAnswer(payload)] as const)
    return new Map(read.flatMap(([from, answer]) => (answer === undefined ? [] : [[from, answer] as const])))
  }

  /** What is in force on any balancer, the latest word about each. */
  async #records(): Promise<{
    readonly records: readonly DrainRecord[]
    readonly answered: readonly string[]
    readonly silent: readonly string[]
  }> {
    const { clock, serf } = this.#deps
    const book = new DrainBook()
    const answered = new Set<string>()
    let next: number | undefined = 0
    for (let page = 0; page < PAGES_MAX && next !== undefined; page++) {
      const payload = encodeDrainsRequest({ op: 'list', from: next })
      const answers = await askBalancers(serf, DRAINS_QUERY, payload, ANSWER_MS)
      const nexts: number[] = []
      for (const [from, answer] of answers) {
        const found = decodePage(answer)
        if (found === undefined) continue
        answered.add(from)
        for (const record of found.records) book.put(record, clock.wallMs())
        if (found.next !== undefined && found.next > next) nexts.push(found.next)
      }
      next = nexts.length === 0 ? undefined : Math.min(...nexts)
    }
    const silent = balancersIn(serf).filter(name => !answered.has(name))
    return { records: book.active(), answered: [...answered], silent }
  }

  /** In the background, until every balancer that is alive holds it. @param told who has answered already */
  #tell(record: DrainRecord, told?: Answers): void {
    const key = `${record.server} ${record.pool ?? ''}`
    this.#telling.get(key)?.abort()
    const telling = new AbortController()
    this.#telling.set(key, telling)
    const done = () => {
      if (this.#telling.get(key) === telling) this.#telling.delete(key)
    }
    this.#untilHeld(record, told, telling.signal).then(done, failure => {
      done()
      if (!telling.signal.aborted) this.#deps.log.warn({ reason: messageOf(failure) }, 'balancers could not be told')
    })
  }

  async #untilHeld(record: DrainRecord, told: Answers | undefined, signal: AbortSignal): Promise<void> {
    const { clock, log, serf } = this.#deps
    const untilMs = clock.nowMs() + TELL_FOR_MS
    let pauseMs = TELL_MS_MIN
    for (let held = told; !signal.aborted; pauseMs = Math.min(TELL_MS_MAX, pauseMs * 2)) {
      held ??= await this.#ask({ op: 'put', record })
      const missing = missingIn(held, record, balancersIn(serf))
      if (missing.length === 0) return
      if (clock.nowMs() >= untilMs) {
        log.warn({ server: record.server, silent: missing }, 'not every balancer has confirmed what an operator drains')
        return
      }
      held = undefined
      await sleep(clock, pauseMs, signal)
    }
  }

  #report(record: DrainRecord, answers: Answers): DrainReport {
    const silent = balancersIn(this.#deps.serf).filter(name => !answers.has(name))
    const ages = [...answers.values()].flatMap(({ oldestMs }) => (oldestMs === undefined ? [] : [oldestMs]))
    const heldBack = [...answers.values()].find(answer => answer.heldBack !== undefined)?.heldBack
    const balancers = [...answers].map(([name, answer]) => ({
      name,
      sessions: answer.sessions,
      ...(answer.oldestMs === undefined ? {} : { oldestMs: answer.oldestMs }),
      bound: answer.isBound,
      open: answer.isOpen,
      confirmed: isSame(answer.record, record),
    }))
    const isLeft = balancers.some(one => one.sessions > 0 || one.bound || one.open || !one.confirmed)
    return {
      server: record.server,
      ...(record.pool === undefined ? {} : { pool: record.pool }),
      by: whoIs(record),
      since: new Date(record.atMs).toISOString(),
      ...(record.reason === undefined ? {} : { reason: record.reason }),
      ...(record.deadlineMs === undefined ? {} : { until: new Date(record.deadlineMs).toISOString() }),
      forced: record.forced,
      takenBack: record.undone,
      sessions: balancers.reduce((sum, one) => sum + one.sessions, 0),
      ...(ages.length === 0 ? {} : { oldestMs: Math.max(...ages) }),
      done: !isLeft && silent.length === 0,
      ...(heldBack === undefined ? {} : { heldBack }),
      balancers,
      silent,
    }
  }
}

function targetOf({ server, pool }: DrainTarget): DrainTarget {
  if (!isServerName(server)) throw new NotThereError(`${JSON.stringify(server)} cannot be the name of a server`)
  if (pool === undefined) return { server }
  if (!isPoolName(pool)) throw new NotThereError(`${JSON.stringify(pool)} cannot be the name of a pool`)
  return { server, pool }
}

function isSame(a: DrainRecord | undefined, b: DrainRecord): boolean {
  return a !== undefined && JSON.stringify(encodeRecord(a)) === JSON.stringify(encodeRecord(b))
}

/** Balancers that hold neither this nor a later word about the same server, which somebody gave at another agent. */
function missingIn(held: Answers, record: DrainRecord, balancers: readonly string[]): string[] {
  return balancers.filter(name => {
    const there = held.get(name)?.record
    return there === undefined || !(isSame(there, record) || isLater(there, record))
  })
}

/** @throws RefusedError when a balancer would have too few left */
function assertAbove(words: string, answers: Answers): void {
  for (const [name, { below }] of answers)
    if (below !== undefined) throw new RefusedError(refusalOf(words, name, below))
}

function refusalOf(words: string, balancer: string, { pool, has, without, min }: BelowMinimum): string {
  const left = has - without
  return (
    `${words}: pool ${pool} has ${has} ${has === 1 ? 'server' : 'servers'} in traffic on ${balancer} and must keep ${min}; ` +
    `${left} would be left; ${ALL_THE_SAME}`
  )
}

/** `pool web is left with 0 of at least 1 server`. */
export function belowWords({ pool, has, without, min }: BelowMinimum): string {
  return `pool ${pool} is left with ${has - without} of at least ${min} ${min === 1 ? 'server' : 'servers'}`
}

/** An order as it comes from the API. @throws RefusedError for a reason that cannot be told in one line */
export function assertReason(reason: string | undefined, force: boolean): void {
  if (force && reason === undefined)
    throw new RefusedError('--force wants a reason: --reason "why"; nothing is changed')
  const fault = reason === undefined ? undefined : reasonFault(reason)
  if (fault !== undefined) throw new RefusedError(`${fault}; nothing is changed`)
}
