import { accessSync, constants, existsSync, readdirSync, readFileSync, type Stats, statSync } from 'node:fs'
import { parseHandler } from '../../agent/handlers/handler-spec.ts'
import { messageOf } from '../../base/index.ts'
import { decodeBase64, encodeTags } from '../../serf/index.ts'
import { readTarget } from './connect.ts'
import { type GivenFlag, readDuration } from './go-flags.ts'
import { quoted } from './go-text.ts'

/** What Serf's agent prints before it runs, each line with `==> ` in front; the last one ends it when `isFatal`. */
export interface Complaints {
  readonly lines: readonly string[]
  readonly isFatal: boolean
}

/** Serf's agent has found something that it cannot start with. */
class Refused extends Error {}

/** The options of one start, by name. */
class Options {
  readonly #given: readonly GivenFlag[]

  constructor(given: readonly GivenFlag[]) {
    this.#given = given
  }

  all(...names: string[]): string[] {
    return this.#given.filter(({ name }) => names.includes(name)).map(({ value }) => value)
  }

  /** The last one counts; empty is as if it were not given. */
  get(name: string): string {
    return this.all(name).at(-1) ?? ''
  }
}

/** The checks of Serf's agent, in its order and words (0.10), as far as options alone can be wrong. */
export function startupComplaints(given: readonly GivenFlag[]): Complaints {
  const options = new Options(given)
  const lines: string[] = []
  try {
    checkValues(options)
    lines.push(...warnings(options))
    checkSetup(options)
    lines.push('Starting Serf agent...')
    checkStart(options)
    return { lines, isFatal: false }
  } catch (failure) {
    if (!(failure instanceof Refused)) throw failure
    return { lines: [...lines, failure.message], isFatal: true }
  }
}

function checkValues(options: Options): void {
  for (const tag of options.all('tag')) {
    if (tag.indexOf('=') <= 0) throw new Refused(`Error: Invalid tag: '${tag}'`)
  }
  for (const name of ['retry-interval', 'broadcast-timeout']) {
    const text = options.get(name)
    if (text !== '' && readDuration(text) === undefined) throw new Refused(`Error: ${durationFlaw(text)}`)
  }
  for (const path of options.all('config-file', 'config-dir')) checkReadable(path)
  for (const spec of options.all('event-handler')) worded('', () => parseHandler(spec))
  const iface = options.get('iface')
  if (iface !== '' && (iface.includes('/') || !existsSync(`/sys/class/net/${iface}`)))
    throw new Refused('Invalid network interface: route ip+net: no such network interface')
}

/** What Go's `time.ParseDuration` says of the first part that is not a number with a unit. */
function durationFlaw(text: string): string {
  const rest = text.replace(/^[+-]/, '').replace(/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h)(?![^\d.]))+/, '')
  const [, unit] = /^(?:\d+\.?\d*|\.\d+)([^\d.]*)/.exec(rest) ?? []
  if (unit === undefined) return `time: invalid duration ${quoted(text)}`
  if (unit === '') return `time: missing unit in duration ${quoted(text)}`
  return `time: unknown unit ${quoted(unit)} in duration ${quoted(text)}`
}

const ERRNO_WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  ENOTDIR: 'not a directory',
}

/** Without reading it: a pipe (a process substitution) can be read once, and the agent is to have it. */
function checkReadable(path: string): void {
  try {
    if (statSync(path).isDirectory()) readdirSync(path)
    else accessSync(path, constants.R_OK)
  } catch (failure) {
    throw new Refused(`Error reading '${path}': open ${path}: ${errnoWords(failure)}`)
  }
}

function errnoWords(failure: unknown): string {
  const code = failure instanceof Error && 'code' in failure ? String(failure.code) : ''
  return ERRNO_WORDS[code] ?? messageOf(failure)
}

/** Runs a check of ours whose message is Serf's. */
function worded(prefix: string, check: () => unknown): void {
  try {
    check()
  } catch (failure) {
    throw new Refused(`${prefix}${messageOf(failure)}`)
  }
}

function warnings(options: Options): string[] {
  const isLow = (name: string) => options.get(name) !== '' && (readDuration(options.get(name)) ?? 0) < 1e9
  const isOn = (name: string) => /^(1|t|true)$/i.test(options.get(name))
  return [
    ...(options.get('role') === '' ? [] : ["Deprecation warning: 'Role' has been replaced with 'Tags'"]),
    ...(isLow('retry-interval') ? ["Warning: 'RetryInterval' is too low. Setting to 1s"] : []),
    ...(isLow('broadcast-timeout') ? ["Warning: 'BroadcastTimeout' is too low. Setting to 1s"] : []),
    ...(isOn('rejoin') && options.get('snapshot') === ''
      ? ["Warning: 'RejoinAfterLeave' enabled without snapshot file"]
      : []),
  ]
}

const LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERR']
const PROFILES = ['', 'lan', 'wan', 'local']

function checkSetup(options: Options): void {
  const level = options.get('log-level').toUpperCase()
  if (level !== '' && !LEVELS.includes(level))
    throw new Refused(`Invalid log level: ${level}. Valid log levels are: [${LEVELS.join(' ')}]`)
  for (const name of ['bind', 'advertise']) {
    const flaw = options.get(name) === '' ? undefined : addressFlaw(options.get(name))
    if (flaw !== undefined) throw new Refused(`Invalid ${name} address: ${flaw}`)
  }
  worded('Invalid encryption key: ', () => decodeBase64(options.get('encrypt')))
  if (!PROFILES.includes(options.get('profile'))) throw new Refused(`Unknown profile: ${options.get('profile')}`)
}

function addressFlaw(text: string): string | undefined {
  const target = readTarget(text)
  if (typeof target !== 'string') return undefined
  const again = target.endsWith('missing port in address') ? readTarget(`${text}:7946`) : target
  return typeof again === 'string' ? again : undefined
}

/** White space included. */
const EMPTY_KEYRING_BYTES_MAX = 1024
const KEY_BYTES = [16, 24, 32]

function checkStart(options: Options): void {
  const setup = 'Failed to setup the Serf agent: '
  const start = 'Failed to start the Serf agent: Error creating Serf: '
  const tags = Object.fromEntries(
    options.all('tag').map(tag => [tag.split('=', 1)[0], tag.slice(tag.indexOf('=') + 1)]),
  )
  if (options.get('tags-file') !== '' && Object.keys(tags).length > 0)
    throw new Refused(`${setup}Tags config not allowed while using tag files`)
  if (options.get('keyring-file') !== '') checkKeyring(setup, options)
  const protocol = Number(options.get('protocol'))
  const range = 'Must be in range: [2, 5]'
  if (protocol === 1) throw new Refused(`${start}Protocol version '1' too low. ${range}`)
  if (protocol > 5) throw new Refused(`${start}Protocol version '${protocol}' too high. ${range}`)
  worded(start, () => encodeTags(tags))
  const key = decodeBase64(options.get('encrypt'))
  if (key.length > 0 && !KEY_BYTES.includes(key.length))
    throw new Refused(`${start}Failed to create memberlist: key size must be 16, 24 or 32 bytes`)
}

function checkKeyring(setup: string, options: Options): void {
  const path = options.get('keyring-file')
  if (options.get('encrypt') !== '') throw new Refused(`${setup}Encryption key not allowed while using a keyring`)
  let found: Stats
  try {
    found = statSync(path)
  } catch (failure) {
    throw new Refused(`${setup}stat ${path}: ${errnoWords(failure)}`)
  }
  if (!found.isFile() || found.size > EMPTY_KEYRING_BYTES_MAX) return // whatever else it is, the agent reads it
  if (/^\s*\[\s*\]\s*$/.test(readFileSync(path, 'utf8'))) throw new Refused(`${setup}Keyring file contains no keys`)
}
