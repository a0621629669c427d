import type { Section, Structure } from './config-structure.ts'
import type { ServerLine } from './server-line.ts'
import { wordsChanged } from './words-changed.ts'

/** What only a reload can bring about, in words; empty when the runtime socket is enough. */
export function structuralDifferences(running: Structure, wanted: Structure): string[] {
  if (running === wanted) return []
  const before = new Map(running.map(section => [section.title, section]))
  const after = new Map(wanted.map(section => [section.title, section]))
  const reasons: string[] = []
  for (const title of before.keys()) if (!after.has(title)) reasons.push(`${title}: removed`)
  if (
    [...before.keys()].join('\n') !== [...after.keys()].join('\n') &&
    before.size === after.size &&
    reasons.length === 0
  )
    reasons.push('order of sections changed') // `defaults` are for the sections below them
  for (const [title, section] of after) {
    const old = before.get(title)
    if (old === undefined) reasons.push(`${title}: new`)
    else reasons.push(...lineDifferences(title, old, section), ...serverDifferences(title, old, section))
  }
  return reasons
}

function lineDifferences(title: string, old: Section, section: Section): string[] {
  if (isSameList(old.lines, section.lines)) return []
  const isKeyChange = old.cookieKey !== undefined && section.cookieKey !== undefined // which the socket can bring about
  const before = isKeyChange ? withoutKey(old) : old.lines
  const after = isKeyChange ? withoutKey(section) : section.lines
  if (isSameList(before, after)) return []
  const what = wordsChanged(
    before.filter(line => !after.includes(line)),
    after.filter(line => !before.includes(line)),
  )
  if (what.length === 0) return [`${title}: order of lines changed`]
  return [`${title}: ${what.slice(0, 5).join(', ')} changed`]
}

function withoutKey({ lines, cookieKey }: Section): string[] {
  return lines.map(line => (line === `dynamic-cookie-key ${cookieKey}` ? 'dynamic-cookie-key' : line))
}

function serverDifferences(title: string, old: Section, section: Section): string[] {
  if (isSameForRuntime(old.servers, section.servers)) return [] // as nearly always
  const before = new Map(old.servers.map(line => [line.name, line]))
  const names = new Set(section.servers.map(line => line.name))
  const added = section.servers.filter(line => !before.has(line.name)).length
  const removed = old.servers.filter(line => !names.has(line.name)).length
  const reasons: string[] = []
  if (added > 0) reasons.push(`${title}: ${added} server lines more`)
  if (removed > 0) reasons.push(`${title}: ${removed} server lines fewer`)
  const changed = section.servers.find(line => {
    const other = before.get(line.name)
    return other !== undefined && !sameButForRuntime(other, line)
  })
  if (changed !== undefined) reasons.push(`${title}: settings of server ${changed.name} changed`)
  if (added + removed === 0 && section.servers.some((line, i) => line.name !== old.servers[i]?.name))
    reasons.push(`${title}: order of servers changed`) // it counts for some algorithms
  return reasons
}

export function isSameList<T>(a: readonly T[], b: readonly T[]): boolean {
  return a === b || (a.length === b.length && a.every((item, i) => item === b[i]))
}

function isSameForRuntime(a: readonly ServerLine[], b: readonly ServerLine[]): boolean {
  const isSame = (line: ServerLine, other: ServerLine | undefined) =>
    line === other || (line.name === other?.name && sameButForRuntime(line, other))
  return a.length === b.length && a.every((line, i) => isSame(line, b[i]))
}

/** A maxconn that appears or disappears needs a reload: at run time nobody knows the default it would return to. */
function sameButForRuntime(a: ServerLine, b: ServerLine): boolean {
  const sameKind =
    (a.ip === undefined) === (b.ip === undefined) && (a.maxconn === undefined) === (b.maxconn === undefined)
  return sameKind && a.rest === b.rest
}
