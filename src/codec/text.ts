/**
 * Text on the wire is bytes that claim to be UTF-8; peers compare names bytewise. So that no two names become one, a byte
 * that is not UTF-8 becomes the lone surrogate U+DC80 + (byte − 0x80) and turns back on the way out (Python's
 * surrogateescape, PEP 383).
 */
export function textFromBytes(bytes: Buffer, start: number, end: number): string {
  if (end - start <= SHORT_TEXT_BYTES) {
    let text = ''
    let at = start
    for (; at < end; at++) {
      const byte = bytes[at] as number
      if (byte >= 0x80) break
      text += String.fromCharCode(byte)
    }
    if (at === end) return text
  }
  const text = bytes.toString('utf8', start, end)
  if (!text.includes('\ufffd') || Buffer.from(text).equals(bytes.subarray(start, end))) return text
  return escapedText(bytes, start, end)
}

/** UTF-8, with escaped bytes turned back; any other lone surrogate becomes U+FFFD, as everywhere in Node. */
export function textToBytes(text: string): Buffer {
  if (!ESCAPED_BYTE.test(text)) return Buffer.from(text, 'utf8')
  const parts = text
    .split(ESCAPED_BYTES)
    .map(part =>
      ESCAPED_BYTE.test(part)
        ? Buffer.from(Array.from(part, c => c.charCodeAt(0) - 0xdc00))
        : Buffer.from(part, 'utf8'),
    )
  return Buffer.concat(parts)
}

/** Below this, a loop beats the call into the runtime. */
const SHORT_TEXT_BYTES = 24
const ESCAPED_BYTE = /[\udc80-\udcff]/u
const ESCAPED_BYTES = /([\udc80-\udcff]+)/u

function escapedText(bytes: Buffer, start: number, end: number): string {
  let text = ''
  for (let at = start; at < end; ) {
    const length = sequenceLength(bytes, at, end)
    text += length === 0 ? String.fromCharCode(0xdc00 + (bytes[at] as number)) : bytes.toString('utf8', at, at + length)
    at += Math.max(1, length)
  }
  return text
}

/** Bytes of the well-formed UTF-8 sequence at `at`, 0 when there is none. */
function sequenceLength(bytes: Buffer, at: number, end: number): number {
  const lead = bytes[at] as number
  const length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0
  if (length < 2) return length
  const sequence = bytes.subarray(at, Math.min(at + length, end))
  return Buffer.from(sequence.toString('utf8'), 'utf8').equals(sequence) ? length : 0
}
