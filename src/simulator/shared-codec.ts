import type { Random } from '../base/index.ts'
import {
  type Alive,
  type Announced,
  decodeMessage,
  encodeMessage,
  type MemberTable,
  type PacketMessage,
  type PartCodec,
  sameBytes,
  sameVersions,
} from '../memberlist/index.ts'
import { ColumnTable, Roll } from './column-table.ts'

/** A part that brings along what it says. */
type SharedPart = Uint8Array & { message?: PacketMessage }

/** What all views of a ring have in common. */
export interface SharedCodec extends PartCodec {
  /** An empty view. */
  table(random: Random): MemberTable
}

/**
 * Parts are handed over as they are, so a message is encoded once and never decoded; and all views share one record of
 * what a member says about itself, so that a ring of a thousand fits in memory. The wire is proved by its own tests.
 */
export function sharedCodec(): SharedCodec {
  const roll = new Roll()
  const news = new WeakMap<PacketMessage, SharedPart>()
  /** Views that learn of a member by lists build an announcement each; these are all one. */
  const announced = new Map<string, Alive>()
  const records = new Map<string, Announced>()
  const encode = (message: PacketMessage): SharedPart => {
    const part: SharedPart = encodeMessage(message)
    part.message = message
    return part
  }
  const encodeNews = (message: PacketMessage): SharedPart => {
    const part = news.get(message) ?? encode(message)
    news.set(message, part)
    return part
  }
  const encodeAlive = (message: Alive): SharedPart => {
    const known = announced.get(message.node)
    if (known !== undefined && sameAlive(known, message)) return encodeNews(known)
    if (known === undefined || known.incarnation < message.incarnation) announced.set(message.node, message)
    return encodeNews(message)
  }
  return {
    encode(message) {
      if (message.type === 'alive') return encodeAlive(message)
      return message.type === 'suspect' || message.type === 'dead' ? encodeNews(message) : encode(message)
    },
    decode: (part: SharedPart) => part.message ?? decodeMessage(part),
    table: random => new ColumnTable(roll, random),
    share(record) {
      const known = records.get(record.name)
      if (known !== undefined && sameRecord(known, record)) return known
      records.set(record.name, record)
      return record
    },
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
