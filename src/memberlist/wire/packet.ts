import { assert, MusterError, messageOf, type Random } from '../../base/index.ts'
import { CodecError, crc32, lzwCompress, lzwDecompress, MsgpackReader } from '../../codec/index.ts'
import {
  concat,
  decryptPayload,
  ENCRYPTION_OVERHEAD_BYTES,
  encryptPayload,
  NONCE_BYTES,
  type OnRetired,
} from './encryption.ts'
import type { Keyring } from '../keyring.ts'
import { checkLabel, labelHeader, takeLabel } from './label.ts'
import { MessageType } from '../messages.ts'
import { decodeCompress } from './decode.ts'
import { encodeCompress } from './encode.ts'

/** Budget while parts are gathered into a packet (memberlist's UDPBufferSize, all profiles): fits an Ethernet frame. */
export const PACKET_BYTES_MAX = 1400
/** Charged against the budget for each part's length slot, and once for the compound header. */
export const COMPOUND_PART_BYTES = 2
/** The format allows 255, but memberlist before 0.2.4 mis-reads counts from 128 on. */
export const COMPOUND_PARTS_MAX = 127

/** A packet that memberlist would drop too; nothing changed. The message is memberlist's own wording. */
export class PacketRefusedError extends MusterError {
  readonly code: string = 'MEMBERLIST_PACKET_REFUSED'
}

export interface SealOptions {
  /** Only for destinations known to understand it (PMax of 5 or more), and only where Serf sends it. */
  readonly crc: boolean
  /** Kept only where it makes the packet smaller. */
  readonly compress: boolean
  /** Absent or empty: in clear. */
  readonly keyring?: Keyring | undefined
  /** Instead of the ring's primary key. */
  readonly key?: Uint8Array | undefined
  readonly label?: string | undefined
  readonly random: Random
}

/**
 * Datagrams with all `parts` in order, each a whole message with its type byte: one datagram, or several when there are
 * more than a compound can hold. Nothing here looks at the size of the datagram: who gathers the parts keeps the budget.
 */
export function sealPacket(parts: readonly Uint8Array[], o: SealOptions): Uint8Array[] {
  return groupsOf(parts).map(group => sealOne(group.length === 1 ? (group[0] as Uint8Array) : compound(group), o))
}

/** Bytes of the budget that framing takes from every packet. */
export function framingBytes(o: { keyring?: Keyring | undefined; label?: string | undefined }): number {
  return labelHeader(o.label).length + (o.keyring?.primary === undefined ? 0 : ENCRYPTION_OVERHEAD_BYTES)
}

export interface OpenOptions {
  readonly keyring?: Keyring | undefined
  readonly label?: string | undefined
  /** False: what cannot be decrypted is read as plaintext, while encryption is being rolled in. Default true. */
  readonly verifyIncoming?: boolean | undefined
  readonly onRetired?: OnRetired | undefined
  /** Told once when parts of a compound were dropped while others are good. */
  readonly onDropped?: ((count: number, sentence: string) => void) | undefined
}

/**
 * Takes all framing off a datagram. The parts are still encoded, type byte first, and are views of the datagram or of what
 * it decompressed to. A bad part of a compound is dropped, and those before it count.
 * @throws PacketRefusedError or CodecError when nothing of the datagram counts
 */
export function openPacket(packet: Uint8Array, o: OpenOptions): Uint8Array[] {
  if (packet.length === 0) throw new PacketRefusedError('UDP packet too short')
  const { label, rest } = takeLabel(packet, 'packet')
  if (!checkLabel(label, o.label)) {
    throw new PacketRefusedError(`discarding packet with unacceptable label "${label}"`)
  }
  const payload = withoutCrc(decrypted(rest, o))
  const opening: Opening = {
    parts: [],
    visitsLeft: VISITS_MAX,
    inflateLeft: INFLATED_BYTES_MAX,
    dropped: 0,
    reason: '',
  }
  open(payload, opening, 0)
  if (opening.dropped > 0) o.onDropped?.(opening.dropped, opening.reason)
  return opening.parts
}

/** More parts than any peer sends (255 to a compound, and nobody nests them); bounds the work of one datagram. */
const VISITS_MAX = 1024
/** Compress in compound in compress …: peers send two layers. */
const DEPTH_MAX = 8
/** All that one datagram may decompress to; Serf's largest message is 9 KiB. */
const INFLATED_BYTES_MAX = 1 << 20

interface Opening {
  readonly parts: Uint8Array[]
  visitsLeft: number
  inflateLeft: number
  dropped: number
  reason: string
}

function groupsOf(parts: readonly Uint8Array[]): (readonly Uint8Array[])[] {
  const groups: Uint8Array[][] = []
  let open: Uint8Array[] | undefined
  for (const part of parts) {
    assert(part.length > 0, 'an empty part kills old peers')
    if (part.length > 0xffff) {
      groups.push([part])
      open = undefined
      continue
    }
    if (open === undefined || open.length === COMPOUND_PARTS_MAX) {
      open = []
      groups.push(open)
    }
    open.push(part)
  }
  return groups
}

function compound(parts: readonly Uint8Array[]): Uint8Array {
  const header = new Uint8Array(2 + 2 * parts.length)
  header[0] = MessageType.compound
  header[1] = parts.length
  for (const [i, part] of parts.entries()) {
    header[2 + 2 * i] = part.length >> 8
    header[3 + 2 * i] = part.length & 0xff
  }
  return concat([header, ...parts])
}

function sealOne(message: Uint8Array, o: SealOptions): Uint8Array {
  const small = o.compress ? smaller(message, encodeCompress(lzwCompress(message))) : message
  const checked = o.crc ? concat([crcHeader(small), small]) : small
  const header = labelHeader(o.label)
  const key = o.key ?? o.keyring?.primary
  if (key === undefined) return header.length === 0 ? checked : concat([header, checked])
  const sealed = encryptPayload(checked, { key, nonce: o.random.bytes(NONCE_BYTES), aad: header.subarray(2) })
  return header.length === 0 ? sealed : concat([header, sealed])
}

function smaller(message: Uint8Array, compressed: Uint8Array): Uint8Array {
  return compressed.length < message.length ? compressed : message
}

function crcHeader(message: Uint8Array): Uint8Array {
  const crc = crc32(message)
  return Uint8Array.of(MessageType.crc, crc >>> 24, (crc >>> 16) & 0xff, (crc >>> 8) & 0xff, crc & 0xff)
}

function decrypted(rest: Uint8Array, o: OpenOptions): Uint8Array {
  if (o.keyring?.primary === undefined) return rest
  try {
    return decryptPayload(rest, o.keyring, labelHeader(o.label).subarray(2), o.onRetired)
  } catch (cause) {
    if (!(cause instanceof CodecError)) throw cause
    if (o.verifyIncoming === false) return rest
    throw new PacketRefusedError(`Decrypt packet failed: ${cause.message}`, { cause })
  }
}

/** The header counts only here, directly inside the encryption; deeper it is an unknown type, as it is to peers. */
function withoutCrc(payload: Uint8Array): Uint8Array {
  if (payload[0] !== MessageType.crc || payload.length < 5) return payload
  const said = new DataView(payload.buffer, payload.byteOffset).getUint32(1)
  const body = payload.subarray(5)
  const found = crc32(body)
  if (said === found) return body
  throw new PacketRefusedError(
    `Got invalid checksum for UDP packet: ${found.toString(16).padStart(8, '0')}, ${said.toString(16).padStart(8, '0')}`,
  )
}

function open(message: Uint8Array, opening: Opening, depth: number): void {
  const type = message[0]
  if (type === undefined) throw new PacketRefusedError('missing message type byte')
  if (depth > DEPTH_MAX) throw new PacketRefusedError(`nested deeper than ${DEPTH_MAX}`)
  if (isPlain(type)) opening.parts.push(message)
  else if (type === MessageType.compound) openCompound(message, opening, depth)
  else if (type === MessageType.compress) open(inflated(message, opening), opening, depth + 1)
  else throw new PacketRefusedError(`msg type (${type}) not supported`)
}

function isPlain(type: number): boolean {
  return type <= MessageType.dead || type === MessageType.user || type === MessageType.nack
}

function openCompound(message: Uint8Array, opening: Opening, depth: number): void {
  const count = message[1]
  if (count === undefined) {
    throw new PacketRefusedError('Failed to decode compound request: missing compound length byte')
  }
  let at = 2 + 2 * count
  if (at > message.length) throw new PacketRefusedError('Failed to decode compound request: truncated len slice')
  for (let i = 0; i < count; i++) {
    const length = ((message[2 + 2 * i] as number) << 8) | (message[3 + 2 * i] as number)
    if (at + length > message.length) {
      return drop(opening, count - i, `Compound request had ${count - i} truncated messages`)
    }
    if (--opening.visitsLeft < 0) return drop(opening, count - i, `more than ${VISITS_MAX} messages in one packet`)
    openPart(message.subarray(at, at + length), opening, depth + 1)
    at += length
  }
}

function openPart(part: Uint8Array, opening: Opening, depth: number): void {
  try {
    open(part, opening, depth)
  } catch (thrown) {
    if (!(thrown instanceof PacketRefusedError)) throw thrown
    drop(opening, 1, thrown.message)
  }
}

function drop(opening: Opening, count: number, reason: string): void {
  if (opening.dropped === 0) opening.reason = reason
  opening.dropped += count
}

function inflated(message: Uint8Array, opening: Opening): Uint8Array {
  try {
    const plain = lzwDecompress(decodeCompress(new MsgpackReader(message, 1)), opening.inflateLeft)
    opening.inflateLeft -= plain.length
    return plain
  } catch (cause) {
    if (!(cause instanceof CodecError)) throw cause
    throw new PacketRefusedError(`Failed to decompress payload: ${messageOf(cause)}`, { cause })
  }
}
