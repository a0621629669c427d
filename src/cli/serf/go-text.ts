import { Float64, Raw, type Decoded } from '../../codec/index.ts'

/** How Go writes things down, where Serf's output depends on it. */

/** `strconv.Quote`. */
export function quoted(text: string | Uint8Array): string {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text
  return `"${runes(bytes).map(quotedRune).join('')}"`
}

function quotedRune(rune: number | string): string {
  if (typeof rune === 'number') return `\\x${hex(rune, 2)}`
  const short = SHORT_ESCAPES[rune]
  if (short !== undefined) return short
  if (rune === ' ' || /[\p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(rune)) return rune
  const point = rune.codePointAt(0) as number
  if (point < 0x20 || point === 0x7f) return `\\x${hex(point, 2)}`
  return point > 0xffff ? `\\U${hex(point, 8)}` : `\\u${hex(point, 4)}`
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  ...{ '\x07': '\\a', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\v': '\\v' },
  ...{ '\\': '\\\\', '"': '\\"' },
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}

/** Text as Go walks it: characters, and single bytes where they are not UTF-8. */
function runes(bytes: Uint8Array): (string | number)[] {
  const found: (string | number)[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = runeLength(bytes, at)
    found.push(length === 0 ? (bytes[at] as number) : Buffer.from(bytes.subarray(at, at + length)).toString())
    at += Math.max(1, length)
  }
  return found
}

/** Bytes of the character at `at`; 0 when there is none. */
function runeLength(bytes: Uint8Array, at: number): number {
  const head = bytes[at] as number
  const length =
    head < 0x80
      ? 1
      : head >= 0xc2 && head < 0xe0
        ? 2
        : head >= 0xe0 && head < 0xf0
          ? 3
          : head >= 0xf0 && head < 0xf5
            ? 4
            : 0
  if (length === 0 || at + length > bytes.length) return 0
  const text = Buffer.from(bytes.subarray(at, at + length)).toString()
  return length === 1 || !text.includes('\uFFFD') || (head === 0xef && bytes[at + 1] === 0xbf && bytes[at + 2] === 0xbd)
    ? length
    : 0
}

/** Bytes are text that may be no UTF-8. */
export type Json = string | number | null | Uint8Array | readonly Json[] | { readonly [key: string]: Json }

/** `json.MarshalIndent` with two spaces; the caller has put the keys in order. */
export function jsonText(value: Json, indent = ''): string {
  if (typeof value === 'string') return jsonString(value)
  if (value === null || typeof value === 'number') return String(value)
  if (value instanceof Uint8Array) return `"${runes(value).map(jsonRune).join('')}"`
  const inner = `${indent}  `
  const isList = Array.isArray(value)
  const items = isList
    ? (value as readonly Json[]).map(item => jsonText(item, inner))
    : Object.entries(value).map(([key, item]) => `${jsonString(key)}: ${jsonText(item, inner)}`)
  const [open, close] = isList ? '[]' : '{}'
  if (items.length === 0) return `${open}${close}`
  return `${open}\n${items.map(item => inner + item).join(',\n')}\n${indent}${close}`
}

function jsonString(text: string): string {
  return `"${text.replace(JSON_SPECIAL, jsonEscape)}"`
}

function jsonRune(rune: string | number): string {
  return typeof rune === 'number' ? '\\ufffd' : rune.replace(JSON_SPECIAL, jsonEscape)
}

function jsonEscape(char: string): string {
  const short = JSON_ESCAPES[char]
  if (short !== undefined) return short
  const point = char.charCodeAt(0)
  return point >= 0x7f && point < 0x2028 ? char : `\\u${hex(point, 4)}`
}

const JSON_SPECIAL = /["\\\p{Cc}<>&\u2028\u2029]/gu

const JSON_ESCAPES: Readonly<Record<string, string>> = {
  ...{ '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' },
}

/** Entries in the order of Go's sorted maps: by the bytes of the key. */
export function sortedEntries<T>(record: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(record).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}

export function sortedRecord<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(sortedEntries(record))
}

/**
 * Serf's tables: cells are split at `|` and trimmed, columns are as wide as their widest cell, two spaces between; the last
 * cell of a row is not padded.
 */
export function columns(lines: readonly string[]): string {
  const rows = lines.map(line => line.split('|').map(trimmed))
  const widths: number[] = []
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, runeCount(cell))
  const pad = (cell: string, i: number) => cell + ' '.repeat((widths[i] ?? 0) - runeCount(cell))
  return rows.map(row => row.map((cell, i) => (i === row.length - 1 ? cell : pad(cell, i))).join('  ')).join('\n')
}

/** As Go counts a width: code points, wide or not. */
function runeCount(text: string): number {
  return text.replace(/[\uD800-\uDBFF](?=[\uDC00-\uDFFF])/g, '').length
}

/** Go's `strings.TrimSpace`. */
export function trimmed(text: string): string {
  return text.replace(/^[\s\u0085]+|[\s\u0085]+$/g, '')
}

/** `%#v` of a field of an event: bytes have another name inside a list or map than outside. */
export function goSyntax(value: Decoded, isInside = false): string {
  if (value === null) return isInside ? 'interface {}(nil)' : '<nil>'
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'number' || typeof value === 'bigint') return goInteger(value)
  if (value instanceof Float64) return String(value.value)
  if (value instanceof Raw) return quoted(value.bytes)
  if (value instanceof Uint8Array)
    return `[]${isInside ? 'uint8' : 'byte'}{${Array.from(value, byte => `0x${byte.toString(16)}`).join(', ')}}`
  if (Array.isArray(value)) return `[]interface {}{${value.map(item => goSyntax(item, true)).join(', ')}}`
  const entries = sortedEntries(Object.fromEntries(value))
  return `map[interface {}]interface {}{${entries.map(([key, item]) => `${quoted(key)}:${goSyntax(item, true)}`).join(', ')}}`
}

/** Small numbers travel in a form that Go reads as signed, larger ones as unsigned, which it writes in hexadecimal. */
function goInteger(value: number | bigint): string {
  return value >= 128 ? `0x${value.toString(16)}` : String(value)
}
