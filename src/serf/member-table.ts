import { formatAddress, type Random } from '../base/index.ts'
import type { Member } from '../memberlist/index.ts'
import { type SerfEffect, warned } from './effects.ts'
import type { MemberEventKind } from './events.ts'
import { FlapDamper } from './flaps.ts'
import { IntentBuffer } from './intents.ts'
import type { LTime } from './lamport.ts'
import { type MemberStatus, type SerfMember, versionFields } from './member.ts'
import { decodeTags } from './tags.ts'

export interface TableTiming {
  /** A failed member is tried again, and forgotten after this long. */
  readonly reconnectTimeoutMs: number
  /** A member that left is forgotten after this long. */
  readonly tombstoneTimeoutMs: number
  /** A prune of a member that is leaving waits this long, so that its leave is done first. */
  readonly pruneDelayMs: number
}

const INTENT_TIMEOUT_MS = 5 * 60_000

/** What an intent led to. */
export interface IntentOutcome {
  readonly effects: SerfEffect[]
  readonly rebroadcast: boolean
  /** It said that we leave, and we do not. */
  readonly refute?: boolean
}

/** Members and their statuses as in Serf 0.10: memberlist says who is there, intents say who means to go. */
export class MemberTable {
  readonly #self: string
  readonly #timing: TableTiming
  readonly #intents = new IntentBuffer()
  readonly #members = new Map<string, SerfMember>()
  /** Those of them with that status: asked for with every packet. */
  readonly #failed = new Map<string, SerfMember>()
  readonly #prunes = new Map<string, number>()
  readonly #damper = new FlapDamper()
  /** Members that flap and are back: when they count as back. */
  readonly #held = new Map<string, number>()

  constructor(self: string, timing: TableTiming) {
    this.#self = self
    this.#timing = timing
  }

  get(name: string): SerfMember | undefined {
    return this.#members.get(name)
  }

  all(): SerfMember[] {
    return [...this.#members.values()]
  }

  get size(): number {
    return this.#members.size
  }

  count(status: MemberStatus): number {
    let n = 0
    for (const member of this.#members.values()) if (member.status === status) n++
    return n
  }

  hasOtherAlive(): boolean {
    return this.#some(member => member.status === 'alive' && member.name !== this.#self)
  }

  hasFailed(): boolean {
    return this.#failed.size > 0
  }

  /** memberlist's word on who is there. */
  changed(change: 'join' | 'leave' | 'update', from: Member, nowMs: number): SerfEffect[] {
    if (change === 'join') return this.#joined(from, nowMs)
    const known = this.#members.get(from.name)
    if (known === undefined) return []
    if (change === 'leave') return this.#held.has(known.name) ? this.#goneAgain(known, nowMs) : this.#gone(known, nowMs)
    return this.#updated(known, from)
  }

  joinIntent(node: string, ltime: LTime, nowMs: number): IntentOutcome {
    const member = this.#members.get(node)
    if (member === undefined) return { effects: [], rebroadcast: this.#intents.add(node, 'join', ltime, nowMs) }
    if (ltime <= member.statusLTime) return { effects: [], rebroadcast: false }
    if (member.status !== 'leaving') {
      this.#set(member, { statusLTime: ltime })
      return { effects: [], rebroadcast: true }
    }
    const stays = this.#set(member, { statusLTime: ltime, status: 'alive' })
    return { effects: [{ kind: 'intent', member: stays }], rebroadcast: true }
  }

  /** @param running whether we ourselves are neither leaving nor gone: then a leave about us is refuted */
  leaveIntent(node: string, ltime: LTime, prune: boolean, running: boolean, nowMs: number): IntentOutcome {
    const member = this.#members.get(node)
    if (member === undefined) return { effects: [], rebroadcast: this.#intents.add(node, 'leave', ltime, nowMs) }
    // Serf lets a leave of the same time as our own join pass in silence, and we stay `leaving` wherever it came first.
    const refute = node === this.#self && running && ltime >= member.statusLTime
    if (refute) return { effects: [], rebroadcast: false, refute }
    if (ltime <= member.statusLTime) return { effects: [], rebroadcast: false }
    const effects = this.#leaving(this.#set(member, { statusLTime: ltime }))
    if (prune) effects.push(...this.#prune(node, nowMs))
    return { effects, rebroadcast: true }
  }

  /** Forgets who has been gone for long, and what was to be pruned once it had left. */
  reap(nowMs: number): SerfEffect[] {
    this.#intents.expire(nowMs - INTENT_TIMEOUT_MS)
    const effects: SerfEffect[] = []
    for (const member of this.#members.values()) {
      const keptMs = member.status === 'failed' ? this.#timing.reconnectTimeoutMs : this.#timing.tombstoneTimeoutMs
      const isGone = member.status === 'failed' || member.status === 'left'
      if (isGone && nowMs - member.leftAtMs > keptMs) effects.push(...this.#erase(member))
      else if (member.flaps !== undefined) this.#calm(member, nowMs)
    }
    return effects
  }

  /** Prunes that waited for a leave to finish. A member that refuted meanwhile stays (Serf would forget it for good). */
  prunesDue(nowMs: number): SerfEffect[] {
    const effects: SerfEffect[] = []
    for (const [name, dueMs] of this.#prunes) {
      if (dueMs > nowMs) continue
      this.#prunes.delete(name)
      const member = this.#members.get(name)
      if (member !== undefined && member.status !== 'alive') effects.push(...this.#erase(member))
    }
    return effects
  }

  /** Members that flapped and have stayed long enough: they count as back. */
  releasesDue(nowMs: number): SerfEffect[] {
    const effects: SerfEffect[] = []
    for (const [name, dueMs] of this.#held) {
      if (dueMs > nowMs) continue
      this.#held.delete(name)
      const member = this.#members.get(name)
      if (member?.status === 'failed')
        effects.push(said('member-join', this.#set(member, { status: 'alive', leftAtMs: 0, held: false })))
    }
    return effects
  }

  nextReleaseMs(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.#held.values())
  }

  nextPruneMs(): number | undefined {
    return this.#prunes.size === 0 ? undefined : Math.min(...this.#prunes.values())
  }

  /** One failed member to try again, with a chance that falls as fewer have failed, so that a big ring does not storm. */
  reconnect(random: Random): SerfEffect[] {
    const failed = this.#away()
    if (failed.length === 0) return []
    const rest = Math.max(1, this.size - failed.length - this.count('left'))
    if (random.float() > failed.length / rest) return []
    const member = failed[random.below(failed.length)] as SerfMember
    return [{ kind: 'reconnect', address: `${member.name}/${formatAddress(member)}` }]
  }

  /**
   * One failed member to be pinged, in turn. Serf knows only `reconnect`, which finds a balancer that came back empty after
   * 12 to 54 s; a ping is so cheap that each second has room for one.
   */
  greet(round: number): SerfEffect[] {
    const failed = this.#away()
    const member = failed[round % Math.max(1, failed.length)]
    return member === undefined ? [] : [{ kind: 'greet', node: member.name, to: { ip: member.ip, port: member.port } }]
  }

  /** Failed, and not merely held back. */
  #away(): SerfMember[] {
    return [...this.#failed.values()].filter(member => member.held !== true)
  }

  #some(wanted: (member: SerfMember) => boolean): boolean {
    for (const member of this.#members.values()) if (wanted(member)) return true
    return false
  }

  #joined(from: Member, nowMs: number): SerfEffect[] {
    const known = this.#members.get(from.name)
    const holdMs = known?.status === 'failed' ? this.#damper.holdMs(from.name, nowMs) : 0
    if (known !== undefined && holdMs > 0) return this.#hold(known, from, nowMs + holdMs, nowMs)
    const intent = known === undefined ? this.#intents.get(from.name) : undefined
    const { fields, effects } = fieldsOf(from)
    const member: SerfMember = {
      ...fields,
      status: intent?.kind === 'leave' ? 'leaving' : 'alive',
      statusLTime: known?.statusLTime ?? intent?.ltime ?? 0,
      leftAtMs: 0,
    }
    this.#put(member)
    return [...effects, said('member-join', member)]
  }

  #gone(known: SerfMember, nowMs: number): SerfEffect[] {
    if (known.status === 'leaving') return [said('member-leave', this.#set(known, { status: 'left', leftAtMs: nowMs }))]
    if (known.status !== 'alive') return []
    this.#damper.failed(known.name, nowMs)
    return [
      said('member-failed', this.#set(known, { status: 'failed', leftAtMs: nowMs, ...this.#flaps(known.name, nowMs) })),
    ]
  }

  #flaps(name: string, nowMs: number): Pick<SerfMember, 'flaps'> {
    const flaps = Math.floor(this.#damper.penalty(name, nowMs))
    return flaps > 1 ? { flaps } : {}
  }

  /** What a member did a while ago is forgotten. */
  #calm(member: SerfMember, nowMs: number): void {
    const { flaps: _, ...calm } = member
    if (member.held !== true) this.#put({ ...calm, ...this.#flaps(member.name, nowMs) })
  }

  /** It is back, and has come and gone too often: it stays failed, quietly, until it has stayed. */
  #hold(known: SerfMember, from: Member, untilMs: number, nowMs: number): SerfEffect[] {
    this.#held.set(known.name, untilMs)
    const { fields, effects } = fieldsOf(from)
    const member = this.#set(known, { ...fields, held: true, ...this.#flaps(known.name, nowMs) })
    const forMs = Math.round(untilMs - nowMs)
    const held = warned('a member flaps; its return is held back', { member: member.name, forMs, flaps: member.flaps })
    return [...effects, held, { kind: 'intent', member }]
  }

  #goneAgain(known: SerfMember, nowMs: number): SerfEffect[] {
    this.#held.delete(known.name)
    this.#damper.failed(known.name, nowMs)
    return [
      { kind: 'intent', member: this.#set(known, { leftAtMs: nowMs, held: false, ...this.#flaps(known.name, nowMs) }) },
    ]
  }

  #updated(known: SerfMember, from: Member): SerfEffect[] {
    const { fields, effects } = fieldsOf(from)
    const member = this.#set(known, fields)
    return [...effects, member.held === true ? { kind: 'intent', member } : said('member-update', member)]
  }

  #leaving(member: SerfMember): SerfEffect[] {
    if (member.status === 'alive') return [{ kind: 'intent', member: this.#set(member, { status: 'leaving' }) }]
    if (member.status !== 'failed') return []
    return [said('member-leave', this.#set(member, { status: 'left' }))]
  }

  #prune(name: string, nowMs: number): SerfEffect[] {
    const member = this.#members.get(name)
    if (member === undefined) return []
    if (member.status !== 'leaving') return this.#erase(member)
    this.#prunes.set(name, nowMs + this.#timing.pruneDelayMs)
    return []
  }

  #erase(member: SerfMember): SerfEffect[] {
    this.#members.delete(member.name)
    this.#failed.delete(member.name)
    this.#held.delete(member.name)
    this.#damper.forget(member.name)
    return [said('member-reap', member)]
  }

  #set(member: SerfMember, change: Partial<SerfMember>): SerfMember {
    const next = { ...member, ...change }
    this.#put(next)
    return next
  }

  #put(member: SerfMember): void {
    this.#members.set(member.name, member)
    if (member.status === 'failed') this.#failed.set(member.name, member)
    else this.#failed.delete(member.name)
  }
}

function said(kind: MemberEventKind, member: SerfMember): SerfEffect {
  return { kind: 'event', event: { kind, members: [member] } }
}

function fieldsOf(from: Member) {
  const { tags, sound } = decodeTags(from.meta)
  const fields = { name: from.name, addr: from.addr, ip: from.ip, port: from.port, tags, ...versionFields(from.vsn) }
  return { fields, effects: sound ? [] : [warned('tags of a member are malformed', { member: from.name })] }
}
