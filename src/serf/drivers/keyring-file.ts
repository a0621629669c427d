import { chmod, readFile, realpath, stat } from 'node:fs/promises'
import { messageOf, writeFileAtomic } from '../../base/index.ts'
import { Keyring } from '../../memberlist/index.ts'
import { KeyringFileError } from '../errors.ts'

/**
 * Serf's keyring file: a JSON array of base64 keys of 16, 24 or 32 bytes, the first is primary.
 * @throws KeyringFileError when it is missing, malformed or empty
 */
export async function readKeyringFile(path: string): Promise<Keyring> {
  try {
    const found = await stat(path)
    if (!found.isFile()) throw new TypeError('it is no file')
    if (found.size > FILE_BYTES_MAX) throw new RangeError(`it is larger than ${FILE_BYTES_MAX} bytes`)
    const content: unknown = JSON.parse(await readFile(path, 'utf8'))
    if (!Array.isArray(content) || content.length === 0) throw new TypeError('it holds no keys')
    return new Keyring(content.map(keyFromBase64))
  } catch (failure) {
    throw new KeyringFileError(`cannot use keyring file ${path}: ${messageOf(failure)}`, { cause: failure })
  }
}

/**
 * Whole or not at all; a new file gets mode 0600, an existing one keeps its own, and a symbolic link stays one.
 * @throws KeyringFileError when something else than a file is there, or the system's error; what was there is untouched
 */
export async function writeKeyringFile(path: string, keyring: Keyring): Promise<void> {
  const keys = keyring.keys.map(key => Buffer.from(key).toString('base64'))
  const content = JSON.stringify(keys, undefined, 2)
  const mode = await modeOf(path)
  if (mode === undefined) return writeFileAtomic(path, content, 0o600)
  const target = await realpath(path)
  await writeFileAtomic(target, content, 0o600)
  await chmod(target, mode) // the process's mask may have narrowed it
}

function keyFromBase64(text: unknown): Uint8Array {
  if (typeof text !== 'string' || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw new TypeError('a key is not base64 text')
  return Buffer.from(text, 'base64')
}

/** A key takes about 50 bytes here, and a ring has a few of them. */
const FILE_BYTES_MAX = 1024 * 1024

/** Undefined when there is nothing. */
async function modeOf(path: string): Promise<number | undefined> {
  try {
    const found = await stat(path)
    if (!found.isFile()) throw new KeyringFileError(`cannot use keyring file ${path}: it is no file`)
    return found.mode & 0o777
  } catch (failure) {
    if (failure instanceof Error && 'code' in failure && failure.code === 'ENOENT') return undefined
    throw failure
  }
}
