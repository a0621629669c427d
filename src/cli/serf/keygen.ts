import { systemRandom } from '../../base/index.ts'
import { type SerfCommand, say } from './console.ts'

const KEY_BYTES = 32

export const keygen: SerfCommand = async (_args, console) => {
  say(console, newKey())
  return 0
}

/** A key of 32 random bytes, in base64. */
export function newKey(): string {
  return Buffer.from(systemRandom.bytes(KEY_BYTES)).toString('base64')
}
