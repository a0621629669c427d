import type { PlacedServer } from './data.ts'
import type { Entry } from '../pool/entry.ts'
import { placed } from '../pool/roster.ts'
import type { Slot } from './slots.ts'

/** How one of our servers stands: everything of it that the file and the commands depend on. */
export interface Seated {
  readonly server: PlacedServer
  /** Undefined where the template has none. */
  readonly slot: Readonly<Slot> | undefined
  readonly entersByCheck: boolean
}

/** By the key of the entry. */
export type Seating = ReadonlyMap<string, Seated>

/** @param before whose objects stand for what has not changed */
export function seatingOf(
  entries: readonly Entry[],
  slotOf: (entry: Entry) => Readonly<Slot> | undefined,
  before: Seating = new Map(),
): Seating {
  const seating = new Map<string, Seated>()
  for (const entry of entries) {
    const [slot, old] = [slotOf(entry), before.get(entry.key)]
    const isSame = old !== undefined && old.slot === slot && isAsBefore(entry, old)
    seating.set(entry.key, isSame ? old : { server: placed(entry), slot, entersByCheck: entersByCheck(entry) })
  }
  return seating
}

/** Those that have changed, as they were and as they are. */
export function changedSeats(before: Seating, now: Seating): Seated[] {
  const changed: Seated[] = []
  for (const [key, seated] of now) {
    const old = before.get(key)
    if (old === seated) continue
    changed.push(seated)
    if (old !== undefined) changed.push(old)
  }
  for (const [key, old] of before) if (!now.has(key)) changed.push(old)
  return changed
}

/** Nobody knows that it is up: its first good check lets it in. */
export function entersByCheck({ proven, checksFail }: Entry): boolean {
  return !proven || checksFail
}

/** Address and port are the same where the key is. */
function isAsBefore(entry: Entry, before: Seated): boolean {
  const { server, weight, decision } = entry
  const old = before.server
  const isSame = old.name === server.name && old.host === server.host && old.state === server.state
  const isDecidedSo = old.weight === weight && old.stance === decision.stance
  return isSame && isDecidedSo && before.entersByCheck === entersByCheck(entry)
}
