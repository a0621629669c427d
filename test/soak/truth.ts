import type { MemberRow } from '../parts.ts'
import type { Condition, Host, SoakRing } from './ring.ts'

/** What everybody who can be reached has to say of a host in this condition. */
const STATUS: Readonly<Record<Condition, string>> = {
  up: 'alive',
  killed: 'failed',
  frozen: 'failed',
  cut: 'failed',
  deaf: 'failed',
  left: 'left',
}

/** Where the first view differs from the truth, in words; undefined: all agree. Whoever is cut off is not asked. */
export async function discord(ring: SoakRing): Promise<string | undefined> {
  const asked = ring.hosts.filter(({ condition }) => condition === 'up')
  const found = await Promise.all(asked.map(async host => discordOf(host, await ring.members(host), ring.hosts)))
  return found.find(one => one !== undefined)
}

function discordOf(observer: Host, rows: readonly MemberRow[], hosts: readonly Host[]): string | undefined {
  const byName = new Map(rows.map(row => [row.name, row]))
  for (const host of hosts) {
    const row = byName.get(host.name)
    if (row?.status !== STATUS[host.condition])
      return `${observer.name} has ${host.name} as ${row?.status ?? 'unknown'}, and it is ${host.condition}`
    const wanted = [...host.tags].every(([key, value]) => row.tags[key] === value)
    if (host.condition === 'up' && !wanted) return `${observer.name} has old tags of ${host.name}`
  }
  return rows.length === hosts.length ? undefined : `${observer.name} knows ${rows.length} members of ${hosts.length}`
}

/** Who of those that could be reached was not told of the event. */
export function unheard(ring: SoakRing, event: string): string[] {
  const reachable = ring.hosts.filter(({ condition }) => condition === 'up')
  return reachable.filter(host => !ring.heardBy(host).has(event)).map(({ name }) => name)
}
