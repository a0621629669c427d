import type { AgentConfig } from './types.ts'

/** A value of `muster.yaml` that differs between two configurations. */
export interface SettingChange {
  /** `balancer.pools.web.timeouts.server`; durations are in milliseconds. */
  readonly path: string
  /** Undefined: it was not written. */
  readonly from: unknown
  readonly to: unknown
  /** `muster.yaml:12:3`, where it is written now. */
  readonly where: string | undefined
}

/** A file that differs in more places has been replaced. */
const CHANGES_MAX = 256

/** Which settings were written otherwise, in the order of the new ones; those that are no longer written come last. */
export function settingChanges(before: AgentConfig, next: AgentConfig): SettingChange[] {
  const [old, now] = [leavesOf(before.origin?.settings), leavesOf(next.origin?.settings)]
  const paths = new Set([...now.keys(), ...old.keys()])
  const changed = [...paths].filter(path => JSON.stringify(old.get(path)) !== JSON.stringify(now.get(path)))
  return changed
    .slice(0, CHANGES_MAX)
    .map(path => ({ path, from: old.get(path), to: now.get(path), where: next.origin?.whereIs(path) }))
}

/** Every value with its path; lists are values. */
function leavesOf(settings: object = {}, prefix = ''): Map<string, unknown> {
  const leaves = new Map<string, unknown>()
  for (const [key, value] of Object.entries(settings)) {
    const path = prefix === '' ? key : `${prefix}.${key}`
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value)
    if (!isMap) leaves.set(path, value)
    else for (const [inner, leaf] of leavesOf(value, path)) leaves.set(inner, leaf)
  }
  return leaves
}
