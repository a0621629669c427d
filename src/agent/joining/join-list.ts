import { isIP } from 'node:net'
import { type Address, formatAddress, ipFromBytes, ipToBytes, parseHostPort } from '../../base/index.ts'
import type { SerfMember } from '../../serf/index.ts'

/** A member as far as joining is concerned. */
export interface RingMember extends Address {
  readonly name: string
  /** Neither failed nor left. */
  readonly isAlive: boolean
}

/** The ring as this node sees it. */
export interface RingView {
  readonly self: RingMember
  readonly others: readonly RingMember[]
}

/** What is remembered of an address that has answered. */
export interface Answered {
  /** Where it led to, as far as the engine tells. */
  readonly at: readonly Address[]
  /** Who was alive then; one of them stands behind an address that is nobody's own (a translated one, a virtual one). */
  readonly alive: readonly string[]
}

export type Standing = 'here' | 'gone' | 'unknown'

/**
 * Whether the ring has the members behind an address of the join list, `[name/]host[:port]`. Without asking anybody: a
 * number is looked up among the members; a name, or an address that no member calls its own, counts as what it led to when
 * it last answered. This node's own address, which is in the list that all nodes share, is always `here`.
 * @returns unknown: it has not answered yet; each is asked once, also when gossip has found its member
 */
export function standingOf(address: string, answered: Answered | undefined, ring: RingView): Standing {
  const everybody = [ring.self, ...ring.others]
  const named = literal(address, ring.self.port)
  const own = named === undefined ? [] : membersAt([named], everybody)
  if (own.includes(ring.self)) return 'here'
  if (answered === undefined) return 'unknown'
  const led = own.length > 0 ? own : membersAt(answered.at, ring.others)
  if (led.length > 0) return groupsAlive(led) ? 'here' : 'gone'
  if (answered.alive.length === 0) return ring.others.some(member => member.isAlive) ? 'here' : 'gone'
  const alive = new Set(ring.others.filter(member => member.isAlive).map(member => member.name))
  return answered.alive.every(name => alive.has(name)) ? 'here' : 'gone'
}

/** @param self this node's name and the address that it has while it is not in its own list */
export function ringView(members: readonly SerfMember[], self: Address & { readonly name: string }): RingView {
  const all = members.map(toRingMember)
  return {
    self: all.find(member => member.name === self.name) ?? { ...self, isAlive: true },
    others: all.filter(member => member.name !== self.name),
  }
}

function toRingMember({ name, ip, port, status }: SerfMember): RingMember {
  return { name, ip, port, isAlive: status === 'alive' || status === 'leaving' }
}

/** A member that came back under another name leaves its old one behind at the same address: one of them is enough. */
function groupsAlive(members: readonly RingMember[]): boolean {
  const alive = new Set(members.filter(member => member.isAlive).map(keyOf))
  return members.every(member => alive.has(keyOf(member)))
}

function membersAt(addresses: readonly Address[], members: readonly RingMember[]): RingMember[] {
  const wanted = new Set(addresses.map(keyOf))
  return members.filter(member => wanted.has(keyOf(member)))
}

/** The address when it is written as a number. A name before it picks nobody: who listens there may have changed it. */
function literal(address: string, defaultPort: number): Address | undefined {
  const parsed = parseHostPort(address.slice(address.indexOf('/') + 1), defaultPort)
  return parsed === undefined || isIP(parsed.host) === 0 ? undefined : { ip: parsed.host, port: parsed.port }
}

/** One spelling for each address: IPv6 has many. */
function keyOf({ ip, port }: Address): string {
  const bytes = ipToBytes(ip)
  return formatAddress({ ip: (bytes && ipFromBytes(bytes)) ?? ip, port })
}
