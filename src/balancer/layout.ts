import type { BalancerConfig } from './config.ts'
import { type KnownLines, parseStructure, type ServerLine, type Structure } from './config-structure.ts'
import { templateData } from './data.ts'
import type { Entry } from './entry.ts'
import { placed, type Roster } from './roster.ts'
import { SlotMap } from './slots.ts'
import type { Render } from './template.ts'
import type { Placement } from './wanted.ts'

/** HAProxy's `maxconn` for so many checked servers in the file. */
export type MaxconnFor = (checks: number) => number

/**
 * One configuration and its template, and where every server stands in the file they make: the numbered slots of
 * templates that go through `slots`, the lines of the others. The next configuration is a layout of its own, with the same servers in the same slots, so that
 * it can be looked at (`plan`) before it is in force.
 */
export class Layout {
  readonly config: BalancerConfig
  readonly usesSlots: boolean
  /** Its lines tell our servers from the user's own. */
  readonly tellsOurs: boolean
  readonly #render: Render
  readonly #maxconnFor: MaxconnFor
  readonly #slots: Map<string, SlotMap>
  /** `web/slot1` → the member that is there, or was last. */
  readonly #members: Map<string, string>
  readonly #known: KnownLines
  /** The file of the pass before, by what it was made of: mostly nothing has changed. */
  #last: { readonly made: string; readonly text: string; readonly structure: Structure } | undefined

  constructor(config: BalancerConfig, render: Render, maxconnFor: MaxconnFor, before?: Layout) {
    this.config = config
    this.usesSlots = render.usesSlots === true
    this.tellsOurs = this.usesSlots || typeof config.template !== 'object'
    this.#render = render
    this.#maxconnFor = maxconnFor
    const slots = before === undefined ? new Map<string, SlotMap>() : before.#slots
    this.#slots = new Map(
      Object.entries(config.pools).map(([pool, { slots: sizeMin }]) => [pool, slotsFor(sizeMin, slots.get(pool))]),
    )
    this.#members = new Map(before === undefined ? [] : before.#members)
    this.#known = before === undefined ? new Map() : before.#known
  }

  /** The same servers in the same slots, under another configuration; this layout stays as it is. */
  next(config: BalancerConfig, render: Render): Layout {
    return new Layout(config, render, this.#maxconnFor, this)
  }

  poolNames(): string[] {
    return Object.keys(this.config.pools)
  }

  /** Whether this balancer has the pool; of others it only knows that their servers claim an address. */
  has(pool: string): boolean {
    return this.#slots.has(pool)
  }

  /** The servers of pools that this balancer has. */
  own(roster: Roster): Entry[] {
    return roster.entries().filter(entry => this.has(entry.server.pool))
  }

  /** Who has a line of their own in the file: whoever is in place, but not those that still have to prove themselves. */
  inFile(roster: Roster): Entry[] {
    return this.own(roster).filter(entry => entry.decision.stance !== 'entering')
  }

  /** Gives every server a slot, and makes room before it is needed. */
  seat(entries: readonly Entry[]): void {
    if (!this.usesSlots) return
    for (const { server, endpoint } of entries) {
      const number = this.#slots.get(server.pool)?.occupy(endpoint)
      this.#members.set(`${server.pool}/slot${number}`, server.name)
    }
    for (const slots of this.#slots.values()) slots.growIfTight()
  }

  release({ server, endpoint }: Entry): void {
    this.#slots.get(server.pool)?.release(endpoint)
  }

  /** A running HAProxy has this slot. @param endpoint who is there; undefined: it is free */
  adopt(pool: string, server: string, endpoint: string | undefined): void {
    const number = slotNumber(server)
    if (!this.usesSlots || number === undefined) return
    if (endpoint === undefined) this.#slots.get(pool)?.reserve(number)
    else this.#slots.get(pool)?.adopt(number, endpoint)
  }

  slotOf({ server, endpoint }: Entry): string | undefined {
    const number = this.#slots.get(server.pool)?.slotOf(endpoint)
    return this.usesSlots && number !== undefined ? `slot${number}` : undefined
  }

  /** The member that is in a slot, or was last: `web/slot1`, and the same of a pool's companion backend. */
  memberIn(server: string): string | undefined {
    return this.#members.get(server.replace('.unsafe/', '/'))
  }

  /** HAProxy's file. @throws TemplateError when the template fails while it renders */
  text(roster: Roster): string {
    return this.file(roster).text
  }

  /** The same, and its structure. @throws TemplateError when the template fails while it renders */
  file(roster: Roster): { readonly text: string; readonly structure: Structure } {
    const made = this.#signature(roster)
    if (this.#last?.made === made) return this.#last
    const text = this.#rendered(roster)
    this.#last = { made, text, structure: parseStructure(text, this.#known) }
    return this.#last
  }

  /** Everything of the servers that the file depends on. */
  #signature(roster: Roster): string {
    const sizes = [...this.#slots.values()].map(({ size }) => size)
    const servers = this.inFile(roster).map(entry => {
      const { key, server, weight, decision } = entry
      return `${key} ${this.slotOf(entry) ?? ''} ${server.name} ${server.host} ${server.state} ${weight} ${decision.stance}`
    })
    return [sizes.join(), ...servers].join('\n')
  }

  #rendered(roster: Roster): string {
    const servers = this.inFile(roster).map(placed)
    const slots = [...this.#slots.values()].reduce((sum, { size }) => sum + size, 0)
    const seats = new Map([...this.#slots].map(([pool, map]) => [pool, this.usesSlots ? map.slots() : []]))
    const maxconn = this.#maxconnFor(this.usesSlots ? slots : servers.length)
    return this.#render(templateData(this.config, servers, seats, maxconn))
  }

  /** Whose server line is whose. */
  placement(roster: Roster): Placement {
    return this.usesSlots ? (backend, line) => this.#inSlot(roster, backend, line) : byLine(this.inFile(roster))
  }

  #inSlot(roster: Roster, backend: string, line: ServerLine): Entry | 'free' | undefined {
    const pool = poolOf(backend)
    const number = slotNumber(line.name)
    const slot = number === undefined ? undefined : this.#slots.get(pool)?.slots()[number - 1]
    if (slot === undefined) return undefined
    return slot.occupant === undefined ? 'free' : roster.get(pool, slot.occupant)
  }
}

/** In a file of one line per server: by address, else by name; of the backend's own pool, if there is one of that name. */
function byLine(entries: readonly Entry[]): Placement {
  const pools = new Map<string, Lookup>()
  for (const entry of entries) {
    const own = pools.get(entry.server.pool) ?? newLookup()
    pools.set(entry.server.pool, own)
    add(own, entry)
  }
  const all = newLookup()
  for (const entry of entries) add(all, entry)
  return (backend, line) => {
    const { byAddress, byHost } = pools.get(poolOf(backend)) ?? all
    return byAddress.get(`${line.ip} ${line.port}`) ?? byHost.get(line.name)
  }
}

interface Lookup {
  readonly byAddress: Map<string, Entry>
  readonly byHost: Map<string, Entry>
}

function newLookup(): Lookup {
  return { byAddress: new Map(), byHost: new Map() }
}

/** The first of several stays. */
function add({ byAddress, byHost }: Lookup, entry: Entry): void {
  const { ip, port, host } = entry.server
  const address = `${ip} ${port}`
  if (!byAddress.has(address)) byAddress.set(address, entry)
  if (!byHost.has(host)) byHost.set(host, entry)
}

/** A pool's companion backend, `web.unsafe`, has the same servers. */
function poolOf(backend: string): string {
  return backend.replace(/\.unsafe$/, '')
}

function slotNumber(server: string): number | undefined {
  const found = /^slot(\d{1,5})$/.exec(server)
  return found === null ? undefined : Number(found[1])
}

function slotsFor(sizeMin: number | undefined, before: SlotMap | undefined): SlotMap {
  if (before === undefined) return new SlotMap(sizeMin)
  const slots = before.clone()
  slots.reserve(sizeMin ?? 0)
  return slots
}
