/** Which servers, services and members are meant by what somebody typed. */
import { formatAddress } from '../../base/index.ts'
import type { SerfMember } from '../../serf/index.ts'
import { editsBetween, WORD_CHARS_MAX } from '../config/nearest.ts'
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
export function likeliest(what: string, names: readonly string[]): string[] {
  const near = [...new Set(names)].map(name => ({
    name,
    far: editsBetween(what.slice(0, WORD_CHARS_MAX), name.slice(0, WORD_CHARS_MAX)),
  }))
  const isNear = ({ name, far }: { name: string; far: number }) =>
    far <= Math.max(2, Math.min(what.length, WORD_CHARS_MAX) / 2) || name.includes(what)
  return near
    .filter(isNear)
    .toSorted((a, b) => a.far - b.far)
    .slice(0, 3)
    .map(one => one.name)
}
