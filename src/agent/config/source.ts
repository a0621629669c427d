import { type Problem, PROBLEMS_SHOWN } from './problems.ts'
import { isRecord, SERF_KEYS_WITHOUT_EFFECT, SETTINGS, type Setting, putAt } from './settings.ts'
import { nearest } from './nearest.ts'
import { parseText, type Path, type TextFile } from './text-file.ts'

export type { Path } from './text-file.ts'

/** One place where settings come from, in the shape of `muster.yaml`, not yet checked. */
export interface Source {
  readonly value: unknown
  /** Where the value (or with `key`, one of its keys) was written; undefined when not here. */
  place(
    this: void,
    path: Path,
    key?: string,
  ): { readonly where: string; readonly details: readonly string[] } | undefined
  readonly problems: readonly Problem[]
  readonly warnings: readonly string[]
}

/** Reads a `muster.yaml`. Never throws: what is wrong is in `problems`. */
export function yamlSource(name: string, text: string): Source {
  const file = parseText(name, text)
  if (file.problems.length > 0) return { value: {}, place: () => undefined, problems: file.problems, warnings: [] }
  return { value: file.value ?? {}, place: file.place, problems: [], warnings: [] }
}

/**
 * Reads a configuration file of Serf. Keys match whatever their case, types are strict, empty values (0, "", false) are as
 * if they were not there, and text behind the first value is ignored: all as Serf does it.
 */
export function serfSource(name: string, text: string): Source {
  const json = firstValue(text)
  const file = parseText(name, json)
  const problems = [...file.problems]
  const warnings: string[] = []
  const target: Record<string, unknown> = {}
  const keys = new Map<string, string>()
  if (problems.length === 0 && !isRecord(file.value))
    problems.push({ path: '', where: name, message: 'is not a JSON object' })
  for (const [key, value] of Object.entries(isRecord(file.value) ? file.value : {})) {
    const setting = SETTINGS.find(one => one.serf === key.toLowerCase())
    if (setting === undefined) {
      if (Object.hasOwn(SERF_KEYS_WITHOUT_EFFECT, key.toLowerCase())) {
        const why = SERF_KEYS_WITHOUT_EFFECT[key.toLowerCase()]
        if (why !== undefined && value !== false && value !== '')
          warnings.push(`${name}: "${key}" has no effect: ${why}`)
      } else if (problems.length < PROBLEMS_SHOWN) problems.push(unknownSerfKey(key, file))
      else problems.push({ path: key, message: `unknown key "${key}"` })
      continue
    }
    const expected = wrongType(setting, value)
    if (expected !== undefined) problems.push(at(file, [key], `${key} takes ${expected}`))
    else if (!isEmpty(value)) {
      keys.set(setting.path, key)
      putAt(target, setting.path, valueOf(setting, value))
    }
  }
  const place: Source['place'] = path => {
    const key = keys.get(path.slice(0, 2).join('.')) ?? keys.get(String(path[0]))
    return key === undefined ? undefined : file.place([key])
  }
  return { value: target, place, problems, warnings }
}

/** The text of the first JSON object: up to the brace that closes it. */
function firstValue(text: string): string {
  let depth = 0
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const char = text[i]
    if (quoted && char === '\\') i++
    else if (char === '"') quoted = !quoted
    else if (!quoted && (char === '{' || char === '[')) depth++
    else if (!quoted && (char === '}' || char === ']') && --depth === 0) return text.slice(0, i + 1)
  }
  return text
}

function wrongType(setting: Setting, value: unknown): string | undefined {
  switch (setting.kind) {
    case 'text':
    case 'role':
      return typeof value === 'string' ? undefined : 'text'
    case 'number':
      return typeof value === 'number' ? undefined : 'a number'
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'true or false'
    case 'list':
      return Array.isArray(value) && value.every(one => typeof one === 'string') ? undefined : 'a list of text'
    case 'mdns':
      return isRecord(value) ? undefined : 'an object'
    case 'tags':
      return isRecord(value) && Object.values(value).every(one => typeof one === 'string')
        ? undefined
        : 'a map of text to text'
  }
}

/** Keys of Serf's have no case, wherever they stand; tags are no keys of Serf's. */
function valueOf(setting: Setting, value: unknown): unknown {
  if (setting.kind === 'role') return { role: value }
  if (setting.kind !== 'mdns' || !isRecord(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key.toLowerCase(), one]))
}

function isEmpty(value: unknown): boolean {
  return value === '' || value === false || (typeof value === 'number' && value <= 0)
}

function at(file: TextFile, path: Path, message: string): Problem {
  return { path: path.join('.'), message, ...file.place(path) }
}

function unknownSerfKey(key: string, file: TextFile): Problem {
  const known = [...new Set(SETTINGS.flatMap(one => one.serf ?? [])), ...Object.keys(SERF_KEYS_WITHOUT_EFFECT)].sort()
  const meant = nearest(key.toLowerCase(), known)
  const place = file.place([], key)
  const hint = meant === undefined ? '' : `; did you mean "${meant}"?`
  const details = [...(place?.details ?? []), `  allowed: ${known.join(', ')}`]
  return { path: key, message: `unknown key "${key}"${hint}`, ...place, details }
}
