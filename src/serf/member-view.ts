import { MEMBER_EVENT_KINDS, type MemberEvent, type MemberEventKind } from './events.ts'
import type { SerfMember } from './member.ts'

/**
 * Members as another agent tells them: a list that can be read at any time, and events that come later, in batches, and not
 * while the connection is away. It knows what listeners have been told, so that each hears of each change once.
 */
export class MemberView {
  #members = new Map<string, SerfMember>()
  readonly #told = new Map<string, SerfMember>()

  get(name: string): SerfMember | undefined {
    return this.#members.get(name)
  }

  all(): SerfMember[] {
    return [...this.#members.values()]
  }

  /** A list that was read. Records that are as they were are kept. @returns whether anything differs */
  update(list: readonly SerfMember[]): boolean {
    const next = new Map(list.map(member => [member.name, this.#kept(member)]))
    const differs =
      next.size !== this.#members.size || list.some(({ name }) => next.get(name) !== this.#members.get(name))
    this.#members = next
    return differs
  }

  /** An event that came: what of it is news. */
  heard(event: { readonly kind: string; readonly members: readonly SerfMember[] }): MemberEvent[] {
    if (!isMemberKind(event.kind)) return []
    const { kind } = event
    const members = event.members.filter(member => this.#isNews(kind, member))
    for (const member of members) {
      if (kind === 'member-reap') this.#told.delete(member.name)
      else this.#told.set(member.name, member)
    }
    return members.length === 0 ? [] : [{ kind, members }]
  }

  /** What has happened without an event: while nobody listened, or before. */
  untold(): MemberEvent[] {
    const events = new Map<MemberEventKind, SerfMember[]>()
    const add = (kind: MemberEventKind, member: SerfMember) => events.set(kind, [...(events.get(kind) ?? []), member])
    for (const member of this.#members.values()) {
      const kind = changeOf(this.#told.get(member.name), member)
      if (kind !== undefined) add(kind, member)
      this.#told.set(member.name, member)
    }
    for (const [name, member] of this.#told) {
      if (this.#members.has(name)) continue
      add('member-reap', member)
      this.#told.delete(name)
    }
    return [...events].map(([kind, members]) => ({ kind, members }))
  }

  #kept(member: SerfMember): SerfMember {
    const known = this.#members.get(member.name)
    return known !== undefined && fingerprint(known) === fingerprint(member) ? known : member
  }

  #isNews(kind: MemberEventKind, member: SerfMember): boolean {
    const told = this.#told.get(member.name)
    if (told === undefined) return true
    if (kind === 'member-join') return told.status === 'left' || told.status === 'failed'
    if (kind === 'member-leave') return told.status !== 'left'
    if (kind === 'member-failed') return told.status !== 'failed'
    return kind === 'member-reap' || fingerprint(told) !== fingerprint(member)
  }
}

/** What Serf would have made of it. */
function changeOf(told: SerfMember | undefined, now: SerfMember): MemberEventKind | undefined {
  if (now.status === 'failed') return told?.status === 'failed' ? undefined : 'member-failed'
  if (now.status === 'left') return told?.status === 'left' ? undefined : 'member-leave'
  if (told === undefined || told.status === 'failed' || told.status === 'left') return 'member-join'
  return fingerprint({ ...told, status: 'alive' }) === fingerprint({ ...now, status: 'alive' })
    ? undefined
    : 'member-update'
}

function fingerprint({ name, ip, port, status, tags }: SerfMember): string {
  const sorted = Object.entries(tags).sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([name, ip, port, status, sorted])
}

function isMemberKind(kind: string): kind is MemberEventKind {
  return (MEMBER_EVENT_KINDS as readonly string[]).includes(kind)
}
