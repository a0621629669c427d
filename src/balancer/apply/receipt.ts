import type { Layout } from '../file/layout.ts'
import type { Stance } from '../pool/policy.ts'
import type { Entry } from '../pool/entry.ts'
import type { Roster } from '../pool/roster.ts'

/** Why something was changed. */
export interface Cause {
  /** `member-update`, `muster apply`, `found changed behind our back`. */
  readonly what: string
  /** The member it is about. */
  readonly member?: string
  /** The node whose view it is. */
  readonly seenBy?: string
  /** The key of the configuration, or the file, that has changed. */
  readonly configuration?: string
}

/** How a server stands in its pool. */
export interface Standing {
  readonly state: Stance
  readonly weight: number
}

/** What became of one server. */
export interface ServerChange {
  readonly pool: string
  /** The member's name, never a slot's. */
  readonly server: string
  /** `ip:port`. */
  readonly address: string
  /** Null: it was not there. */
  readonly before: Standing | null
  /** Null: it is gone. */
  readonly after: Standing | null
  readonly reason: string
}

/** What was done to HAProxy, and why. */
export interface Receipt {
  /** Unique, and in order of time on one balancer. */
  readonly id: string
  /** `muster` on its own, or who asked: `operator`, `SIGHUP`, `watch`. */
  readonly actor: string
  readonly causes: readonly Cause[]
  /** `file`: nothing but its comments has changed. */
  readonly method: 'runtime' | 'reload' | 'file'
  /** Of a reload: what made it necessary. */
  readonly reasons: readonly string[]
  /** Lines as they were sent to the socket, at most `COMMANDS_KEPT`; the last one then says how many more. */
  readonly commands: readonly string[]
  readonly tookMs: number
  readonly changes: readonly ServerChange[]
  /** Why it was not done to its end. */
  readonly problem?: string
}

/** HAProxy's own checks took a server out of traffic, or let it in again: nothing that we did. */
export interface CheckNews {
  readonly pool: string
  readonly server: string
  readonly address: string
  readonly before: 'ready' | 'down'
  readonly after: 'ready' | 'down'
  readonly reason: string
}

/** More stand for a storm, of which a few hundred tell as much. */
const COMMANDS_KEPT = 500

/** @returns the first ones, and in words how many more there were */
export function firstCommands(lines: readonly string[]): string[] {
  if (lines.length <= COMMANDS_KEPT) return [...lines]
  return [...lines.slice(0, COMMANDS_KEPT), `… and ${lines.length - COMMANDS_KEPT} more`]
}

/** Every server of the pools as it stands, to be compared with a later one. */
export type Picture = ReadonlyMap<string, ServerChange>

/** As decided at this moment. */
export function pictureOf(layout: Layout, roster: Roster): Picture {
  return new Map(layout.own(roster).map(entry => [entry.key, standingOf(entry)]))
}

function standingOf({ server, endpoint, decision, weight }: Entry): ServerChange {
  const after = { state: decision.stance, weight }
  return { pool: server.pool, server: server.name, address: endpoint, before: null, after, reason: decision.reason }
}

/** What of the servers differs, in the order of the pictures. @param released why those went that are no longer there */
export function changesBetween(before: Picture, after: Picture, released: readonly Entry[]): ServerChange[] {
  const reasons = new Map(released.map(entry => [entry.key, entry.decision.reason]))
  const gone = [...before]
    .filter(([key]) => !after.has(key))
    .map(([key, old]) => ({
      ...old,
      before: old.after,
      after: null,
      reason: reasons.get(key) ?? 'its pool is not in the configuration any more',
    }))
  const changed = [...after].flatMap(([key, now]) => {
    const old = before.get(key)?.after ?? null
    const isSame = old?.state === now.after?.state && old?.weight === now.after?.weight
    return isSame ? [] : [{ ...now, before: old }]
  })
  return [...gone, ...changed]
}
