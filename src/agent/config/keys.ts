import { messageOf } from '../../base/index.ts'
import { lastGoodKeyring, secretJson } from '../../serf/index.ts'
import type { ConfigWorld } from './drivers/world.ts'
import type { Findings } from './findings.ts'
import type { FileSettings } from './schema.ts'

const KEY_RULE = 'a key is the base64 of 16, 24 or 32 bytes; to make one: head -c 32 /dev/urandom | base64'

/** The keys of gossip, from `encrypt` or from Serf's keyring file, the first one primary; undefined when neither is set. */
export function readKeys(
  cluster: NonNullable<FileSettings['cluster']>,
  world: ConfigWorld,
  findings: Findings,
): Uint8Array[] | undefined {
  if (cluster.encrypt !== undefined && cluster.keyring !== undefined) {
    findings.problem(
      'cluster.encrypt',
      'cluster.encrypt: not allowed beside a keyring; put the key into the keyring file',
    )
  }
  if (cluster.keyring !== undefined) return keysOfFile(cluster.keyring, world, findings)
  if (cluster.encrypt === undefined) return undefined
  const key = keyFrom(cluster.encrypt)
  if (key === undefined) findings.problem('cluster.encrypt', `cluster.encrypt: this is not a key; ${KEY_RULE}`)
  return key === undefined ? undefined : [key]
}

/**
 * A file that holds no ring (any more) is replaced by its last good copy, where an earlier start has left one. One that cannot be
 * read is not: what is in it may be newer.
 */
function keysOfFile(path: string, world: ConfigWorld, findings: Findings): Uint8Array[] | undefined {
  const text = textOf(path, world)
  const ring = ringIn(text)
  if (typeof ring !== 'string') return ring
  const copy = lastGoodKeyring(path)
  const kept = text instanceof Error ? ring : ringIn(textOf(copy, world))
  if (typeof kept === 'string') {
    findings.problem('cluster.keyring', `cluster.keyring: ${path}: ${ring}`)
    return undefined
  }
  findings.warn(`cluster.keyring: ${path}: ${ring}; using the keys of ${copy}`)
  return kept
}

function textOf(path: string, world: ConfigWorld): string | Error {
  try {
    return world.readText(path)
  } catch (failure) {
    return failure instanceof Error ? failure : new Error(messageOf(failure), { cause: failure })
  }
}

/** @returns the keys, or what is wrong */
function ringIn(text: string | Error): Uint8Array[] | string {
  if (text instanceof Error) return text.message
  try {
    const list = secretJson(text)
    if (!Array.isArray(list) || list.length === 0) return 'is not a JSON list with at least one key'
    const keys = list.map(keyFrom)
    const wrong = keys.indexOf(undefined)
    return wrong < 0 ? (keys as Uint8Array[]) : `entry ${wrong + 1} is not a key; ${KEY_RULE}`
  } catch (error) {
    return messageOf(error)
  }
}

function keyFrom(text: unknown): Uint8Array | undefined {
  if (typeof text !== 'string' || !/^[A-Za-z0-9+/]{22,44}={0,2}$/.test(text)) return undefined
  const key = Buffer.from(text, 'base64')
  return [16, 24, 32].includes(key.length) ? new Uint8Array(key) : undefined
}
