import { messageOf } from '../../base/index.ts'
import { answerKeyQuery, fitKeyList, isKeyQuery } from '../keys.ts'
import { encodeSerfMessage, type KeyResponse, QueryFlag, type QueryMessage } from '../messages.ts'
import { writeKeyringFile } from './keyring-file.ts'
import type { RetiredKeys } from './retired-keys.ts'
import { RESPONSE_BYTES_MAX, type SerfConfig } from './serf-config.ts'

/** Serf starts a key list with at most one key per 25 bytes of a response. */
const KEY_BYTES_LISTED = 25
/**
 * Does what a key query asks for, writes the file, and answers; a list is shortened until it fits into a response.
 * @param encoded the whole response as it would be sent
 * @returns the answer's bytes; undefined when it is no key query
 */
export async function answerKeys(
  { name, payload, flags }: QueryMessage,
  config: SerfConfig,
  encoded: (payload: Uint8Array) => Uint8Array,
  retired?: RetiredKeys,
): Promise<Uint8Array | undefined> {
  if (!isKeyQuery(name)) return undefined
  // Who is given the keys by one member alone has missed a rotation: the old key's grace time began then, and does not begin anew.
  const retires = retired !== undefined && (flags & QueryFlag.noBroadcast) === 0
  const { response, changed } = answerKeyQuery(name, payload, config.keyring, retires)
  const written = changed ? await withFile(response, config) : response
  if (changed) await retired?.changed()
  const limit = config.queryResponseBytesMax ?? RESPONSE_BYTES_MAX
  const fits = (one: KeyResponse) => encoded(encodeSerfMessage(one)).length <= limit
  return encodeSerfMessage(fitKeyList(written, Math.floor(limit / KEY_BYTES_LISTED), fits))
}

async function withFile(response: KeyResponse, { keyring, keyringPath }: SerfConfig): Promise<KeyResponse> {
  if (keyring === undefined || keyringPath === undefined) return response
  try {
    await writeKeyringFile(keyringPath, keyring)
    return response
  } catch (failure) {
    return { ...response, result: false, message: `Failed to write keyring file: ${messageOf(failure)}` }
  }
}
