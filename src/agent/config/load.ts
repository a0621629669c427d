import { messageOf } from '../../base/index.ts'
import { checkSource } from './check.ts'
import { type ConfigWorld, systemWorld } from './drivers/world.ts'
import { mergeSettings } from './merge.ts'
import { type Problem, refuse } from './problems.ts'
import { absolute, resolveConfig } from './resolve.ts'
import { nearest } from './nearest.ts'
import { putAt, type Setting, SETTINGS, valueFromText, variableOf } from './settings.ts'
import { type Path, type Source, serfSource, yamlSource } from './source.ts'
import type { AgentConfig } from './types.ts'

/** Read when no file is named, if it is there. */
export const DEFAULT_FILE = '/etc/muster/muster.yaml'

/** What the command line and the environment say. */
export interface ConfigInput {
  /** Files and directories, in the order of the command line. */
  readonly files?: readonly { readonly kind: 'file' | 'dir'; readonly path: string }[]
  /** By the flag's name without dashes; several values for repeatable flags. */
  readonly flags?: Readonly<Record<string, readonly string[]>>
  /** Only names that begin with `MUSTER_` are looked at. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** As Serf's command: files are Serf's JSON whatever their name, but for `.yaml` and `.yml`. */
  readonly serf?: boolean
  /** Where state and sockets are if nothing else says so. */
  readonly dirs?: { readonly state: string; readonly run: string }
}

/**
 * Reads files, environment and flags, the later ones winning, and checks the whole.
 * @throws ConfigError with every problem that was found
 */
export function loadConfig(input: ConfigInput, world: ConfigWorld = systemWorld): AgentConfig {
  const files = filesOf(input, world)
  const sources = [
    ...standardDirs(input),
    ...files.sources,
    environmentSource(input.env ?? {}),
    flagSource(input.flags ?? {}),
  ]
  const checked = sources.map(checkSource)
  const problems: Problem[] = [...files.problems, ...checked.flatMap(one => one.problems)]
  refuse(problems)
  const warnings = sources.flatMap(source => source.warnings)
  const settings = mergeSettings(checked.map(one => one.settings))
  const config = resolveConfig(settings, world, {
    problem: (path, message) => problems.push({ path, message, ...placeOf(path, sources) }),
    warn: sentence => warnings.push(sentence),
  })
  refuse(problems)
  const origin = { settings, whereIs: (path: string) => placeOf(path, sources).where }
  return freezeDeep({ ...config, warnings, files: files.names, origin })
}

/** The winner's place: the last source that says something about the path, or about what contains it. */
function placeOf(path: string, sources: readonly Source[]): { where?: string; details?: readonly string[] } {
  for (let keys: Path = path.split('.'); keys.length > 0; keys = keys.slice(0, -1)) {
    for (const source of sources.toReversed()) {
      const place = source.place(keys)
      if (place !== undefined) return place
    }
  }
  return {}
}

function filesOf(input: ConfigInput, world: ConfigWorld) {
  const problems: Problem[] = []
  const paths = (input.files ?? []).flatMap(one =>
    one.kind === 'file' ? [one.path] : jsonFilesIn(one.path, world, problems),
  )
  const fromEnv = input.env?.['MUSTER_CONFIG_FILE']
  if ((input.files ?? []).length === 0) {
    if (fromEnv !== undefined && fromEnv !== '') paths.push(fromEnv)
    else if (world.exists(DEFAULT_FILE)) paths.push(DEFAULT_FILE)
  }
  const sources: Source[] = []
  for (const path of paths) {
    try {
      const text = world.readText(path)
      sources.push(isSerfs(path, input) ? serfSource(path, text) : relativeTo(path, yamlSource(path, text), world))
    } catch (error) {
      problems.push({ path: '', where: path, message: `cannot be read: ${messageOf(error)}` })
    }
  }
  return { sources, problems, names: paths }
}

function isSerfs(path: string, { serf = false }: ConfigInput): boolean {
  return path.endsWith('.json') || (serf && !/\.ya?ml$/.test(path))
}

function standardDirs({ dirs }: ConfigInput): Source[] {
  if (dirs === undefined) return []
  const value = { state_dir: dirs.state, run_dir: dirs.run }
  return [{ value, place: () => undefined, problems: [], warnings: [] }]
}

/** Serf's `-config-dir`: the `.json` files, sorted, without descending; and YAML files in the same way. */
function jsonFilesIn(path: string, world: ConfigWorld, problems: Problem[]): string[] {
  try {
    const names = world.list(path).filter(name => /\.(json|ya?ml)$/.test(name))
    return names.sort().map(name => `${path.replace(/\/$/, '')}/${name}`)
  } catch (error) {
    problems.push({ path: '', where: path, message: `cannot be read: ${messageOf(error)}` })
    return []
  }
}

/** Paths in a `muster.yaml` are relative to the file, so that it may be moved together with what it names. */
function relativeTo(file: string, source: Source, world: ConfigWorld): Source {
  const folder = absolute(file, world).replace(/\/[^/]*$/, '')
  const value = structuredClone(source.value)
  for (const path of PATH_SETTINGS) {
    const keys = path.split('.')
    const last = keys.pop() as string
    for (const holder of holdersAt(value, keys)) {
      const given = holder[last]
      if (given === undefined) continue
      if (path === 'balancer.template' && BUILT_IN_TEMPLATES.includes(given as string)) continue
      holder[last] = Array.isArray(given) ? given.map(one => below(folder, one)) : below(folder, given)
    }
  }
  return { ...source, value }
}

/** What is no relative path stays as it is; HAProxy's `@system-ca` is none. */
function below(folder: string, path: unknown): unknown {
  if (typeof path !== 'string' || path === '' || path.startsWith('/') || path.startsWith('@')) return path
  return path === '.' ? folder : `${folder}/${path.replace(/^(?:\.\/)+/, '')}`
}

const BUILT_IN_TEMPLATES: readonly string[] = ['slots', 'named']
const PATH_SETTINGS: readonly string[] = [
  'cluster.keyring',
  'cluster.snapshot',
  'cluster.tags_file',
  'balancer.template',
  'balancer.config',
  'balancer.frontends.*.tls.certificates',
  'balancer.pools.*.server_tls.ca',
  'api.socket',
  'services.*.cwd',
  'state_dir',
  'run_dir',
]

function holdersAt(value: unknown, keys: readonly string[]): Record<string, unknown>[] {
  if (typeof value !== 'object' || value === null) return []
  const record = value as Record<string, unknown>
  const [key, ...rest] = keys
  if (key === undefined) return [record]
  return key === '*' ? Object.values(record).flatMap(one => holdersAt(one, rest)) : holdersAt(record[key], rest)
}

function flagSource(flags: Readonly<Record<string, readonly string[]>>): Source {
  const given = SETTINGS.filter(setting => setting.flag !== undefined && Object.hasOwn(flags, setting.flag))
  const warnings = given.some(setting => setting.flag === 'role') ? ['-role is deprecated; write -tag role=…'] : []
  return textSource(
    given,
    setting => flags[setting.flag as string] ?? [],
    setting => `-${setting.flag}`,
    warnings,
  )
}

function environmentSource(env: Readonly<Record<string, string | undefined>>): Source {
  const known = SETTINGS.filter(({ kind }) => kind !== 'role' && kind !== 'mdns')
  const given = known.filter(setting => (env[variableOf(setting.path)] ?? '') !== '')
  const variables = [...known.map(setting => variableOf(setting.path)), 'MUSTER_CONFIG_FILE']
  const warnings = Object.keys(env)
    .filter(name => name.startsWith('MUSTER_') && !variables.includes(name))
    .flatMap(name => {
      const meant = nearest(name, variables)
      return meant === undefined ? [] : [`${name} in the environment is not a setting; did you mean ${meant}?`]
    })
  // A path's own words, not the flag's: MUSTER_CLUSTER_COMPRESS=false, where the flag is -disable-compression.
  const upright = given.map((setting): Setting => ({ path: setting.path, kind: setting.kind, help: setting.help }))
  return textSource(
    upright,
    setting => splitVariable(setting, env),
    setting => variableOf(setting.path),
    warnings,
  )
}

/** Handlers may hold commas, so they stand one on a line. */
function splitVariable(setting: Setting, env: Readonly<Record<string, string | undefined>>): string[] {
  const text = env[variableOf(setting.path)] ?? ''
  if (setting.kind !== 'list' && setting.kind !== 'tags') return [text]
  const separator = setting.path === 'event_handlers' ? '\n' : ','
  return text
    .split(separator)
    .map(one => one.trim())
    .filter(one => one !== '')
}

function textSource(
  given: readonly Setting[],
  textsOf: (setting: Setting) => readonly string[],
  nameOf: (setting: Setting) => string,
  warnings: readonly string[],
): Source {
  const value: Record<string, unknown> = {}
  for (const setting of given) putAt(value, setting.path, valueFromText(setting, textsOf(setting)))
  const place: Source['place'] = path => {
    const dotted = path.join('.')
    const setting = given.find(one => dotted === one.path || dotted.startsWith(`${one.path}.`))
    return setting === undefined ? undefined : { where: nameOf(setting), details: [] }
  }
  return { value, place, problems: [], warnings }
}

function freezeDeep<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value
  for (const part of Object.values(value)) freezeDeep(part)
  return Object.freeze(value)
}
