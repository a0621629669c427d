import type { PushNode } from '../memberlist/index.ts'

/** What one member, or all, have put on the wire; only ever counts up. */
export interface Traffic {
  packets: number
  /** UDP payloads: framing and checksum included, uncompressed and in clear. */
  packetBytes: number
  /** Exchanges of lists and pings over TCP, each direction one. */
  streams: number
  streamBytes: number
}

export const noTraffic = (): Traffic => ({ packets: 0, packetBytes: 0, streams: 0, streamBytes: 0 })

export function addTraffic(to: Traffic, more: Traffic): void {
  to.packets += more.packets
  to.packetBytes += more.packetBytes
  to.streams += more.streams
  to.streamBytes += more.streamBytes
}

/** Type and checksum in front of a packet for whoever understands it. */
const CRC_BYTES = 5
/** Type and number of parts of a compound, and the length of each part. */
const COMPOUND_BYTES = 2
/** Type and header of a list. */
const LIST_BYTES = 29
/** An entry of a list without its name, address and meta: keys, numbers and versions as memberlist writes them. */
const ENTRY_BYTES = 58

/** What `parts` weigh as one packet, as `sealPacket` would write it. */
export function packetBytes(parts: readonly Uint8Array[], crc: boolean): number {
  let bytes = crc ? CRC_BYTES : 0
  if (parts.length > 1) bytes += COMPOUND_BYTES * (parts.length + 1)
  for (const part of parts) bytes += part.length
  return bytes
}

/** What a list weighs, to a few percent: encoding it would cost more than all the rest of a simulation. */
export function listBytes(nodes: readonly PushNode[], userStateBytes: number): number {
  let bytes = LIST_BYTES + userStateBytes
  for (const { name, addr, meta } of nodes) bytes += ENTRY_BYTES + name.length + addr.length + meta.length
  return bytes
}
