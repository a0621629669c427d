import type { RpcClient, SerfMember } from '../serf/index.ts'
import { type RpcOptions, withRpc } from './rpc.ts'
import { formatTable, printable } from './table.ts'
import { UsageError } from './usage-error.ts'
import { formatAddress } from '../base/index.ts'

export interface MembersOptions extends RpcOptions {
  readonly name?: string
  readonly status?: string
  readonly role?: string
  readonly tag?: readonly string[]
  readonly detailed?: boolean
  readonly format?: string
  readonly output?: string
}

/** Prints the members that an agent knows, in Serf's columns or Serf's JSON (serf-agent.md 10.8). */
export async function runMembers(options: MembersOptions): Promise<void> {
  const format = options.output ?? options.format ?? 'text'
  if (format !== 'text' && format !== 'json') throw new UsageError(`Encoding error: Invalid output format "${format}"`)
  const filter = filterFrom(options)
  const members = await withRpc(options, (client: RpcClient) => client.members(filter))
  process.stdout.write(
    `${format === 'json' ? membersJson(members) : membersText(members, options.detailed === true)}\n`,
  )
}

function filterFrom(options: MembersOptions) {
  const tags: Record<string, string> = options.role === undefined ? {} : { role: options.role }
  for (const text of options.tag ?? []) {
    const split = text.indexOf('=')
    if (split <= 0) throw new UsageError(`Error: Invalid tag: '${text}'`)
    tags[text.slice(0, split)] = text.slice(split + 1)
  }
  const { name, status } = options
  return { ...(name === undefined ? {} : { name }), ...(status === undefined ? {} : { status }), tags }
}

/** Sorted by name, where Serf's order is random. */
export function membersText(members: readonly SerfMember[], detailed: boolean): string {
  const rows = [...members].sort(byName).map(member => {
    const tags = Object.entries(member.tags)
      .map(([key, value]) => `${key}=${value}`)
      .sort()
      .join(',')
    const row = [member.name, formatAddress(member), member.status, tags]
    const range = `[${member.delegateMin}, ${member.delegateMax}]`
    return detailed ? [...row, `Protocol Version: ${member.delegateCur}`, `Available Protocol Range: ${range}`] : row
  })
  return formatTable(rows).trim()
}

export function membersJson(members: readonly SerfMember[]): string {
  const list = [...members].sort(byName).map(member => ({
    name: printable(member.name),
    addr: formatAddress(member),
    port: member.port,
    tags: Object.fromEntries(Object.entries(member.tags).sort(([a], [b]) => (a < b ? -1 : 1))),
    status: member.status,
    protocol: { max: member.delegateMax, min: member.delegateMin, version: member.delegateCur },
  }))
  return JSON.stringify({ members: list.length === 0 ? null : list }, undefined, 2)
}

function byName(left: SerfMember, right: SerfMember): number {
  return left.name < right.name ? -1 : 1
}
