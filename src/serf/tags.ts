import { MusterError } from '../base/index.ts'
import { asMap, asText, CodecError, decodeMsgpack, encodeMsgpack } from '../codec/index.ts'

export type Tags = Readonly<Record<string, string>>

/** memberlist's room for Meta, the `ff` byte included. */
export const TAGS_BYTES_MAX = 512

/** The tags do not fit into an alive message. The ones before them stay in force, here and everywhere. */
export class TagsTooLargeError extends MusterError {
  readonly code = 'SERF_TAGS_TOO_LARGE'
  readonly bytes: number

  constructor(bytes: number) {
    super(`Encoded length of tags exceeds limit of ${TAGS_BYTES_MAX} bytes`)
    this.bytes = bytes
  }
}

/** In front of a map of tags (protocol 3 and later); without it Meta is the bare value of `role`. */
const TAGS_MAGIC = 0xff

/** @throws TagsTooLargeError above 512 bytes */
export function encodeTags(tags: Tags): Uint8Array {
  const map = encodeMsgpack(new Map(Object.entries(tags)), 'old')
  if (map.length + 1 > TAGS_BYTES_MAX) throw new TagsTooLargeError(map.length + 1)
  const meta = new Uint8Array(map.length + 1)
  meta[0] = TAGS_MAGIC
  meta.set(map, 1)
  return meta
}

/**
 * Tags of a member from its Meta; of a stranger, so never an exception. Malformed Meta gives no tags and `sound: false`.
 * (Serf keeps the half of the map that it could read; half of a peer's tags could be a wrong endpoint.)
 */
export function decodeTags(meta: Uint8Array): { readonly tags: Tags; readonly sound: boolean } {
  if (meta[0] !== TAGS_MAGIC) return { tags: { role: Buffer.from(meta).toString() }, sound: true }
  try {
    const tags: [string, string][] = []
    for (const [name, value] of asMap(decodeMsgpack(meta, 1).value))
      tags.push([name, value === null ? '' : asText(value)])
    return { tags: Object.fromEntries(tags), sound: true }
  } catch (failure) {
    if (!(failure instanceof CodecError)) throw failure
    return { tags: {}, sound: false }
  }
}
