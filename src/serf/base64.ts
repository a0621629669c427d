import { MusterError } from '../base/index.ts'

/** What was given for a key is not base64. Nothing was sent. */
export class Base64Error extends MusterError {
  readonly code = 'SERF_BASE64'

  constructor(at: number) {
    super(`illegal base64 data at input byte ${at}`) // Go's words: what `serf keys` prints
  }
}

/**
 * Standard alphabet with padding; line ends are skipped. As Go's decoder, to the byte that the error names.
 * @throws Base64Error
 */
export function decodeBase64(text: string): Uint8Array {
  const input = Buffer.from(text)
  let held = 0
  for (let at = 0; at < input.length; at++) {
    const byte = input[at] as number
    if (isLineEnd(byte)) continue
    if (byte === PAD) {
      assertEnd(input, at, held)
      return Buffer.from(text, 'base64')
    }
    if (!/[A-Za-z0-9+/]/.test(String.fromCharCode(byte))) throw new Base64Error(at)
    held = (held + 1) % 4
  }
  if (held !== 0) throw new Base64Error(input.length - held)
  return Buffer.from(text, 'base64')
}

const PAD = 0x3d

function isLineEnd(byte: number | undefined): boolean {
  return byte === 0x0a || byte === 0x0d
}

/** @param at of the first padding, after `held` characters of a group of four */
function assertEnd(input: Uint8Array, at: number, held: number): void {
  const skipped = (from: number) => {
    let next = from
    while (isLineEnd(input[next])) next++
    return next
  }
  if (held < 2) throw new Base64Error(at)
  let next = skipped(at + 1)
  if (held === 2) {
    if (next === input.length) throw new Base64Error(input.length)
    if (input[next] !== PAD) throw new Base64Error(next - 1)
    next = skipped(next + 1)
  }
  if (next < input.length) throw new Base64Error(next)
}
