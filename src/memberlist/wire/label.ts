import { assert } from '../../base/index.ts'
import { CodecError, NeedMoreError, textFromBytes, textToBytes } from '../../codec/index.ts'
import { MessageType } from '../messages.ts'

/** `f4`, a length of 1 to 255, the label: in front of every packet, and of what an initiator sends. None: no bytes. */
export function labelHeader(label: string | undefined): Uint8Array {
  if (label === undefined || label === '') return new Uint8Array(0)
  const bytes = textToBytes(label)
  assert(bytes.length <= 255, 'a label has at most 255 bytes')
  return Uint8Array.from([MessageType.label, bytes.length, ...bytes])
}

/**
 * Splits a label header off; '' when there is none.
 * @throws CodecError in memberlist's words; NeedMoreError for a stream whose header is not all there
 */
export function takeLabel(bytes: Uint8Array, of: 'packet' | 'stream'): { label: string; rest: Uint8Array } {
  if (bytes[0] !== MessageType.label) return { label: '', rest: bytes }
  const length = bytes[1]
  if (length === 0) throw new CodecError('label header cannot be empty when present')
  const end = 2 + (length ?? 1)
  if (bytes.length >= end) {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    return { label: textFromBytes(buffer, 2, end), rest: bytes.subarray(end) }
  }
  if (of === 'stream') throw new NeedMoreError(end - bytes.length)
  throw new CodecError('cannot decode label; packet has been truncated')
}

export function checkLabel(found: string, configured: string | undefined): boolean {
  return found === (configured ?? '')
}
