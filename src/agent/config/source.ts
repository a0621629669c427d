import { isMap, isNode, isScalar, LineCounter, type Node, type ParsedNode, parseDocument, type Document } from 'yaml'
import { messageOf } from '../../base/index.ts'
import type { Problem } from './problems.ts'
import { isRecord, SERF_KEYS_WITHOUT_EFFECT, SETTINGS, type Setting, putAt } from './settings.ts'
import { nearest } from './nearest.ts'

export type Path = readonly PropertyKey[]

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

/** A configuration is written by hand; more than this is another file by mistake. */
const FILE_CHARS_MAX = 1 << 20

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
      } else problems.push(unknownSerfKey(key, file))
      continue
    }
    const expected = wrongType(setting, value)
    if (expected !== undefined) problems.push(at(file, [key], `${key} takes ${expected}`))
    else if (!isEmpty(value)) {
      keys.set(setting.path, key)
      putAt(target, setting.path, setting.kind === 'role' ? { role: value } : value)
    }
  }
  const place: Source['place'] = path => {
    const key = keys.get(path.slice(0, 2).join('.')) ?? keys.get(String(path[0]))
    return key === undefined ? undefined : file.place([key])
  }
  return { value: target, place, problems, warnings }
}

interface TextFile {
  readonly value: unknown
  readonly problems: readonly Problem[]
  place(this: void, path: Path, key?: string): { where: string; details: string[] } | undefined
}

function parseText(name: string, text: string): TextFile {
  if (text.length > FILE_CHARS_MAX) return broken(name, `is larger than ${FILE_CHARS_MAX} characters`)
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false })
  const show = (start: number, end: number) => excerpt(name, text, lines, start, end)
  if (document.errors.length > 0) {
    const problems = document.errors.map(error => {
      const { where, details } = show(error.pos[0], error.pos[1])
      return { path: '', where, message: error.message, details }
    })
    return { value: undefined, problems, place: () => undefined }
  }
  try {
    const value: unknown = document.toJS({ maxAliasCount: 100 })
    return { value, problems: [], place: (path, key) => placeIn(document, path, key, show) }
  } catch (error) {
    return broken(name, messageOf(error))
  }
}

function broken(name: string, message: string): TextFile {
  return { value: undefined, problems: [{ path: '', where: name, message }], place: () => undefined }
}

type Show = (start: number, end: number) => { where: string; details: string[] }

function placeIn(document: Document.Parsed, path: Path, key: string | undefined, show: Show) {
  let node: ParsedNode | Node | null = document.contents
  let culprit = node
  for (const step of key === undefined ? path : [...path, key]) {
    if (isMap(node)) {
      const pair = node.items.find(item => String(isScalar(item.key) ? item.key.value : item.key) === String(step))
      if (pair === undefined) return undefined
      culprit = pair.key as Node
      node = isNode(pair.value) ? pair.value : null
    } else {
      node = document.getIn([...path], true) as Node | null
      culprit = isNode(node) ? node : culprit
      break
    }
  }
  const shown = key === undefined && isScalar(node) ? node : culprit
  const range = shown?.range
  return range == null ? undefined : show(range[0], range[1])
}

/** The widest line that is shown whole. */
const EXCERPT_CHARS_MAX = 160

function excerpt(name: string, text: string, lines: LineCounter, start: number, end: number) {
  const { line, col } = lines.linePos(Math.min(start, text.length))
  const source = (text.split('\n')[line - 1] ?? '').replace(/\r$/, '')
  const where = `${name}:${line}:${col}`
  if (source.length > EXCERPT_CHARS_MAX) return { where, details: [] }
  const width = Math.max(1, Math.min(end - start, source.length - col + 1))
  const number = String(line).padStart(6)
  const gap = source.slice(0, col - 1).replace(/[^\t]/g, ' ')
  return { where, details: [`${number} | ${source}`, `${' '.repeat(6)} | ${gap}${'^'.repeat(width)}`] }
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
