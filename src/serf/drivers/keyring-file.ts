import { readFile, stat } from 'node:fs/promises'
import { messageOf, writeFileAtomic } from '../../base/index.ts'
import { Keyring } from '../../memberlist/index.ts'
import { KeyringFileError } from '../errors.ts'

/**
 * Serf's keyring file: a JSON array of base64 keys of 16, 24 or 32 bytes, the first is primary.
 * @throws KeyringFileError when it is missing, malformed or empty
 */
export async function readKeyringFile(path: string): Promise<Keyring> {
  try {
    const content: unknown = JSON.parse(await readFile(path, 'utf8'))
    if (!Array.isArray(content) || content.length === 0) throw new TypeError('it holds no keys')
    return new Keyring(content.map(keyFromBase64))
  } catch (failure) {
    throw new KeyringFileError(`cannot use keyring file ${path}: ${messageOf(failure)}`, { cause: failure })
  }
}

/** Whole or not at all; a new file gets mode 0600, an existing one keeps its own. @throws the system's error */
export async function writeKeyringFile(path: string, keyring: Keyring): Promise<void> {
  const keys = keyring.keys.map(key => Buffer.from(key).toString('base64'))
  await writeFileAtomic(path, JSON.stringify(keys, undefined, 2), await modeOf(path))
}

function keyFromBase64(text: unknown): Uint8Array {
  if (typeof text !== 'string' || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw new TypeError('a key is not base64 text')
  return Buffer.from(text, 'base64')
}

async function modeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).mode & 0o777
  } catch (failure) {
    if (failure instanceof Error && 'code' in failure && failure.code === 'ENOENT') return 0o600
    throw failure
  }
}
