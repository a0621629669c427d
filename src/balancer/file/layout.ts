import type { BalancerConfig } from '../config.ts'
import { type KnownLines, parseStructure, type ServerLine } from './config-structure.ts'
import { templateData } from './data.ts'
import type { Entry } from '../pool/entry.ts'
import type { WantedServer } from '../apply/plan.ts'
import { type File, redrawn } from './redrawn.ts'
import type { Roster } from '../pool/roster.ts'
import { changedSeats, type Seated, type Seating, seatingOf } from './seating.ts'
import { type Slot, SlotMap } from './slots.ts'
import type { Render } from './template.ts'
import { type Placement, wantedAgain, wantedServers } from '../apply/wanted.ts'

/** HAProxy's `maxconn` for so many checked servers in the file. @param wanted as configured; undefined: by default */
export type MaxconnFor = (checks: number, wanted: number | undefined) => number

/** HAProxy's file, and what its servers should be in the running process, by `web/slot1`. */
export interface Drawing extends File {
  readonly wanted: ReadonlyMap<string, WantedServer>
}

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
  /** Of the pass before, and what it was made of: mostly nothing has changed, or one server. */
  #last: (Drawing & { readonly seating: Seating; readonly sizes: string }) | undefined

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

  slotOf(entry: Entry): string | undefined {
    return this.#slotOf(entry)?.name
  }

  /** The member that is in a slot, or was last: `web/slot1`, and the same of a pool's companion backend. */
  memberIn(server: string): string | undefined {
    return this.#members.get(server.replace('.unsafe/', '/'))
  }

  /** HAProxy's file. @throws TemplateError when the template fails while it renders */
  text(roster: Roster): string {
    return this.draw(roster).text
  }

  /** The file, and what its servers should be. @throws TemplateError when the template fails while it renders */
  draw(roster: Roster): Drawing {
    const last = this.#last
    const sizes = [...this.#slots.values()].map(({ size }) => size).join()
    const seating = seatingOf(this.own(roster), entry => this.#slotOf(entry), last?.seating)
    const changed = last?.sizes === sizes ? changedSeats(last.seating, seating) : undefined
    const drawing = this.#drawnAgain(roster, seating, changed) ?? this.#drawnAnew(roster, seating, changed)
    this.#last = { ...drawing, seating, sizes }
    return this.#last
  }

  /**
   * In the template `slots` a line depends on who is in its slot and on nobody else: the file with the changed ones alone has them as
   * they are in the whole one. To render all of a thousand would be a third of a pass.
   */
  #drawnAgain(roster: Roster, seating: Seating, changed: readonly Seated[] | undefined): Drawing | undefined {
    const last = this.#last
    if (last === undefined || changed === undefined || this.config.template !== 'slots') return undefined
    if (changed.length === 0) return last
    if (changed.length > seating.size / 2) return undefined
    const slots = this.#slotsOf(changed)
    const present = [...seating.values()].filter(({ server, slot }) => slot && slots.get(server.pool)?.includes(slot))
    const file = redrawn(last, this.#rendered(present, slots))
    if (file === undefined) return undefined
    const places = [...slots].flatMap(([pool, some]) =>
      some.map(({ name }) => [`${pool}/${name}`, `${pool}${COMPANION}/${name}`]),
    )
    return { ...file, wanted: wantedAgain(last.wanted, file.structure, this.placement(roster), places.flat()) }
  }

  #drawnAnew(roster: Roster, seating: Seating, changed: readonly Seated[] | undefined): Drawing {
    const file =
      this.#last !== undefined && changed?.length === 0
        ? this.#last
        : this.#rendered([...seating.values()], this.#allSlots())
    return { ...file, wanted: wantedServers(file.structure, this.placement(roster)) }
  }

  /** By pool, in order. */
  #slotsOf(seats: readonly Seated[]): Map<string, Readonly<Slot>[]> {
    const slots = new Map(this.poolNames().map(pool => [pool, new Set<Readonly<Slot>>()]))
    for (const { server, slot } of seats) if (slot !== undefined) slots.get(server.pool)?.add(slot)
    return new Map([...slots].map(([pool, some]) => [pool, [...some].sort((a, b) => a.number - b.number)]))
  }

  #allSlots(): Map<string, readonly Readonly<Slot>[]> {
    return new Map([...this.#slots].map(([pool, map]) => [pool, this.usesSlots ? map.slots() : []]))
  }

  #rendered(seated: readonly Seated[], slots: ReadonlyMap<string, readonly Readonly<Slot>[]>): File {
    const servers = seated.map(({ server }) => server).filter(({ stance }) => stance !== 'entering')
    const sum = [...this.#slots.values()].reduce((before, { size }) => before + size, 0)
    const maxconn = this.#maxconnFor(this.usesSlots ? sum : servers.length, this.config.maxConnections)
    const text = this.#render(templateData(this.config, servers, slots, maxconn))
    return { text, structure: parseStructure(text, this.#known) }
  }

  /** Whose server line is whose. */
  placement(roster: Roster): Placement {
    return this.usesSlots ? (backend, line) => this.#inSlot(roster, backend, line) : byLine(this.inFile(roster))
  }

  #slotOf({ server, endpoint }: Entry): Readonly<Slot> | undefined {
    return this.usesSlots ? this.#slots.get(server.pool)?.slotOf(endpoint) : undefined
  }

  #inSlot(roster: Roster, backend: string, line: ServerLine): Entry | 'free' | undefined {
    const pool = poolOf(backend)
    const slot = this.#slots.get(pool)?.named(line.name)
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

const COMPANION = '.unsafe'

/** A pool's companion backend, `web.unsafe`, has the same servers. */
function poolOf(backend: string): string {
  return backend.endsWith(COMPANION) ? backend.slice(0, -COMPANION.length) : backend
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
