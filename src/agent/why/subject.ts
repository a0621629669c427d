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

/**
 * Its name, its member's, that with its port, its address with or without the port, each also behind its pool as `history` and
 * `status` print it (`web/web-2`), or its pool.
 * @param what undefined: all
 */
export function isServerMeant(what: string | undefined, pool: string, server: Placed): boolean {
  if (what === undefined || what === pool) return true
  const { name, ip, port } = server
  const member = name.endsWith(`:${port}`) ? name.slice(0, -`:${port}`.length) : name
  const itself = what.startsWith(`${pool}/`) ? what.slice(`${pool}/`.length) : what
  return [name, member, `${member}:${port}`, formatAddress({ ip, port }), ip].includes(itself)
}

export function isMemberMeant(what: string | undefined, member: SerfMember, defaultPool: string): boolean {
  if (what === undefined) return true
  const { name, ip, port, tags } = member
  if ([name, ip, formatAddress({ ip, port })].includes(what)) return true
  if (tags[`pool.${what}`] !== undefined || isWithdrawn(what, member)) return true
  const { endpoints } = readEndpoints(tags, { pool: defaultPool })
  return endpoints.some(one => isServerMeant(what, one.pool, { name, ip, port: one.port }))
}

/** `web/web-2`, nothing of which is ready. */
function isWithdrawn(what: string, { name, tags }: SerfMember): boolean {
  return what.endsWith(`/${name}`) && tags[`pool.${what.slice(0, -`/${name}`.length)}`] === ''
}

/**
 * The name that the journal has for what somebody typed: `web-2` for `web/web-2`, and for `web-2:3000` where that is its only server.
 * @param servers those that are meant
 */
export function recordedAs(
  what: string,
  servers: readonly { readonly name: string; readonly address: string }[],
): string {
  const itself = /^[\w-]{1,48}\/(.+)$/.exec(what)?.[1] ?? what
  const its = servers.find(({ name, address }) => itself === `${name}${address.slice(address.lastIndexOf(':'))}`)
  return its?.name ?? itself
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
