import { ipFromBytes } from '../../base/index.ts'
import {
  asArray,
  asBool,
  asBytes,
  asMap,
  asText,
  asUint,
  CodecError,
  type Decoded,
  decodeMsgpack,
  encodeMsgpack,
  Float64,
  type MsgpackValue,
} from '../../codec/index.ts'
import { type Coordinate, coordinateRecord } from '../coordinate.ts'
import type { HandledEvent } from '../event-filter.ts'
import type { KeyAnswers } from '../key-requests.ts'
import { type MemberStatus, type SerfMember, STATUSES } from '../member.ts'

/**
 * Serf's RPC records: maps keyed by field name in the new msgpack dialect. Field names are the wire's. A missing or nil
 * field has its zero value, unknown fields are ignored, a wrong type is a CodecError (serf-rpc 1).
 */
export type Fields = ReadonlyMap<string, Decoded>

/** @throws CodecError unless `bytes` is one map. */
export function decodeRecord(bytes: Uint8Array): Fields {
  const { value } = decodeMsgpack(bytes)
  return value === null ? new Map() : asMap(value)
}

export function encodeRecord(record: { readonly [field: string]: MsgpackValue }): Uint8Array {
  return encodeMsgpack(record as MsgpackValue, 'new')
}

export function textField(fields: Fields, name: string): string {
  return strictText(fields.get(name) ?? null)
}

export function bytesField(fields: Fields, name: string): Uint8Array {
  const value = fields.get(name) ?? null
  return value === null ? new Uint8Array(0) : asBytes(value)
}

/** @param max inclusive; anything above is a CodecError, as for Go's sized integers */
export function uintField(fields: Fields, name: string, max: number): number {
  const value = fields.get(name) ?? null
  return value === null ? 0 : asUint(value, max)
}

/** A signed 64 bit number; beyond 2^53 it is near, not exact. */
export function intField(fields: Fields, name: string): number {
  const value = fields.get(name) ?? null
  if (value === null) return 0
  const isInt = typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value))
  if (!isInt) throw new CodecError(`${name} is not a whole number`)
  return Number(value)
}

/** 0 and 1 count as booleans. */
export function boolField(fields: Fields, name: string): boolean {
  const value = fields.get(name) ?? null
  if (value === 0 || value === 1) return value === 1
  return value === null ? false : asBool(value)
}

export function textsField(fields: Fields, name: string): string[] {
  const value = fields.get(name) ?? null
  return value === null ? [] : asArray(value).map(strictText)
}

export function textMapField(fields: Fields, name: string): Map<string, string> {
  const value = fields.get(name) ?? null
  if (value === null) return new Map()
  return new Map(Array.from(asMap(value), ([key, text]) => [key, strictText(text)]))
}

/** A 64 bit sequence number or handle, kept exact because it is echoed. */
export type Seq = number | bigint

/** Undefined when the field is missing. */
export function seqField(fields: Fields, name: string): Seq | undefined {
  const value = fields.get(name)
  if (value === undefined) return undefined
  if (value === null) return 0
  const isSeq =
    typeof value === 'bigint' ? value >= 0n : typeof value === 'number' && Number.isInteger(value) && value >= 0
  if (!isSeq) throw new CodecError(`${name} is not a sequence number`)
  return value as Seq
}

/** What a person or the wire calls empty is nil there. */
export function bytesOrNil(bytes: Uint8Array): Uint8Array | null {
  return bytes.length === 0 ? null : bytes
}

export function memberRecord(member: SerfMember): MsgpackValue {
  return {
    Addr: member.addr,
    DelegateCur: member.delegateCur,
    DelegateMax: member.delegateMax,
    DelegateMin: member.delegateMin,
    ...(member.flaps === undefined ? {} : { Flaps: member.flaps, Held: member.held === true }), // Muster's own; others pass over it
    Name: member.name,
    Port: member.port,
    ProtocolCur: member.protocolCur,
    ProtocolMax: member.protocolMax,
    ProtocolMin: member.protocolMin,
    Status: member.status,
    Tags: new Map(Object.entries(member.tags)),
  }
}

/** @throws CodecError for anything that is not a member record */
export function memberFromFields(fields: Fields): SerfMember {
  const addr = bytesField(fields, 'Addr')
  const ip = ipFromBytes(addr)
  if (ip === undefined) throw new CodecError(`member with an address of ${addr.length} bytes`)
  return {
    name: textField(fields, 'Name'),
    ip,
    addr,
    port: uintField(fields, 'Port', 0xffff),
    tags: Object.fromEntries(textMapField(fields, 'Tags')),
    status: statusFromText(textField(fields, 'Status')),
    protocolMin: uintField(fields, 'ProtocolMin', 255),
    protocolMax: uintField(fields, 'ProtocolMax', 255),
    protocolCur: uintField(fields, 'ProtocolCur', 255),
    delegateMin: uintField(fields, 'DelegateMin', 255),
    delegateMax: uintField(fields, 'DelegateMax', 255),
    delegateCur: uintField(fields, 'DelegateCur', 255),
    ...(fields.has('Flaps') ? { flaps: uintField(fields, 'Flaps', 0xffff), held: boolField(fields, 'Held') } : {}),
    statusLTime: 0, // this wire has neither
    leftAtMs: 0,
  }
}

export function membersFromFields(fields: Fields): SerfMember[] {
  const value = fields.get('Members') ?? null
  return value === null ? [] : asArray(value).map(member => memberFromFields(asMap(member)))
}

/** @param coordinate undefined: the node is unknown; then it is all zeros and no vector */
export function coordinateAnswer(coordinate: Coordinate | undefined): Uint8Array {
  const zero = new Float64(0)
  const nowhere = { Adjustment: zero, Error: zero, Height: zero, Vec: null }
  const isKnown = coordinate !== undefined
  return encodeRecord({ Coord: isKnown ? coordinateRecord(coordinate) : nowhere, Ok: isKnown })
}

/** The key record, sent with errors too. The primary key has no place in it. */
export function keyRecord({ keys, messages, errors, members, answers }: KeyAnswers): Uint8Array {
  return encodeRecord({
    Keys: keys === undefined ? null : new Map(keys),
    Messages: new Map(messages),
    NumErr: errors,
    NumNodes: members,
    NumResp: answers,
  })
}

/** The record a stream pushes for `event`; `handle` is the query's on this connection. */
export function eventRecord(event: HandledEvent, handle: number): Uint8Array {
  switch (event.kind) {
    case 'user':
      return encodeRecord({
        Coalesce: event.coalesce,
        Event: 'user',
        LTime: event.ltime,
        Name: event.name,
        Payload: bytesOrNil(event.payload),
      })
    case 'query':
      return encodeRecord({
        Event: 'query',
        ID: handle,
        LTime: event.ltime,
        Name: event.name,
        Payload: bytesOrNil(event.payload),
      })
    default:
      return encodeRecord({ Event: event.kind, Members: event.members.map(memberRecord) })
  }
}

/** Unlike Serf's cluster messages, RPC takes text only from the str family. */
function strictText(value: Decoded): string {
  if (value instanceof Uint8Array) throw new CodecError('bytes where text is expected')
  return asText(value)
}

function statusFromText(text: string): MemberStatus {
  const known = STATUSES.find(status => status === text)
  if (known === undefined) throw new CodecError(`unknown status ${JSON.stringify(text)}`)
  return known
}
