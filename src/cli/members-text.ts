import { formatAddress } from '../base/index.ts'
import type { SerfMember } from '../serf/index.ts'
import { hasColour } from './output.ts'
import { formatTable, printable } from './table.ts'

/** Sorted by name, where Serf's order is random. */
export function membersText(members: readonly SerfMember[], detailed: boolean): string {
  const rows = [...members].sort(byName).map(member => {
    const row = [member.name, formatAddress(member), member.status, tagsText(member.tags)]
    const range = `[${member.delegateMin}, ${member.delegateMax}]`
    if (!detailed) return row
    const versions = [`Protocol Version: ${member.delegateCur}`, `Available Protocol Range: ${range}`]
    return [...row, ...versions, ...(member.flaps === undefined ? [] : [flapsText(member)])]
  })
  return formatTable(rows, hasColour() ? paintStatus : undefined).trim()
}

/** `Flaps: 4, held back`: how often it has failed of late, and whether it is there but does not count yet. */
function flapsText({ flaps, held }: SerfMember): string {
  return `Flaps: ${flaps}${held === true ? ', held back' : ''}`
}

export function tagsText(tags: Readonly<Record<string, string>>): string {
  return Object.entries(tags)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',')
}

const STATUS_COLUMN = 2
const COLOURS: Readonly<Record<string, number>> = { alive: 32, leaving: 33, left: 2, failed: 31 }

function paintStatus(cell: string, column: number): string {
  const colour = column === STATUS_COLUMN ? COLOURS[cell.trim()] : undefined
  return colour === undefined ? cell : `\u001b[${colour}m${cell}\u001b[0m`
}

export function membersJson(members: readonly SerfMember[], indent = 2): string {
  const list = [...members].sort(byName).map(memberRecord)
  return JSON.stringify({ members: list.length === 0 ? null : list }, undefined, indent)
}

export function memberRecord(member: SerfMember) {
  return {
    name: printable(member.name),
    addr: formatAddress(member),
    port: member.port,
    tags: Object.fromEntries(Object.entries(member.tags).sort(([a], [b]) => (a < b ? -1 : 1))),
    status: member.status,
    protocol: { max: member.delegateMax, min: member.delegateMin, version: member.delegateCur },
  }
}

function byName(left: SerfMember, right: SerfMember): number {
  return left.name < right.name ? -1 : 1
}
