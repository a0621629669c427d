/** Which servers, services and members are meant by what somebody typed. */
import { formatAddress } from '../../base/index.ts'
import type { SerfMember } from '../../serf/index.ts'
import { readEndpoints } from '../endpoints/endpoints.ts'

export interface Placed {
  readonly name: string
  readonly ip: string
  readonly port: number
}

/** Its name, its member's, its address with or without the port, or its pool. @param what undefined: all */
export function isServerMeant(what: string | undefined, pool: string, server: Placed): boolean {
  if (what === undefined) return true
  const { name, ip, port } = server
  const member = name.endsWith(`:${port}`) ? name.slice(0, -`:${port}`.length) : name
  return [name, member, formatAddress({ ip, port }), ip, pool].includes(what)
}

export function isMemberMeant(what: string | undefined, member: SerfMember, defaultPool: string): boolean {
  if (what === undefined) return true
  const { name, ip, port, tags } = member
  if ([name, ip, formatAddress({ ip, port })].includes(what)) return true
  if (tags[`pool.${what}`] !== undefined) return true
  const { endpoints } = readEndpoints(tags, { pool: defaultPool })
  return endpoints.some(one => [one.pool, `${name}:${one.port}`, formatAddress({ ip, port: one.port })].includes(what))
}

/** Those that are most like it, the best first; at most three. */
export function nearest(what: string, names: readonly string[]): string[] {
  const near = [...new Set(names)].map(name => ({
    name,
    far: distance(what.slice(0, NAME_MAX), name.slice(0, NAME_MAX)),
  }))
  const isNear = ({ name, far }: { name: string; far: number }) =>
    far <= Math.max(2, Math.min(what.length, NAME_MAX) / 2) || name.includes(what)
  return near
    .filter(isNear)
    .toSorted((a, b) => a.far - b.far)
    .slice(0, 3)
    .map(one => one.name)
}

const NAME_MAX = 64

/** Levenshtein's: letters put in, taken away or changed. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
