import type { Member } from '../memberlist/index.ts'
import type { Tags } from '../serf/index.ts'
import type { SimulatedMember } from './simulated-member.ts'
import type { SimulatedSerf } from './simulated-serf.ts'

/** What all have to agree about. */
export interface Expected {
  /** Those who run and do not mean to leave. */
  readonly present: readonly SimulatedMember[]
  /** Those who run no more, and whether they left on purpose. */
  readonly gone: ReadonlyMap<string, 'left' | 'failed'>
  /** User events, and who ran when each was sent. */
  readonly events: readonly { readonly name: string; readonly audience: WeakSet<SimulatedMember> }[]
}

/** Something that this one sees otherwise than it is, for people; undefined: nothing. */
export function discordOf(observer: SimulatedMember, expected: Expected): string | undefined {
  return (
    membersDiscord(observer, expected.present) ?? serfDiscord(observer, expected) ?? eventsDiscord(observer, expected)
  )
}

/** memberlist: exactly those are alive that run and have not left, with their newest meta. */
function membersDiscord({ name: observer, swim }: SimulatedMember, present: Expected['present']): string | undefined {
  for (const { name, swim: subject } of present) {
    const seen = swim.member(name)
    if (seen?.state !== 'alive') return `${observer} sees ${name} as ${seen?.state ?? 'unknown'}`
    if (!sameMeta(seen, subject.local)) return `${observer} sees an old meta of ${name}`
  }
  const aliveCount = swim.aliveCount()
  return aliveCount === present.length ? undefined : `${observer} sees ${aliveCount} alive of ${present.length}`
}

/**
 * Serf: those present are alive with their tags, those gone have left or failed as they did (whoever started after them need
 * not know them), and no status is from a later time than the observer's own clock.
 */
function serfDiscord({ name: observer, serf }: SimulatedMember, { present, gone }: Expected): string | undefined {
  if (serf === undefined) return undefined
  for (const { name, serf: subject } of present) {
    const seen = serf.core.member(name)
    if (seen?.status !== 'alive') return `${observer}'s Serf sees ${name} as ${seen?.status ?? 'unknown'}`
    if (!sameTags(seen.tags, subject?.core.member(name)?.tags ?? {}))
      return `${observer}'s Serf sees old tags of ${name}`
    if (seen.statusLTime >= serf.core.clock.time()) return `${observer}'s clock is behind its status of ${name}`
  }
  for (const [name, how] of gone) {
    const status = serf.core.member(name)?.status ?? how
    if (status !== how && !isGhost(serf, name, status))
      return `${observer}'s Serf sees ${name} as ${status}, not ${how}`
  }
  return undefined
}

/**
 * A weakness of memberlist that we share: half a minute after a member left, its entry is forgotten, and a laggard who has not
 * heard of it brings it back with a push/pull. It is found dead then, and Serf takes who comes back and dies for failed.
 */
function isGhost(serf: SimulatedSerf, name: string, status: string): boolean {
  return status === 'failed' && serf.sawLeave.has(name)
}

/** Each event once, to everybody who ran when it was sent; never twice to anybody. */
function eventsDiscord(observer: SimulatedMember, { events }: Expected): string | undefined {
  for (const { name, audience } of events) {
    const times = observer.serf?.delivered.get(name) ?? 0
    if (times > 1 || (times < 1 && audience.has(observer))) return `${observer.name} got ${name} ${times} times`
  }
  return undefined
}

function sameMeta(a: Member, b: Member): boolean {
  return a.meta === b.meta || Buffer.compare(a.meta, b.meta) === 0
}

function sameTags(a: Tags, b: Tags): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every(name => a[name] === b[name])
}
