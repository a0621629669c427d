import type { FileSettings } from './schema.ts'
import { isRecord } from './settings.ts'

/** Lists that add up over all sources, files first, as Serf's do. */
const ADD_UP: readonly string[] = ['cluster.join', 'cluster.retry_join', 'event_handlers']

/** Later sources win; maps merge by key. */
export function mergeSettings(sources: readonly FileSettings[]): FileSettings {
  return sources.reduce((merged, next) => mergeValues(merged, next, '') as FileSettings, {} as FileSettings)
}

function mergeValues(before: unknown, after: unknown, path: string): unknown {
  if (after === undefined) return before
  if (ADD_UP.includes(path) && Array.isArray(before) && Array.isArray(after)) return [...before, ...after]
  if (!isRecord(before) || !isRecord(after)) return after
  const merged: Record<string, unknown> = { ...before }
  for (const [key, value] of Object.entries(after)) {
    merged[key] = mergeValues(merged[key], value, path === '' ? key : `${path}.${key}`)
  }
  return merged
}
