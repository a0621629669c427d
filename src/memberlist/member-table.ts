import { type Random, shuffle } from '../base/index.ts'
import { type Announced, Announcer, type Entry, type MemberState } from './member.ts'
import type { Alive } from './messages.ts'
import type { Suspicion } from './suspicion.ts'

/**
 * Our list: by name, and in the order in which we probe (SWIM §4.3: round robin over a shuffled list). An interface because a
 * simulator, with a hundred million entries in one process, keeps them closer together than the objects of `PlainTable`.
 */
export interface MemberTable {
  /** Ourselves, dead and left ones included: the n of all of memberlist's formulas. */
  readonly size: number
  get(name: string): Entry | undefined
  all(): IterableIterator<Entry>
  /** A dead one, not to be there yet. It enters the probe list at a random place, so that a whole ring does not probe it at once. */
  add(announced: Announced, nowMs: number): Entry
  /** The next one to probe that satisfies `wanted`; undefined after as many skips and wraps as there are entries. */
  nextProbe(wanted: (member: Entry) => boolean, reapable: (member: Entry) => boolean): Entry | undefined
  /** Up to `count` distinct ones; exhaustive in small rings, up to 3n draws in large ones, as memberlist does. */
  randomMembers(count: number, wanted: (member: Entry) => boolean): Entry[]
}

/** One object for each entry. */
export class PlainTable implements MemberTable {
  readonly #byName = new Map<string, Entry>()
  #probeList: Entry[] = []
  #cursor = 0
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  get size(): number {
    return this.#byName.size
  }

  get(name: string): Entry | undefined {
    return this.#byName.get(name)
  }

  all(): IterableIterator<Entry> {
    return this.#byName.values()
  }

  add(announced: Announced, nowMs: number): Entry {
    const member = new PlainEntry(announced, nowMs)
    this.#byName.set(member.name, member)
    const last = this.#probeList.push(member) - 1
    const place = this.#random.below(last + 1)
    this.#probeList[last] = this.#probeList[place] as Entry
    this.#probeList[place] = member
    return member
  }

  nextProbe(wanted: (member: Entry) => boolean, reapable: (member: Entry) => boolean): Entry | undefined {
    for (let tries = 0; tries < this.#probeList.length + 1; tries++) {
      const candidate = this.#probeList[this.#cursor]
      if (candidate === undefined) this.#wrap(reapable)
      else {
        this.#cursor++
        if (wanted(candidate)) return candidate
      }
    }
    return undefined
  }

  randomMembers(count: number, wanted: (member: Entry) => boolean): Entry[] {
    const all = this.#probeList
    if (all.length < 3 * count)
      return shuffle([...all], this.#random)
        .filter(wanted)
        .slice(0, count)
    const chosen: Entry[] = []
    for (let draw = 0; draw < 3 * all.length && chosen.length < count; draw++) {
      const member = all[this.#random.below(all.length)] as Entry
      if (!chosen.includes(member) && wanted(member)) chosen.push(member)
    }
    return chosen
  }

  #wrap(reapable: (member: Entry) => boolean): void {
    for (const member of this.#probeList) if (reapable(member)) this.#byName.delete(member.name)
    this.#probeList = shuffle(
      this.#probeList.filter(member => this.#byName.get(member.name) === member),
      this.#random,
    )
    this.#cursor = 0
  }
}

class PlainEntry extends Announcer implements Entry {
  announced: Announced
  incarnation = 0
  state: MemberState = 'dead'
  stateChangedAtMs: number
  suspicion: Suspicion | undefined
  isSilent = false
  claim: Alive | undefined

  constructor(announced: Announced, nowMs: number) {
    super()
    this.announced = announced
    this.stateChangedAtMs = nowMs
    this.suspicion = undefined
    this.claim = undefined
  }

  enter(state: MemberState, nowMs: number): void {
    this.state = state
    this.stateChangedAtMs = nowMs
  }
}
