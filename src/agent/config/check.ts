import * as z from 'zod'
import { nearest } from './nearest.ts'
import { type Problem, PROBLEMS_SHOWN } from './problems.ts'
import { type FileSettings, FileSchema } from './schema.ts'
import { isRecord } from './settings.ts'
import type { Path, Source } from './source.ts'

/** What a source says, through the schema; problems carry the place where they were written. */
export function checkSource(source: Source): { settings: FileSettings; problems: readonly Problem[] } {
  const { value, problems } = checkAgainst(FileSchema, source)
  return { settings: value ?? {}, problems }
}

/** The same for any other document that is written by hand: a scenario of the simulator. `value` is there without problems. */
export function checkAgainst<T extends z.ZodType>(
  schema: T,
  source: Source,
): { value?: z.output<T>; problems: readonly Problem[] } {
  if (source.problems.length > 0) return { problems: source.problems }
  const result = schema.safeParse(source.value)
  if (result.success) return { value: result.data, problems: [] }
  const checked = { ...source, schema }
  return { problems: result.error.issues.flatMap(issue => problemsOf(issue, [], checked)) }
}

/** A source, and what it should look like. */
type Checked = Source & { readonly schema: z.ZodType }

type Issue = z.core.$ZodIssue

function problemsOf(issue: Issue, above: Path, source: Checked): Problem[] {
  const path = [...above, ...issue.path]
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key, nth) =>
      nth < PROBLEMS_SHOWN ? unknownKey(key, path, source) : { path: key, message: `unknown key "${key}"` },
    )
  if (issue.code === 'invalid_union') {
    const branch = issue.errors.find(issues => issues.length > 0 && !issues.some(isWrongKind))
    if (branch !== undefined) return branch.flatMap(inner => problemsOf(inner, path, source))
  }
  if (issue.code === 'invalid_key') return [wrongKey(issue, path, source)]
  const value = valueAt(source.value, path)
  if (value === undefined) return [missingKey(path, source)]
  if (value === null && issue.code === 'invalid_type') return [nothing(path, source)]
  const shown = issue.message.includes('"') ? '' : `, not ${shownOf(value)}`
  return [{ path: path.join('.'), message: `${nameOf(path)}: ${issue.message}${shown}`, ...source.place(path) }]
}

/** The branch of a union was not meant at all. */
function isWrongKind(issue: Issue): boolean {
  return issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value')
}

function unknownKey(key: string, path: Path, source: Checked): Problem {
  const known = keysAllowedAt(path, source.schema)
  const meant = nearest(key, known)
  const place = source.place(path, key)
  const hint = meant === undefined ? '' : `; did you mean "${meant}"?`
  const inside = path.length === 0 ? '' : ` in ${path.join('.')}`
  const details = [...(place?.details ?? []), `  allowed${inside}: ${known.join(', ')}`]
  return { path: [...path, key].join('.'), message: `unknown key "${key}"${inside}${hint}`, ...place, details }
}

function wrongKey(
  issue: z.core.$ZodIssueInvalidElement | z.core.$ZodIssueInvalidKey,
  path: Path,
  source: Source,
): Problem {
  const key = String(path.at(-1) ?? '')
  const why = issue.issues[0]?.message ?? 'not allowed here'
  const rule = key === '' ? 'a key is empty; write KEY=VALUE' : `"${key}" is not allowed as a name: ${why}`
  return {
    path: path.join('.'),
    message: `${nameOf(path.slice(0, -1))}: ${rule}`,
    ...source.place(path.slice(0, -1), key),
  }
}

function missingKey(path: Path, source: Source): Problem {
  const parent = path.slice(0, -1)
  return {
    path: path.join('.'),
    message: `${nameOf(parent)}: "${String(path.at(-1))}" is missing`,
    ...source.place(parent),
  }
}

function nothing(path: Path, source: Source): Problem {
  const message = `${nameOf(path)}: there is nothing in it; put something below it, or take the key away`
  return { path: path.join('.'), message, ...source.place(path) }
}

function nameOf(path: Path): string {
  return path.length === 0 ? 'the file' : path.join('.')
}

function shownOf(value: unknown): string {
  const text = JSON.stringify(value) ?? typeof value
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}

function valueAt(value: unknown, path: Path): unknown {
  let here = value
  for (const key of path) {
    if (Array.isArray(here)) here = here[Number(key)]
    else if (isRecord(here) && Object.hasOwn(here, key)) here = here[String(key)]
    else return undefined
  }
  return here
}

/** `muster.yaml`, or another document, as JSON Schema, draft 7. */
export function jsonSchema(schema: z.ZodType = FileSchema): JsonSchema {
  const known = made.get(schema)
  if (known !== undefined) return known
  const fresh = z.toJSONSchema(schema, { target: 'draft-7', io: 'input' }) as JsonSchema
  made.set(schema, fresh)
  return fresh
}

/** Always the same, and asked for again with each wrong key. */
const made = new WeakMap<z.ZodType, JsonSchema>()

/** The part of JSON Schema that we walk. */
export interface JsonSchema {
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly additionalProperties?: JsonSchema | boolean
  readonly required?: readonly string[]
  readonly anyOf?: readonly JsonSchema[]
  readonly items?: JsonSchema
  readonly enum?: readonly unknown[]
  readonly const?: unknown
}

/** The keys that the schema knows at a path, for the sentence that says what is allowed. */
function keysAllowedAt(path: Path, schema: z.ZodType = FileSchema): string[] {
  let here = [jsonSchema(schema)]
  for (const key of path)
    here = here.flatMap(one => stepInto(one, String(key))).flatMap(one => [one, ...(one.anyOf ?? [])])
  return here.flatMap(one => Object.keys(one.properties ?? {}))
}

function stepInto(schema: JsonSchema, key: string): JsonSchema[] {
  const own = schema.properties?.[key]
  if (own !== undefined) return [own]
  if (schema.items !== undefined) return [schema.items]
  return typeof schema.additionalProperties === 'object' ? [schema.additionalProperties] : []
}
