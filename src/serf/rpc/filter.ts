import type { SerfMember } from '../member.ts'
import { LinearRegex } from '../regex.ts'
import type { MembersFilteredRequest } from './session.ts'

/**
 * The members that a `members-filtered` request asks for. Each expression E is compiled as `^E$` without grouping, as Serf
 * does, so that `a|b` means "starts with a, or ends with b" (serf-rpc 4.5). A missing tag counts as empty.
 * @throws ExpressionRefusedError
 */
export function filterMembers(
  members: readonly SerfMember[],
  wanted: Pick<MembersFilteredRequest, 'name' | 'status' | 'tags'>,
): SerfMember[] {
  const name = wanted.name === '' ? undefined : anchored(wanted.name)
  const status = wanted.status === '' ? undefined : anchored(wanted.status)
  const tags = Array.from(wanted.tags, ([key, expression]) => ({ key, expression: anchored(expression) }))
  return members.filter(
    member =>
      (name?.test(member.name) ?? true) &&
      (status?.test(member.status) ?? true) &&
      tags.every(tag => tag.expression.test(tagOf(member, tag.key))),
  )
}

/** Flags go in front of the anchor: there is where the expression reader looks for them. */
function anchored(expression: string): LinearRegex {
  const flags = expression.startsWith(IGNORE_CASE) ? IGNORE_CASE : ''
  return new LinearRegex(`${flags}^${expression.slice(flags.length)}$`)
}

const IGNORE_CASE = '(?i)'

function tagOf(member: SerfMember, key: string): string {
  return Object.hasOwn(member.tags, key) ? (member.tags[key] ?? '') : ''
}
