import type { MembersFilter, RpcClient } from '../serf/index.ts'
import { membersJson, membersText } from './members-text.ts'
import { formatOf, type OutputOptions, print, tell } from './output.ts'
import { type RpcOptions, withRpc } from './rpc.ts'
import { tagsFrom } from './tag-options.ts'

export interface MembersOptions extends RpcOptions, OutputOptions {
  readonly name?: string
  readonly status?: string
  readonly role?: string
  readonly tag?: readonly string[]
  readonly detailed?: boolean
  readonly watch?: boolean
}

/** Prints the members that an agent knows, in Serf's columns or Serf's JSON. */
export async function runMembers(options: MembersOptions): Promise<void> {
  const format = formatOf(options)
  const filter = filterFrom(options)
  if (options.watch === true) return (await import('./members-watch.ts')).watchMembers(options, filter)
  const members = await withRpc(options, (client: RpcClient) => client.members(filter))
  if (format === 'json') print(membersJson(members))
  else if (members.length > 0) print(membersText(members, options.detailed === true))
  else tell('No member matches')
}

function filterFrom(options: MembersOptions): MembersFilter {
  const tags = { ...tagsFrom(options.tag ?? []), ...(options.role === undefined ? {} : { role: options.role }) }
  const { name, status } = options
  return { ...(name === undefined ? {} : { name }), ...(status === undefined ? {} : { status }), tags }
}
