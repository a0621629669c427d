import { assert } from '../../../src/base/index.ts'
import { ConfigError, loadConfig } from '../../../src/agent/index.ts'
import { kept } from '../corpus.ts'
import { type Target, target } from '../target.ts'

/** A machine that has one file. */
function worldWith(path: string, text: string) {
  return {
    readText: () => text,
    list: () => [path],
    exists: (asked: string) => asked === path,
    hostName: () => 'host-1',
    addressesOf: () => ['10.0.0.9'],
    workingDirectory: () => '/home/me',
  }
}

/** How our own code breaks; whoever reads a file says so in a problem, as if the file were wrong. */
const BROKEN =
  /not a function|not iterable|not defined|call stack|cannot (read|set) prop|Invalid (array|string) length/i

type Input = Parameters<typeof loadConfig>[0]

/** Read whole, or refused with a list of what is wrong in words that fit on a screen. */
function load(input: Input, path: string, bytes: Uint8Array): boolean {
  try {
    loadConfig(input, worldWith(path, Buffer.from(bytes).toString()))
    return true
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown
    assert(thrown.problems.length > 0 && thrown.problems.length <= 21, `${thrown.problems.length} problems`)
    assert(!BROKEN.test(thrown.message), thrown.message)
    assert(thrown.message.length < MESSAGE_CHARS_MAX, `a message of ${thrown.message.length} characters`)
    return false
  }
}

const MESSAGE_CHARS_MAX = 256 * 1024

const SHARED = { family: 'text', stateCases: 1 } as const
const NAMES = [
  ...[
    'node',
    'name',
    'tags',
    'cluster',
    'bind',
    'join',
    'encrypt',
    'keyring',
    'rpc',
    'services',
    'command',
    'pool',
    'port',
  ],
  ...['ready', 'http', 'balancer', 'frontends', 'pools', 'check', 'sticky', 'cookie', 'log', 'level', 'event_handlers'],
  ...['engine: serf', 'profile: wan', 'retry_interval: 9999999h', 'true', 'false', '30s', '127.0.0.1:0', '[::1]:65536'],
]
const KEYS = [
  ...['"node_name"', '"tags"', '"role"', '"bind"', '"interface"', '"encrypt_key"', '"start_join"', '"event_handlers"'],
  ...['"snapshot_path"', '"query_size_limit"', '"Protocol"', '"unknown"', '{}', '[]', '[""]', '{"a":1}', '"\\ud800"'],
]

const yaml = target({
  ...{ ...SHARED, name: 'muster-yaml', corpus: kept('muster-yaml'), words: NAMES, share: 1, casesInTest: 600 },
  start: () => (_, bytes) => load({ files: [{ kind: 'file', path: '/m.yaml' }] }, '/m.yaml', bytes),
})

const json = target({
  ...{ ...SHARED, name: 'serf-json', corpus: kept('serf-json'), words: KEYS, share: 1, casesInTest: 600 },
  start: () => (_, bytes) => load({ files: [{ kind: 'file', path: '/s.json' }] }, '/s.json', bytes),
})

const keyrings = target({
  ...{ ...SHARED, name: 'keyrings', corpus: kept('keyrings'), words: ['"', '=', '==', ',', 'null', '[]'] },
  ...{ share: 4, casesInTest: 6000 },
  start: () => (_, bytes) => load({ flags: { 'keyring-file': ['/keys'] } }, '/keys', bytes),
})

const tagsFiles = target({
  ...{ ...SHARED, name: 'tags-files', corpus: kept('tags-files'), words: ['"a":"b"', '"a":1', '{}', 'null', ','] },
  ...{ share: 4, casesInTest: 6000 },
  start: () => (_, bytes) => load({ flags: { 'tags-file': ['/tags'] } }, '/tags', bytes),
})

export const configTargets: readonly Target[] = [yaml, json, keyrings, tagsFiles]
