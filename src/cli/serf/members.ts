import { formatAddress } from '../../base/index.ts'
import type { SerfMember } from '../../serf/index.ts'
import { orSay, withAgent } from './connect.ts'
import { type Console, flagsOf, type SerfCommand, say } from './console.ts'
import { columns, jsonText, sortedRecord } from './go-text.ts'
import { printFormatted } from './print-formatted.ts'
import { tagPairs } from './tag-pairs.ts'

const FLAGS = { detailed: 'boolean', format: 'text', name: 'text', role: 'text', status: 'text', tag: 'list' } as const

export const members: SerfCommand = async (args, console) => {
  const parsed = flagsOf(console, 'members', FLAGS, args)
  if (parsed === undefined) return 1
  const { flags } = parsed
  const tags = filterTags(console, flags.tag ?? [], flags.role ?? '')
  if (tags === undefined) return 1
  const filter = { name: flags.name ?? '', status: flags.status ?? '', tags }
  return withAgent(console, flags, client =>
    orSay(console, 'Error retrieving members', async () => {
      const list = await client.members(filter)
      return printFormatted(console, flags.format ?? 'text', {
        json: () => jsonText({ members: list.length === 0 ? null : list.map(memberJson) }),
        text: () => columns(list.map(member => memberLine(member, flags.detailed === true))),
      })
    }),
  )
}

function filterTags(console: Console, texts: readonly string[], role: string): Record<string, string> | undefined {
  const tags = tagPairs(console, texts)
  if (tags === undefined || role === '') return tags
  say(console, "Deprecation warning: 'Role' has been replaced with 'Tags'")
  return { ...tags, role }
}

function memberLine(member: SerfMember, isDetailed: boolean): string {
  const tags = Object.entries(member.tags).map(([key, value]) => `${key}=${value}`)
  const line = `${member.name}|${formatAddress(member)}|${member.status}|${tags.join(',')}`
  if (!isDetailed) return line
  const range = `[${member.delegateMin}, ${member.delegateMax}]`
  return `${line}|Protocol Version: ${member.delegateCur}|Available Protocol Range: ${range}`
}

function memberJson(member: SerfMember) {
  const { name, port, status } = member
  const protocol = { max: member.delegateMax, min: member.delegateMin, version: member.delegateCur }
  return { name, addr: formatAddress(member), port, tags: sortedRecord(member.tags), status, protocol }
}
