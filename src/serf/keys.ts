import type { Keyring } from '../memberlist/index.ts'
import { messageOf } from '../base/index.ts'
import { CodecError } from '../codec/index.ts'
import { decodeSerfMessage, type KeyResponse } from './messages.ts'

export const KEY_QUERIES = ['_serf_install-key', '_serf_use-key', '_serf_remove-key', '_serf_list-keys'] as const
export type KeyQuery = (typeof KEY_QUERIES)[number]

export function isKeyQuery(name: string): name is KeyQuery {
  return (KEY_QUERIES as readonly string[]).includes(name)
}

/**
 * Applies one key query to the ring.
 * @param retires a key that is removed is retired, and not forgotten at once
 * @returns the answer, and whether the ring changed (then its file has to be written)
 */
export function answerKeyQuery(
  query: KeyQuery,
  payload: Uint8Array,
  keyring: Keyring | undefined,
  retires = false,
): { response: KeyResponse; changed: boolean } {
  if (query === '_serf_list-keys') return { response: listKeys(keyring), changed: false }
  if (keyring?.primary === undefined) return refused('No keyring to modify (encryption not enabled)')
  const key = requestedKey(payload)
  if (key === undefined) return refused('')
  try {
    if (query === '_serf_install-key') keyring.install(key)
    else if (query === '_serf_use-key') keyring.use(key)
    else if (retires && keyring.has(key)) keyring.retire(key)
    else keyring.remove(key)
    return { response: { ...EMPTY, result: true }, changed: true }
  } catch (failure) {
    return refused(messageOf(failure))
  }
}

/** The list, cut to what fits: `fits` encodes the whole query response (Serf starts with limit / 25 keys). */
export function fitKeyList(response: KeyResponse, keysMax: number, fits: (r: KeyResponse) => boolean): KeyResponse {
  const all = response.keys ?? []
  if (fits(response) && all.length <= keysMax) return response
  for (let kept = Math.min(keysMax, all.length); kept > 0; kept--) {
    const message = `truncated key list response, showing first ${kept} of ${all.length} keys`
    const cut = { ...response, keys: all.slice(0, kept), message }
    if (fits(cut)) return cut
  }
  return { ...response, keys: [] }
}

const EMPTY = { type: 'keyResponse', keys: undefined, message: '', primaryKey: '', result: false } as const

function refused(message: string): { response: KeyResponse; changed: boolean } {
  return { response: { ...EMPTY, message }, changed: false }
}

function listKeys(keyring: Keyring | undefined): KeyResponse {
  if (keyring?.primary === undefined) return { ...EMPTY, message: 'Keyring is empty (encryption not enabled)' }
  const base64 = (key: Uint8Array) => Buffer.from(key).toString('base64')
  return { ...EMPTY, keys: keyring.keys.map(base64), primaryKey: base64(keyring.primary), result: true }
}

/** A copy: what was received is a view of a packet. An empty payload (real nodes crash on it) is undecodable. */
function requestedKey(payload: Uint8Array): Uint8Array | undefined {
  if (payload.length === 0) return undefined
  try {
    const request = decodeSerfMessage(Uint8Array.of(7, ...payload.subarray(1)))
    return request.type === 'keyRequest' ? request.key.slice() : undefined
  } catch (failure) {
    if (failure instanceof CodecError) return undefined
    throw failure
  }
}
