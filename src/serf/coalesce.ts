import type { Clock, Timer } from '../base/index.ts'
import type { MemberEvent, MemberEventKind, SerfEvent, UserEvent } from './events.ts'
import type { SerfMember } from './member.ts'

export interface CoalesceOptions {
  /** At the latest this long after the first event a batch is passed on. Default 3000. */
  readonly periodMs?: number
  /** As soon as nothing came for this long. Default 1000. */
  readonly quiescentMs?: number
  /**
   * Every member event is passed on, in the order in which they came; only neighbours of one kind share a batch. Serf keeps the
   * latest of each member, so that who failed and came back within a second has done neither (serf#393, #465). Default false.
   */
  readonly keepsAll?: boolean
}

export interface Coalescer {
  (event: SerfEvent): void
  /** Passes on what is held back, and cancels the timers. */
  flush(): void
}

/**
 * A listener that hands `listener` member events, and user events that may be coalesced, in batches as Serf's agent does: per
 * member the latest event, one event per kind; per name the newest user event. Queries and other events pass at once.
 * Unlike Serf's, an update is sent once, not again with every later batch.
 */
export function coalesceEvents(
  listener: (event: SerfEvent) => void,
  clock: Clock,
  options: CoalesceOptions = {},
): Coalescer {
  const members = options.keepsAll === true ? new MemberSequence() : new MemberBatch()
  const users = new UserBatch()
  const memberTimers = new FlushTimers(clock, options, () => members.take().forEach(listener))
  const userTimers = new FlushTimers(clock, options, () => users.take().forEach(listener))
  const coalescer = (event: SerfEvent): void => {
    if (isMemberEvent(event)) {
      members.add(event)
      memberTimers.touch()
    } else if (event.kind === 'user' && event.coalesce) {
      users.add(event)
      userTimers.touch()
    } else listener(event)
  }
  return Object.assign(coalescer, {
    flush: () => {
      memberTimers.flush()
      userTimers.flush()
    },
  })
}

export function isMemberEvent(event: SerfEvent): event is MemberEvent {
  return event.kind.startsWith('member-')
}

/** Flushes when the period ends or nothing has come for the quiescent time, whichever is first. */
class FlushTimers {
  readonly #clock: Clock
  readonly #periodMs: number
  readonly #quiescentMs: number
  readonly #onFlush: () => void
  #period: Timer | undefined
  #quiescent: Timer | undefined

  constructor(clock: Clock, options: CoalesceOptions, onFlush: () => void) {
    this.#clock = clock
    this.#periodMs = options.periodMs ?? 3000
    this.#quiescentMs = options.quiescentMs ?? 1000
    this.#onFlush = onFlush
  }

  touch(): void {
    this.#period ??= this.#clock.after(this.#periodMs, () => this.flush())
    this.#quiescent?.cancel()
    this.#quiescent = this.#clock.after(this.#quiescentMs, () => this.flush())
  }

  flush(): void {
    this.#period?.cancel()
    this.#quiescent?.cancel()
    this.#period = undefined
    this.#quiescent = undefined
    this.#onFlush()
  }
}

class MemberBatch {
  readonly #latest = new Map<string, { kind: MemberEventKind; member: SerfMember }>()
  /** What was last told about each member, to leave repetitions out; forgotten with the member. */
  readonly #told = new Map<string, MemberEventKind>()

  add(event: MemberEvent): void {
    for (const member of event.members) this.#latest.set(member.name, { kind: event.kind, member })
  }

  take(): MemberEvent[] {
    const byKind = new Map<MemberEventKind, SerfMember[]>()
    for (const [name, { kind, member }] of this.#latest) {
      if (kind !== 'member-update' && this.#told.get(name) === kind) continue
      if (kind === 'member-reap') this.#told.delete(name)
      else this.#told.set(name, kind)
      byKind.set(kind, [...(byKind.get(kind) ?? []), member])
    }
    this.#latest.clear()
    return [...byKind].map(([kind, members]) => ({ kind, members }))
  }
}

/** Everything, in order. */
class MemberSequence {
  #events: { readonly kind: MemberEventKind; readonly members: Map<string, SerfMember> }[] = []

  add(event: MemberEvent): void {
    for (const member of event.members) {
      const last = this.#events.at(-1)
      if (last?.kind === event.kind && !last.members.has(member.name)) last.members.set(member.name, member)
      else this.#events.push({ kind: event.kind, members: new Map([[member.name, member]]) })
    }
  }

  take(): MemberEvent[] {
    const events = this.#events
    this.#events = []
    return events.map(({ kind, members }) => ({ kind, members: [...members.values()] }))
  }
}

class UserBatch {
  readonly #newest = new Map<string, UserEvent[]>()

  add(event: UserEvent): void {
    const known = this.#newest.get(event.name) ?? []
    const newest = known[0]?.ltime ?? -1
    if (event.ltime > newest) this.#newest.set(event.name, [event])
    else if (event.ltime === newest) known.push(event)
  }

  take(): UserEvent[] {
    const events = [...this.#newest.values()].flat()
    this.#newest.clear()
    return events
  }
}
