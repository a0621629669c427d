import { createCipheriv, createDecipheriv } from 'node:crypto'
import { CodecError } from '../../codec/index.ts'
import type { Keyring } from '../keyring.ts'

/** What version 1 adds to a plaintext: version byte, nonce, tag. */
export const ENCRYPTION_OVERHEAD_BYTES = 29
export const NONCE_BYTES = 12

/**
 * AES-GCM as memberlist frames it: version byte, nonce, ciphertext, tag. Every Serf agent sends version 1; version 0 pads
 * the plaintext to 16 bytes (PKCS#7) and is written here only so that tests can rebuild what was recorded.
 * @param nonce 12 bytes, never used before with this key
 */
export function encryptPayload(
  plaintext: Uint8Array,
  o: { key: Uint8Array; nonce: Uint8Array; aad: Uint8Array; version?: 0 | 1 },
): Uint8Array {
  const version = o.version ?? 1
  const cipher = createCipheriv(algorithmOf(o.key), o.key, o.nonce)
  cipher.setAAD(o.aad)
  const body = cipher.update(version === 0 ? padded(plaintext) : plaintext)
  cipher.final()
  return concat([Uint8Array.of(version), o.nonce, body, cipher.getAuthTag()])
}

/** Encrypted with none of our keys, or not at all what it claims to be. */
export class UndecryptableError extends CodecError {}

/** Whether that was the reason, at whatever depth. */
export function isUndecryptable(thrown: unknown): boolean {
  for (let error = thrown; error instanceof Error; error = error.cause)
    if (error instanceof UndecryptableError) return true
  return false
}

/** Told of a retired key that was needed to read something. */
export type OnRetired = (key: Uint8Array) => void

/**
 * Tries every key in order, and then those that are retired; reads versions 0 and 1.
 * @throws CodecError in memberlist's words
 */
export function decryptPayload(
  payload: Uint8Array,
  keyring: Keyring,
  aad: Uint8Array,
  onRetired?: OnRetired,
): Uint8Array {
  const version = payload[0]
  if (version === undefined) throw new CodecError('Cannot decrypt empty payload')
  if (version > 1) throw new CodecError(`Unsupported encryption version ${version}`)
  const bytesMin = version === 0 ? ENCRYPTION_OVERHEAD_BYTES + 16 : ENCRYPTION_OVERHEAD_BYTES
  if (payload.length < bytesMin) throw new CodecError(`Payload is too small to decrypt: ${payload.length}`)
  for (const key of keyring.keys) {
    const plaintext = decryptWith(key, payload, aad)
    if (plaintext !== undefined) return version === 0 ? unpadded(plaintext) : plaintext
  }
  for (const key of keyring.retired) {
    const plaintext = decryptWith(key, payload, aad)
    if (plaintext === undefined) continue
    onRetired?.(key)
    return version === 0 ? unpadded(plaintext) : plaintext
  }
  throw new UndecryptableError('No installed keys could decrypt the message')
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

const TAG_BYTES = 16

/** Undefined when the tag does not fit: another key, or bytes that were changed. */
function decryptWith(key: Uint8Array, payload: Uint8Array, aad: Uint8Array): Uint8Array | undefined {
  const decipher = createDecipheriv(algorithmOf(key), key, payload.subarray(1, 1 + NONCE_BYTES))
  decipher.setAAD(aad)
  decipher.setAuthTag(payload.subarray(payload.length - TAG_BYTES))
  const plaintext = decipher.update(payload.subarray(1 + NONCE_BYTES, payload.length - TAG_BYTES))
  try {
    decipher.final()
  } catch {
    return undefined // all that final can find wrong is the tag
  }
  return plaintext
}

function algorithmOf(key: Uint8Array): 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm' {
  return key.length === 16 ? 'aes-128-gcm' : key.length === 24 ? 'aes-192-gcm' : 'aes-256-gcm'
}

function padded(plaintext: Uint8Array): Uint8Array {
  const padding = 16 - (plaintext.length % 16)
  return concat([plaintext, new Uint8Array(padding).fill(padding)])
}

/** As memberlist: drops as many bytes as the last one says and checks nothing else. */
function unpadded(plaintext: Uint8Array): Uint8Array {
  const padding = plaintext[plaintext.length - 1] ?? 0
  if (padding > plaintext.length) throw new CodecError(`padding of ${padding} in ${plaintext.length} bytes`)
  return plaintext.subarray(0, plaintext.length - padding)
}
