import { crc32 } from 'node:zlib'
import type { AnyRecord, RecordKind } from './records.ts'
import { RECORD_KINDS } from './records.ts'

/** One record, in JSON. What is longer was cut before. */
export const RECORD_BYTES_MAX = 64 * 1024
const CHECKSUM_BYTES = 9
/** With its checksum, without the newline. */
export const LINE_BYTES_MAX = RECORD_BYTES_MAX + CHECKSUM_BYTES

/** What every record begins with, readable without parsing the rest. */
export interface Head {
  readonly index: number
  readonly at: number
  readonly kind: RecordKind | 'snapshot'
}

const KINDS: ReadonlySet<string> = new Set([...RECORD_KINDS, 'snapshot'])
const HEAD = /^[0-9a-f]{8} \{"index":(\d{1,16}),"at":(\d{1,16}),"kind":"([a-z]{1,16})"/
/** The longest that HEAD matches. */
const HEAD_BYTES_MAX = 100

/** Far more than anybody writes; beyond it a number is somebody's joke, and there must be room to go on. */
export const INDEX_MAX = 2 ** 52

/**
 * `crc32 json newline`; the checksum is in hexadecimal, of the JSON's bytes.
 * @param record its first keys are `index`, `at`, `kind`, in this order
 */
export function encodeLine(record: AnyRecord): Buffer {
  const json = JSON.stringify(record)
  return Buffer.from(`${crc32(json).toString(16).padStart(8, '0')} ${json}\n`)
}

/** @param line without its newline. @returns undefined for whatever is no intact record */
export function readHead(line: Buffer): Head | undefined {
  if (line.length > LINE_BYTES_MAX) return undefined
  const found = HEAD.exec(line.toString('latin1', 0, HEAD_BYTES_MAX))
  if (found === null) return undefined
  const [index, at, kind] = [Number(found[1]), Number(found[2]), found[3] as Head['kind']]
  if (index > INDEX_MAX || !Number.isSafeInteger(at) || !KINDS.has(kind)) return undefined
  const checksum = Number.parseInt(line.toString('latin1', 0, CHECKSUM_BYTES - 1), 16)
  return crc32(line.subarray(CHECKSUM_BYTES)) === checksum ? { index, at, kind } : undefined
}

/** The record of a line whose head was read. @returns undefined when it is no JSON all the same: somebody has written it */
export function decodeLine(line: Buffer): AnyRecord | undefined {
  try {
    return JSON.parse(line.toString('utf8', CHECKSUM_BYTES)) as AnyRecord
  } catch (failure) {
    if (failure instanceof SyntaxError) return undefined
    throw failure
  }
}

/** Whether a text may stand anywhere in the line; cheaper than looking into the record. */
export function mayMention(line: Buffer, what: string): boolean {
  return line.includes(JSON.stringify(what).slice(1, -1))
}
