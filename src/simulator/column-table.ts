import { type Random, shuffle } from '../base/index.ts'
import {
  type Alive,
  type Announced,
  Announcer,
  type Entry,
  type MemberState,
  type MemberTable,
  type Suspicion,
} from '../memberlist/index.ts'

/** Numbers for names, the same in all views of a ring: what a view knows of a member is at the member's number. */
export class Roll {
  readonly #numbers = new Map<string, number>()

  get size(): number {
    return this.#numbers.size
  }

  find(name: string): number | undefined {
    return this.#numbers.get(name)
  }

  enter(name: string): number {
    const known = this.#numbers.get(name)
    if (known !== undefined) return known
    this.#numbers.set(name, this.#numbers.size)
    return this.#numbers.size - 1
  }
}

const STATES: readonly MemberState[] = ['alive', 'suspect', 'dead', 'left']
const CODES: Readonly<Record<MemberState, number>> = { alive: 0, suspect: 1, dead: 2, left: 3 }

/**
 * A view in 26 bytes for each entry instead of some 150: columns by the member's number in the roll, and an `Entry` only
 * while somebody looks at it. Does what a `PlainTable` does, draw by draw.
 */
export class ColumnTable implements MemberTable {
  readonly roll: Roll
  readonly #random: Random
  announced: (Announced | undefined)[] = []
  incarnations = new Uint32Array(0)
  states = new Uint8Array(0)
  silent = new Uint8Array(0)
  changedAtMs = new Float64Array(0)
  /** Empty until the first suspicion. */
  suspicions: (Suspicion | undefined)[] = []
  readonly claims = new Map<number, Alive>()
  #probeList = new Uint32Array(0)
  #size = 0
  #cursor = 0

  constructor(roll: Roll, random: Random) {
    this.roll = roll
    this.#random = random
  }

  get size(): number {
    return this.#size
  }

  get(name: string): Entry | undefined {
    const number = this.roll.find(name)
    return number === undefined || this.announced[number] === undefined ? undefined : new ColumnEntry(this, number)
  }

  *all(): IterableIterator<Entry> {
    const { announced } = this
    for (let number = 0; number < announced.length; number++) {
      if (announced[number] !== undefined) yield new ColumnEntry(this, number)
    }
  }

  add(announced: Announced, nowMs: number): Entry {
    const number = this.roll.enter(announced.name)
    if (number >= this.states.length) this.#grow(number + 1)
    this.announced[number] = announced
    this.incarnations[number] = 0
    this.silent[number] = 0
    const member = new ColumnEntry(this, number)
    member.enter('dead', nowMs)
    this.#list(number)
    return member
  }

  nextProbe(wanted: (member: Entry) => boolean, reapable: (member: Entry) => boolean): Entry | undefined {
    for (let tries = 0; tries < this.#size + 1; tries++) {
      if (this.#cursor >= this.#size) this.#wrap(reapable)
      else {
        const candidate = this.#at(this.#cursor++)
        if (wanted(candidate)) return candidate
      }
    }
    return undefined
  }

  randomMembers(count: number, wanted: (member: Entry) => boolean): Entry[] {
    const size = this.#size
    if (size < 3 * count) {
      const all = Array.from({ length: size }, (_, place) => this.#at(place))
      return shuffle(all, this.#random).filter(wanted).slice(0, count)
    }
    const chosen: Entry[] = []
    const numbers: number[] = []
    for (let draw = 0; draw < 3 * size && chosen.length < count; draw++) {
      const place = this.#random.below(size)
      const number = this.#probeList[place] as number
      if (numbers.includes(number)) continue
      const member = this.#at(place)
      if (!wanted(member)) continue
      chosen.push(member)
      numbers.push(number)
    }
    return chosen
  }

  prepareSuspicions(): void {
    const { suspicions, states } = this
    if (suspicions.length >= states.length) return
    this.suspicions = Array.from({ length: states.length }, (_, number) => suspicions[number])
  }

  #at(place: number): ColumnEntry {
    return new ColumnEntry(this, this.#probeList[place] as number)
  }

  /** Into the probe list at a random place; who was there goes to its end. */
  #list(number: number): void {
    const last = this.#size++
    const place = this.#random.below(this.#size)
    this.#probeList[last] = this.#probeList[place] as number
    this.#probeList[place] = number
  }

  #wrap(reapable: (member: Entry) => boolean): void {
    const list = this.#probeList
    let kept = 0
    for (let place = 0; place < this.#size; place++) {
      const number = list[place] as number
      if (reapable(this.#at(place))) this.#forget(number)
      else list[kept++] = number
    }
    this.#size = kept
    for (let last = kept - 1; last > 0; last--) {
      const other = this.#random.below(last + 1)
      const number = list[last] as number
      list[last] = list[other] as number
      list[other] = number
    }
    this.#cursor = 0
  }

  #forget(number: number): void {
    this.announced[number] = undefined
    this.claims.delete(number)
  }

  /** At once to the size of the roll: mostly all are started before they hear of one another. */
  #grow(wanted: number): void {
    const length = Math.max(wanted, this.roll.size, Math.ceil(this.states.length * 1.25))
    this.incarnations = grown(this.incarnations, new Uint32Array(length))
    this.states = grown(this.states, new Uint8Array(length))
    this.silent = grown(this.silent, new Uint8Array(length))
    this.changedAtMs = grown(this.changedAtMs, new Float64Array(length))
    this.#probeList = grown(this.#probeList, new Uint32Array(length))
    const { announced } = this
    this.announced = Array.from({ length }, (_, number) => announced[number])
  }
}

function grown<T extends Uint8Array | Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from)
  return to
}

/** A look at one line of the columns, for as long as it is in hand. */
class ColumnEntry extends Announcer implements Entry {
  readonly table: ColumnTable
  readonly number: number
  /** What it had announced when it came into the hand: a probe may hold on to a member that is reaped meanwhile. */
  readonly #announced: Announced

  constructor(table: ColumnTable, number: number) {
    super()
    this.table = table
    this.number = number
    this.#announced = table.announced[number] as Announced
  }

  get announced(): Announced {
    return this.table.announced[this.number] ?? this.#announced
  }

  set announced(announced: Announced) {
    this.table.announced[this.number] = announced
  }

  get incarnation(): number {
    return this.table.incarnations[this.number] as number
  }

  set incarnation(incarnation: number) {
    this.table.incarnations[this.number] = incarnation
  }

  get state(): MemberState {
    return STATES[this.table.states[this.number] as number] as MemberState
  }

  get stateChangedAtMs(): number {
    return this.table.changedAtMs[this.number] as number
  }

  enter(state: MemberState, nowMs: number): void {
    this.table.states[this.number] = CODES[state]
    this.table.changedAtMs[this.number] = nowMs
  }

  get isSilent(): boolean {
    return this.table.silent[this.number] === 1
  }

  set isSilent(isSilent: boolean) {
    this.table.silent[this.number] = isSilent ? 1 : 0
  }

  get suspicion(): Suspicion | undefined {
    return this.table.suspicions[this.number]
  }

  set suspicion(suspicion: Suspicion | undefined) {
    if (suspicion !== undefined) this.table.prepareSuspicions()
    if (this.number < this.table.suspicions.length) this.table.suspicions[this.number] = suspicion
  }

  get claim(): Alive | undefined {
    return this.table.claims.get(this.number)
  }

  set claim(claim: Alive | undefined) {
    if (claim !== undefined) this.table.claims.set(this.number, claim)
    else if (this.table.claims.size > 0) this.table.claims.delete(this.number)
  }
}
