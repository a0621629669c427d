import { assert } from '../base/index.ts'
import type { Alarms } from './alarms.ts'
import type { Awareness } from './awareness.ts'
import type { BroadcastQueue } from './broadcast-queue.ts'
import type { Counters, Effect, SwimConfig } from './effects.ts'
import {
  type Announced,
  type Entry,
  ipTextOf,
  isUp,
  type Member,
  META_BYTES_MAX,
  NAME_LENGTH_MAX,
  sameBytes,
  sameVersions,
} from './member.ts'
import type { MemberTable } from './member-table.ts'
import type { Alive, Dead, PacketMessage, PushNode, Suspect } from './messages.ts'
import { Suspicion, type SuspicionTimes, suspicionTimes } from './suspicion.ts'
import { saneVersions } from './version-check.ts'

/** Parts that the units of one core share. */
export interface Shared {
  readonly config: SwimConfig
  readonly table: MemberTable
  readonly queue: BroadcastQueue
  readonly awareness: Awareness
  readonly alarms: Alarms
  readonly counters: Counters
  /** Names that somebody claims from another address; who has them is probed next. */
  readonly contested: Set<string>
  readonly encode: (message: PacketMessage) => Uint8Array
  readonly share: (announced: Announced) => Announced
  readonly emit: (effect: Effect) => void
}

const U32_MAX = 0xffff_ffff

/** What an alive and an entry of a list have in common. */
type Announcement = Omit<Alive, 'type' | 'node'>

/** Accepted before, as these very objects: so it is with nearly all that comes around in a simulation. */
function isShared(known: Announced, { addr, port, meta, vsn }: Announcement): boolean {
  return known.addr === addr && known.meta === meta && known.vsn === vsn && known.port === port
}

function acceptable(node: string, { vsn, meta, addr }: Announcement): boolean {
  if (vsn === undefined || !saneVersions(vsn)) return false
  if (node.length === 0 || node.length > NAME_LENGTH_MAX) return false
  return meta.length <= META_BYTES_MAX && ipTextOf(addr) !== undefined
}

/** What is said about members, and what we make of it: alive, suspect, dead, and our own refutations (SWIM §4.2). */
export class Membership {
  readonly #shared: Shared
  /** Of the ring's present size: a healing ring starts hundreds of suspicions at once, all with the same times. */
  #times: { members: number; times: SuspicionTimes } | undefined
  readonly #local: Entry
  #incarnation = 0
  #leaving = false

  constructor(shared: Shared, nowMs: number) {
    this.#shared = shared
    const { config } = shared
    const ip = ipTextOf(config.addr)
    assert(ip !== undefined, 'the advertised address has 4 or 16 bytes')
    const { name, addr, port, meta, vsn } = config
    this.#local = shared.table.add(shared.share({ name, addr, ip, port, meta, vsn }), nowMs)
    this.announce(nowMs)
  }

  get local(): Entry {
    return this.#local
  }

  isLocal({ name }: Member): boolean {
    return name === this.#shared.config.name
  }

  get leaving(): boolean {
    return this.#leaving
  }

  /** Takes these for alive without telling anybody: see `Swim.know`. */
  know(others: Iterable<Member>, nowMs: number): void {
    const { table, share } = this.#shared
    for (const { name, addr, ip, port, meta, vsn, incarnation } of others) {
      if (table.get(name) !== undefined) continue
      const member = table.add(share({ name, addr, ip, port, meta, vsn }), nowMs)
      member.incarnation = incarnation
      member.enter('alive', nowMs)
    }
  }

  /** Our own alive as it stands now. */
  ownAlive(): Alive {
    const { name: node, addr, port, meta, vsn, incarnation } = this.#local
    return { type: 'alive', incarnation, node, addr, port, meta, vsn, vsnBytes: 6 }
  }

  /** Takes the next incarnation and spreads it; `done` when it was sent often enough or overtaken. */
  announce(nowMs: number, done?: () => void): void {
    const { emit, config } = this.#shared
    this.#incarnation = Math.min(this.#incarnation + 1, U32_MAX)
    const local = this.#local
    const joins = !isUp(local)
    local.incarnation = this.#incarnation
    if (local.state !== 'alive') local.enter('alive', nowMs)
    this.#spread(config.name, this.ownAlive(), done)
    emit({ kind: 'changed', change: joins ? 'join' : 'update', member: local })
  }

  setMeta(meta: Uint8Array): void {
    this.#local.announced = this.#shared.share({ ...this.#local.announced, meta })
  }

  /** From now on we no longer refute; the word spreads by gossip, and `left` follows. */
  leave(nowMs: number): void {
    if (this.#leaving) return
    this.#leaving = true
    const { name } = this.#local
    this.dead({ type: 'dead', incarnation: this.#local.incarnation, node: name, from: name }, nowMs)
  }

  alive(alive: Alive, nowMs: number): void {
    if (this.#isNews(alive.node, alive)) this.#heard(alive, nowMs)
  }

  suspect(suspect: Suspect, nowMs: number): void {
    const member = this.#shared.table.get(suspect.node)
    if (member === undefined || suspect.incarnation < member.incarnation) return
    if (member.state === 'suspect') return this.#confirm(member, suspect, nowMs)
    if (member.state !== 'alive') return
    if (this.isLocal(member)) return this.#refute(suspect.incarnation, nowMs)
    this.#spread(member.name, suspect)
    member.incarnation = suspect.incarnation
    member.enter('suspect', nowMs)
    member.suspicion = new Suspicion(suspect.from, this.#suspicionTimes(), nowMs)
    this.#armSuspicion(member, member.suspicion, nowMs)
    this.#log('info', { member: member.name, from: suspect.from, incarnation: suspect.incarnation }, 'suspected')
  }

  dead(dead: Dead, nowMs: number): void {
    const member = this.#shared.table.get(dead.node)
    if (member === undefined || dead.incarnation < member.incarnation) return
    this.#dropSuspicion(member)
    if (!isUp(member)) return
    if (!this.isLocal(member)) this.#spread(member.name, dead)
    else if (this.#leaving) this.#spread(member.name, dead, () => this.#shared.emit({ kind: 'left' }))
    else return this.#refute(dead.incarnation, nowMs)
    member.incarnation = dead.incarnation
    member.enter(dead.node === dead.from ? 'left' : 'dead', nowMs)
    this.#shared.emit({ kind: 'changed', change: 'leave', member })
  }

  /** One entry of somebody's list. A death is only ever a suspicion here, so that one liar or laggard cannot bury. */
  merge(entry: PushNode, nowMs: number): void {
    const { name: node, incarnation, state } = entry
    if (state === 0) {
      // Nearly all of a list is known: only what is not becomes a message.
      if (this.#isNews(node, entry)) this.#heard({ type: 'alive', node, ...entry }, nowMs)
    } else if (state === 1 || state === 2) {
      this.suspect({ type: 'suspect', incarnation, node, from: this.#local.name }, nowMs)
    } else if (state === 3) this.dead({ type: 'dead', incarnation, node, from: node }, nowMs)
  }

  /** Refused, or what we know already, at the address we have? Then false. */
  #isNews(node: string, alive: Announcement): boolean {
    const { config, table, counters } = this.#shared
    const isSelf = node === config.name
    if (this.#leaving && isSelf) return false
    const known = table.get(node)
    const isOld = known !== undefined && alive.incarnation <= known.incarnation && !isSelf
    if (isOld && isShared(known.announced, alive)) return false
    if (!acceptable(node, alive)) {
      counters.aliveRefused++
      return false
    }
    return !isOld || this.#moves(known.announced, alive)
  }

  #moves(known: Announced, { addr, port }: Announcement): boolean {
    return known.port !== (port === 0 ? this.#shared.config.port : port) || !sameBytes(known.addr, addr)
  }

  #heard(alive: Alive, nowMs: number): void {
    const isSelf = alive.node === this.#local.name
    const known = this.#shared.table.get(alive.node) ?? this.#create(alive, nowMs)
    if (known === undefined) return
    const port = alive.port === 0 ? this.#shared.config.port : alive.port
    const moved = this.#moves(known.announced, alive)
    if (moved && !this.#mayMove(known)) return this.#conflict(known, alive, port)
    if (!moved && !isSelf && alive.incarnation <= known.incarnation) return
    if (isSelf && alive.incarnation < known.incarnation) return
    this.#dropSuspicion(known)
    if (isSelf) this.#aliveAboutUs(alive, nowMs)
    else this.#takeOver(known, alive, port, nowMs)
  }

  #create(alive: Alive, nowMs: number): Entry | undefined {
    const { table, config, counters, share } = this.#shared
    if (table.size >= config.membersMax) return void counters.membersRefused++
    const { node: name, addr, meta, vsn } = alive
    const port = alive.port === 0 ? config.port : alive.port
    const ip = ipTextOf(addr)
    assert(ip !== undefined && vsn !== undefined, 'only acceptable announcements create an entry')
    return table.add(share({ name, addr, ip, port, meta, vsn }), nowMs)
  }

  /**
   * A name goes to another address once the one that has it has failed a probe of ours: a container that comes back elsewhere.
   * (Serf waits until the old one is reaped, a day.) Whoever answers keeps its name, and a thief gets nothing.
   */
  #mayMove(known: Entry): boolean {
    return !this.isLocal(known) && (!isUp(known) || (known.state === 'suspect' && known.isSilent))
  }

  /** The claim is remembered, and the member that has the name is probed next. */
  #conflict(existing: Entry, claim: Alive, port: number): void {
    const { addr } = claim
    if (!this.isLocal(existing)) {
      existing.claim = claim
      this.#shared.contested.add(existing.name)
    }
    this.#shared.emit({ kind: 'conflict', existing, other: { addr, ip: ipTextOf(addr) ?? '', port } })
  }

  #aliveAboutUs(alive: Alive, nowMs: number): void {
    const { incarnation, meta, vsn } = this.#local
    const ours = alive.vsn !== undefined && sameVersions(alive.vsn, vsn) && sameBytes(alive.meta, meta)
    if (alive.incarnation === incarnation && ours) return
    this.#refute(alive.incarnation, nowMs)
  }

  /** It has answered a probe: whoever claims its name is a thief, or a second node of that name. */
  answered(member: Entry): void {
    member.isSilent = false
    member.claim = undefined
    this.#shared.contested.delete(member.name)
  }

  /** It has not: it is suspected, unless somebody at another address has its name now. */
  silent(member: Entry, incarnation: number, nowMs: number): void {
    const { name: node, claim } = member
    member.isSilent = true
    this.suspect({ type: 'suspect', incarnation, node, from: this.#local.name }, nowMs)
    if (claim !== undefined) this.alive(claim, nowMs)
  }

  #takeOver(member: Entry, alive: Alive, port: number, nowMs: number): void {
    this.answered(member)
    const joins = !isUp(member)
    const moves = member.port !== port || !sameBytes(member.addr, alive.addr)
    const updates = moves || !sameBytes(member.meta, alive.meta)
    this.#spread(member.name, alive)
    member.incarnation = alive.incarnation
    this.#adopt(member, alive, port)
    if (member.state !== 'alive') member.enter('alive', nowMs)
    if (joins || updates) this.#shared.emit({ kind: 'changed', change: joins ? 'join' : 'update', member })
  }

  #adopt(member: Entry, { addr, meta, vsn = member.vsn }: Alive, port: number): void {
    const { announced } = member
    if (announced.addr === addr && announced.port === port && announced.meta === meta && announced.vsn === vsn) return
    const ip = ipTextOf(addr) ?? announced.ip
    member.announced = this.#shared.share({ name: announced.name, addr, ip, port, meta, vsn })
  }

  #refute(accused: number, nowMs: number): void {
    this.#shared.counters.refutations++
    this.#shared.awareness.apply(1)
    this.#incarnation = Math.max(this.#incarnation, Math.min(accused, U32_MAX - 1))
    this.#incarnation = Math.min(this.#incarnation + 1, U32_MAX)
    const local = this.#local
    local.incarnation = this.#incarnation
    if (local.state !== 'alive') local.enter('alive', nowMs)
    this.#spread(local.name, this.ownAlive())
    this.#log('info', { accused, incarnation: this.#incarnation }, 'refuted')
  }

  #confirm(member: Entry, suspect: Suspect, nowMs: number): void {
    const { suspicion } = member
    if (suspicion === undefined || !suspicion.confirm(suspect.from)) return
    this.#spread(suspect.node, suspect)
    this.#armSuspicion(member, suspicion, nowMs)
  }

  /**
   * Arms the suspicion's alarm, or moves it when it has been confirmed: at once when the shortened time has passed already,
   * but never into the past, which would look as if we had been suspended since then.
   */
  #armSuspicion(member: Entry, suspicion: Suspicion, nowMs: number): void {
    this.#shared.alarms.cancel(suspicion.alarm)
    suspicion.alarm = this.#shared.alarms.set(Math.max(nowMs, suspicion.dueMs()), atMs => {
      if (member.state !== 'suspect') return
      const afterMs = Math.round(atMs - suspicion.startedAtMs)
      this.#log('info', { member: member.name, afterMs }, 'did not refute: dead')
      const { incarnation, name: node } = member
      this.dead({ type: 'dead', incarnation, node, from: this.#local.name }, atMs)
    })
  }

  #suspicionTimes(): SuspicionTimes {
    const { table, config } = this.#shared
    if (this.#times?.members === table.size) return this.#times.times
    const times = suspicionTimes(table.size, config)
    this.#times = { members: table.size, times }
    return times
  }

  #dropSuspicion(member: Entry): void {
    if (member.suspicion === undefined) return
    this.#shared.alarms.cancel(member.suspicion.alarm)
    member.suspicion = undefined
  }

  #spread(key: string, message: PacketMessage, done?: () => void): void {
    this.#shared.queue.add({ key, message: this.#shared.encode(message), done })
  }

  #log(level: 'info' | 'warn', fields: Record<string, unknown>, sentence: string): void {
    this.#shared.emit({ kind: 'log', level, fields, sentence })
  }
}
