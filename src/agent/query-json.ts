/** JSON as the agent's own Serf queries carry it: small enough for Serf, and from strangers until it is checked. */

/** Of an answer, bytes; Serf's bound is 1024 with its own head. */
export const ANSWER_BYTES_MAX = 900
const PAYLOAD_BYTES_MAX = 1024

export function encodeJson(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

/** Undefined for what is no JSON, or longer than Serf lets it be. */
export function decodeJson(payload: Uint8Array): unknown {
  if (payload.length > PAYLOAD_BYTES_MAX) return undefined
  try {
    return JSON.parse(Buffer.from(payload).toString('utf8')) as unknown
  } catch {
    return undefined // not ours
  }
}
