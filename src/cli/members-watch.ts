import { formatAddress, systemClock } from '../base/index.ts'
import type { MembersFilter, SerfMember } from '../serf/index.ts'
import { memberRecord, membersJson, membersText, tagsText } from './members-text.ts'
import { formatOf, interrupted, type OutputOptions, print, printJson } from './output.ts'
import { type RpcOptions, withRpc } from './rpc.ts'
import { printable } from './table.ts'

export interface WatchOptions extends RpcOptions, OutputOptions {
  readonly detailed?: boolean
}

const MEMBER_EVENTS = 'member-join,member-leave,member-failed,member-update,member-reap'

/**
 * The members now, then whenever one changes, until Ctrl-C: redrawn on a terminal, elsewhere a line per change, in JSON a
 * record a line. An event of Serf's only says "look again", so that filters count and nothing is missed.
 */
export async function watchMembers(options: WatchOptions, filter: MembersFilter): Promise<void> {
  const quitting = interrupted()
  const screen = screenFor(options)
  await withRpc(options, async client => {
    const events = await client.events(MEMBER_EVENTS, quitting) // before the first look, so that no change falls between
    let last = await client.members(filter)
    screen.first(last)
    for await (const _event of events) {
      const next = await client.members(filter)
      screen.changed(next, changesBetween(last, next))
      last = next
    }
  })
}

export interface MemberChange {
  readonly change: 'joined' | 'updated' | 'gone' | SerfMember['status']
  readonly member: SerfMember
}

/** What is different: who is new, who has another status, address or other tags, who is no longer listed. */
export function changesBetween(before: readonly SerfMember[], after: readonly SerfMember[]): MemberChange[] {
  const known = new Map(before.map(member => [member.name, member]))
  const changes: MemberChange[] = []
  for (const member of after) {
    const old = known.get(member.name)
    known.delete(member.name)
    if (old === undefined) changes.push({ change: 'joined', member })
    else if (old.status !== member.status) changes.push({ change: member.status, member })
    else if (describe(old) !== describe(member)) changes.push({ change: 'updated', member })
  }
  return [...changes, ...Array.from(known.values(), member => ({ change: 'gone' as const, member }))]
}

function describe(member: SerfMember): string {
  return `${formatAddress(member)}  ${tagsText(member.tags)}`
}

/** `2026-11-21T09:34:47Z  n2  failed  10.0.0.2:7946  role=db` */
export function changeLine({ change, member }: MemberChange, wallMs: number): string {
  const when = `${new Date(wallMs).toISOString().slice(0, 19)}Z`
  return printable(`${when}  ${member.name}  ${change}  ${describe(member)}`).trimEnd()
}

interface Screen {
  first(members: readonly SerfMember[]): void
  changed(members: readonly SerfMember[], changes: readonly MemberChange[]): void
}

function screenFor(options: WatchOptions): Screen {
  const table = (members: readonly SerfMember[]) => membersText(members, options.detailed === true)
  if (formatOf(options) === 'json') {
    return {
      first: members => print(membersJson(members, 0)),
      changed: (_members, changes) => {
        for (const { change, member } of changes) printJson({ change, member: memberRecord(member) }, 'compact')
      },
    }
  }
  if (process.stdout.isTTY !== true) {
    return {
      first: members => print(table(members)),
      changed: (_members, changes) => {
        for (const change of changes) print(changeLine(change, systemClock.wallMs()))
      },
    }
  }
  const draw = (members: readonly SerfMember[]) => print(`${CLEAR}${table(members)}\n\nCtrl-C ends`)
  return { first: draw, changed: draw }
}

/** The cursor to the upper left, and everything from there on away. */
const CLEAR = '\u001b[H\u001b[J'
