import type { Random } from '../base/index.ts'
import {
  type Alive,
  type Announced,
  type Dead,
  decodeMessage,
  type MemberTable,
  type PacketMessage,
  type PartCodec,
  sameBytes,
  sameVersions,
  type Suspect,
  type Versions,
} from '../memberlist/index.ts'
import { ColumnTable, Roll } from './column-table.ts'
import { partLength } from './part-length.ts'

/** What all views of a ring have in common. */
export interface SharedCodec extends PartCodec {
  /** An empty view. */
  table(random: Random): MemberTable
}

/** What goes from member to member in the place of bytes: the message itself, with the length that the bytes would have. */
type Part = PacketMessage & { readonly length: number }

/**
 * Nothing is encoded or decoded: cores hand parts on and ask for their lengths, and so a part is the message. And all views
 * share one record of what a member says about itself, so that a ring of ten thousand fits in memory. The wire is proved
 * by its own tests.
 */
export function sharedCodec(): SharedCodec {
  const roll = new Roll()
  /** Views that learn of a member by lists build an announcement each; these are all one. */
  const announced = new Map<string, AlivePart>()
  const records = new Map<string, Announced>()
  const alivePart = (message: Alive): AlivePart => {
    const known = announced.get(message.node)
    if (known !== undefined && sameAlive(known, message)) return known
    const part = message instanceof AlivePart ? message : new AlivePart(message)
    if (known === undefined || known.incarnation < message.incarnation) announced.set(message.node, part)
    return part
  }
  const partOf = (message: PacketMessage): Part => {
    if (message instanceof Accusation) return message
    if (message.type === 'alive') return alivePart(message)
    if (message.type === 'suspect' || message.type === 'dead') return new Accusation(message) as Part
    return withLength(message, partLength(message))
  }
  return {
    encode: message => asBytes(partOf(message)),
    decode: part => (part instanceof Uint8Array ? decodeMessage(part) : part),
    table: random => new ColumnTable(roll, random),
    share(record) {
      const known = records.get(record.name)
      if (known !== undefined && sameRecord(known, record)) return known
      records.set(record.name, record)
      return record
    },
  }
}

/** Spelled out for the two that are nearly all: a spread costs more than all the rest of a packet. */
function withLength(message: Exclude<PacketMessage, Alive | Suspect | Dead>, length: number): Part {
  if (message.type === 'ack') return { type: 'ack', seqNo: message.seqNo, payload: message.payload, length }
  if (message.type !== 'ping') return { ...message, length }
  const { type, seqNo, node, sourceAddr, sourcePort, sourceNode } = message
  const isWhole = sourceAddr !== undefined && sourcePort !== undefined && sourceNode !== undefined
  if (!isWhole) return { ...message, length }
  return { type, seqNo, node, sourceAddr, sourcePort, sourceNode, length }
}

/** The one place that calls a part bytes; `decode` takes it back. */
const asBytes = (part: Part): Uint8Array => part as unknown as Uint8Array

/** A suspect or a dead. A class, so that the hundreds of thousands of a partition lie close together. */
class Accusation {
  readonly type: 'suspect' | 'dead'
  readonly incarnation: number
  readonly node: string
  readonly from: string
  readonly length: number

  constructor(message: Suspect | Dead) {
    this.type = message.type
    this.incarnation = message.incarnation
    this.node = message.node
    this.from = message.from
    this.length = partLength(message)
  }
}

class AlivePart implements Alive {
  readonly type = 'alive'
  readonly incarnation: number
  readonly node: string
  readonly addr: Uint8Array
  readonly port: number
  readonly meta: Uint8Array
  readonly vsn: Versions | undefined
  readonly vsnBytes: number
  readonly length: number

  constructor(message: Alive) {
    this.incarnation = message.incarnation
    this.node = message.node
    this.addr = message.addr
    this.port = message.port
    this.meta = message.meta
    this.vsn = message.vsn
    this.vsnBytes = message.vsnBytes
    this.length = partLength(message)
  }
}

function sameAlive(a: Alive, b: Alive): boolean {
  if (a === b) return true
  return (
    a.incarnation === b.incarnation && a.addr === b.addr && a.port === b.port && a.meta === b.meta && a.vsn === b.vsn
  )
}

function sameRecord(a: Announced, b: Announced): boolean {
  return a.port === b.port && sameBytes(a.addr, b.addr) && sameBytes(a.meta, b.meta) && sameVersions(a.vsn, b.vsn)
}
