import { chmod, link, realpath, rm, stat } from 'node:fs/promises'
import { type Log, messageOf, readRegularFile, removeTornWrites, writeFileAtomic } from '../../base/index.ts'
import { Keyring } from '../../memberlist/index.ts'
import { KeyringFileError } from '../errors.ts'

/** @param text Serf's keyring file: a JSON array of base64 keys of 16, 24 or 32 bytes, the first is primary. @throws */
function ringIn(text: string): Keyring {
  const content = secretJson(text)
  if (!Array.isArray(content) || content.length === 0) throw new TypeError('it holds no keys')
  return new Keyring(content.map(keyFromBase64))
}

/** The system's own complaint would quote what it could not read: half a key, in the log. @throws SyntaxError */
export function secretJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new SyntaxError('it is not JSON')
  }
}

/** The ring as it was last read or written, beside the file: what a node starts with whose file has been torn. */
export function lastGoodKeyring(path: string): string {
  return `${path}.last-good`
}

/**
 * For an agent's start: keeps a copy of the ring that it uses, and puts the ring in place of a file that holds none any more,
 * which is set aside as `.set-aside`. Anything else than a file, and a file that cannot be read, is left alone. Never throws: what
 * cannot be written is said.
 */
export async function settleKeyringFile(path: string, keyring: Keyring, log: Log): Promise<void> {
  try {
    const target = await realpath(path) // a symbolic link stays one
    if (!(await stat(target)).isFile()) return
    await removeTornWrites(target) // a key may be in one, and the next rotation months away
    const reason = wrongIn(await readRegularFile(target, FILE_BYTES_MAX))
    if (reason !== undefined) {
      const aside = `${target}.set-aside`
      await rm(aside, { force: true })
      await link(target, aside) // so that there is a file at every moment, also on a full disk
      await writeFileAtomic(target, textOf(keyring), 0o600)
      log.error({ path, reason, aside }, 'the key ring was broken: set aside, and written anew from its last good copy')
    }
    await writeFileAtomic(lastGoodKeyring(path), textOf(keyring), 0o600)
  } catch (failure) {
    const sentence = 'cannot keep a copy of the key ring: should its file be torn, this node will not start'
    log.warn({ path: lastGoodKeyring(path), reason: messageOf(failure) }, sentence)
  }
}

/** Undefined when it is a ring. */
function wrongIn(text: string): string | undefined {
  try {
    ringIn(text)
    return undefined
  } catch (failure) {
    return messageOf(failure)
  }
}

/**
 * Whole or not at all; a new file gets mode 0600, an existing one keeps its own, and a symbolic link stays one. Then its copy,
 * which is removed where it cannot be renewed: it would bring a removed key back.
 * @throws KeyringFileError when something else than a file is there, or the system's error; what was there is untouched
 */
export async function writeKeyringFile(path: string, keyring: Keyring): Promise<void> {
  const content = textOf(keyring)
  const mode = await modeOf(path)
  if (mode === undefined) await writeFileAtomic(path, content, 0o600)
  else {
    const target = await realpath(path)
    await writeFileAtomic(target, content, 0o600)
    await chmod(target, mode) // the process's mask may have narrowed it
  }
  const copy = lastGoodKeyring(path)
  await writeFileAtomic(copy, content, 0o600).catch(() => rm(copy, { force: true }))
}

function textOf(keyring: Keyring): string {
  const keys = keyring.keys.map(key => Buffer.from(key).toString('base64'))
  return JSON.stringify(keys, undefined, 2)
}

function keyFromBase64(text: unknown): Uint8Array {
  if (typeof text !== 'string' || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw new TypeError('a key is not base64 text')
  return Buffer.from(text, 'base64')
}

/** A key takes about 50 bytes here, and a ring has a few of them; no configuration file may have more. */
const FILE_BYTES_MAX = 4 * 1024 * 1024

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
