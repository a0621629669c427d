import {
  asBytes,
  asText,
  asUint,
  CodecError,
  type Decoded,
  decodeMsgpack,
  encodeMsgpack,
  type MsgpackValue,
} from '../codec/index.ts'
import { LTIME_MAX, type LTime } from './lamport.ts'
import { WireRecord } from './record.ts'

/** The first byte of each message that Serf puts into memberlist's hooks; the numbers are Serf's and final. */
export const SerfMessageType = {
  leave: 0,
  join: 1,
  pushPull: 2,
  userEvent: 3,
  query: 4,
  queryResponse: 5,
  conflictResponse: 6,
  keyRequest: 7,
  keyResponse: 8,
  relay: 9,
} as const

/** `node` leaves, or is made to (force-leave). */
export interface LeaveIntent {
  readonly type: 'leave'
  readonly ltime: LTime
  readonly node: string
  /** Also forget the member. */
  readonly prune: boolean
}

export interface JoinIntent {
  readonly type: 'join'
  readonly ltime: LTime
  readonly node: string
}

export interface UserEventMessage {
  readonly type: 'userEvent'
  readonly ltime: LTime
  readonly name: string
  readonly payload: Uint8Array
  /** Receivers may coalesce it. */
  readonly coalesce: boolean
}

/** Bits of a query's flags. */
export const QueryFlag = { ack: 1, noBroadcast: 2 } as const

export interface QueryMessage {
  readonly type: 'query'
  readonly ltime: LTime
  readonly id: number
  /** Raw address of the asker; answers go there. */
  readonly addr: Uint8Array
  readonly port: number
  readonly sourceNode: string
  /** Encoded filters (`filters.ts`); all must match. */
  readonly filters: readonly Uint8Array[]
  readonly flags: number
  readonly relayFactor: number
  /** Nanoseconds from receipt to the last moment an answer is accepted. */
  readonly timeoutNs: number
  readonly name: string
  readonly payload: Uint8Array
}

/** An answer, or (flag 1) an acknowledgement. */
export interface QueryResponse {
  readonly type: 'queryResponse'
  readonly ltime: LTime
  readonly id: number
  readonly from: string
  readonly flags: number
  readonly payload: Uint8Array
}

/** What a member says about a name, in a conflict vote; without `member` it does not know the name. */
export interface ConflictResponse {
  readonly type: 'conflictResponse'
  readonly member: ConflictMember | undefined
}

export interface ConflictMember {
  readonly name: string
  readonly addr: Uint8Array
  readonly port: number
  readonly tags: Readonly<Record<string, string>>
  /** 0 none, 1 alive, 2 leaving, 3 left, 4 failed. */
  readonly status: number
  /** memberlist's minimum, maximum, current; then Serf's. */
  readonly versions: readonly [number, number, number, number, number, number]
}

export interface KeyRequest {
  readonly type: 'keyRequest'
  readonly key: Uint8Array
}

export interface KeyResponse {
  readonly type: 'keyResponse'
  /** Base64, primary first; undefined except for list-keys. */
  readonly keys: readonly string[] | undefined
  readonly message: string
  readonly primaryKey: string
  readonly result: boolean
}

/** "Pass `inner` on to `addr`": the message of type 9. */
export interface Relay {
  readonly type: 'relay'
  readonly addr: Uint8Array
  readonly port: number
  readonly zone: string
  readonly destName: string
  /** A complete Serf message, untouched. */
  readonly inner: Uint8Array
}

export interface EventsAt {
  readonly ltime: LTime
  readonly events: readonly { readonly name: string; readonly payload: Uint8Array }[]
}

/** Serf's part of a push/pull. */
export interface PushPullState {
  readonly type: 'pushPull'
  readonly ltime: LTime
  readonly eventLTime: LTime
  readonly queryLTime: LTime
  readonly leftMembers: readonly string[]
  readonly statusLTimes: ReadonlyMap<string, LTime>
  /** Index is the time modulo the buffer size; undefined is an empty slot. */
  readonly events: readonly (EventsAt | undefined)[]
}

export type SerfMessage =
  | LeaveIntent
  | JoinIntent
  | UserEventMessage
  | QueryMessage
  | QueryResponse
  | ConflictResponse
  | KeyRequest
  | KeyResponse
  | Relay
  | PushPullState

/** Old msgpack dialect, all fields, sorted by name: the bytes a real Serf of the 0.9 line writes. */
export function encodeSerfMessage(message: SerfMessage): Uint8Array {
  const head = encodeMsgpack(toWire(message), 'old')
  const tail = message.type === 'relay' ? message.inner : undefined
  const bytes = new Uint8Array(1 + head.length + (tail?.length ?? 0))
  bytes[0] = SerfMessageType[message.type]
  bytes.set(head, 1)
  if (tail !== undefined) bytes.set(tail, 1 + head.length)
  return bytes
}

/**
 * Reads one complete message. What follows its value is ignored, as Serf does, except for a relay, whose inner message it is.
 * @throws CodecError for an unknown type or malformed content; nothing else, whatever the bytes are
 */
export function decodeSerfMessage(bytes: Uint8Array): SerfMessage {
  const type = bytes[0]
  const decode = type === undefined ? undefined : DECODERS[type]
  if (decode === undefined) throw new CodecError(`unknown Serf message type ${type ?? '(none)'}`)
  const { value, end } = decodeMsgpack(bytes, 1)
  return decode(value, bytes.subarray(end))
}

function toWire(message: SerfMessage): MsgpackValue {
  switch (message.type) {
    case 'leave':
      return { LTime: message.ltime, Node: message.node, Prune: message.prune }
    case 'join':
      return { LTime: message.ltime, Node: message.node }
    case 'userEvent':
      return { CC: message.coalesce, LTime: message.ltime, Name: message.name, Payload: orNil(message.payload) }
    case 'query':
      return queryToWire(message)
    case 'queryResponse':
      return {
        Flags: message.flags,
        From: message.from,
        ID: message.id,
        LTime: message.ltime,
        Payload: orNil(message.payload),
      }
    case 'conflictResponse':
      return message.member === undefined ? null : conflictToWire(message.member)
    case 'keyRequest':
      return { Key: message.key }
    case 'keyResponse':
      return {
        Keys: message.keys === undefined ? null : [...message.keys],
        Message: message.message,
        PrimaryKey: message.primaryKey,
        Result: message.result,
      }
    case 'relay':
      return { DestAddr: { IP: message.addr, Port: message.port, Zone: message.zone }, DestName: message.destName }
    case 'pushPull':
      return pushPullToWire(message)
  }
}

/** Absent byte strings travel as nil. */
function orNil(bytes: Uint8Array): Uint8Array | null {
  return bytes.length === 0 ? null : bytes
}

function queryToWire(query: QueryMessage): MsgpackValue {
  return {
    Addr: query.addr,
    Filters: query.filters.length === 0 ? null : [...query.filters],
    Flags: query.flags,
    ID: query.id,
    LTime: query.ltime,
    Name: query.name,
    Payload: orNil(query.payload),
    Port: query.port,
    RelayFactor: query.relayFactor,
    SourceNode: query.sourceNode,
    Timeout: query.timeoutNs,
  }
}

function conflictToWire(member: ConflictMember): MsgpackValue {
  const [protocolMin, protocolMax, protocolCur, delegateMin, delegateMax, delegateCur] = member.versions
  return {
    Addr: member.addr,
    DelegateCur: delegateCur,
    DelegateMax: delegateMax,
    DelegateMin: delegateMin,
    Name: member.name,
    Port: member.port,
    ProtocolCur: protocolCur,
    ProtocolMax: protocolMax,
    ProtocolMin: protocolMin,
    Status: member.status,
    Tags: new Map(Object.entries(member.tags)),
  }
}

function pushPullToWire(state: PushPullState): MsgpackValue {
  return {
    EventLTime: state.eventLTime,
    Events: state.events.map(slot =>
      slot === undefined
        ? null
        : {
            Events: slot.events.map(event => ({ Name: event.name, Payload: orNil(event.payload) })),
            LTime: slot.ltime,
          },
    ),
    LTime: state.ltime,
    LeftMembers: [...state.leftMembers],
    QueryLTime: state.queryLTime,
    StatusLTimes: new Map(state.statusLTimes),
  }
}

/** 104 days; what asks for more gets no more. */
export const TIMEOUT_NS_MAX = Number.MAX_SAFE_INTEGER
const UINT8_MAX = 0xff
const UINT16_MAX = 0xffff
const UINT32_MAX = 0xffff_ffff

type Decoder = (value: Decoded, rest: Uint8Array) => SerfMessage

/** By type byte. */
const DECODERS: readonly Decoder[] = [
  value => {
    const r = new WireRecord(value, ['LTime', 'Node', 'Prune'])
    return { type: 'leave', ltime: r.uint('LTime', LTIME_MAX), node: r.text('Node'), prune: r.bool('Prune') }
  },
  value => {
    const r = new WireRecord(value, ['LTime', 'Node'])
    return { type: 'join', ltime: r.uint('LTime', LTIME_MAX), node: r.text('Node') }
  },
  decodePushPull,
  value => {
    const r = new WireRecord(value, ['LTime', 'Name', 'Payload', 'CC'])
    return {
      type: 'userEvent',
      ltime: r.uint('LTime', LTIME_MAX),
      name: r.text('Name'),
      payload: r.bytes('Payload'),
      coalesce: r.bool('CC'),
    }
  },
  decodeQuery,
  value => {
    const r = new WireRecord(value, ['LTime', 'ID', 'From', 'Flags', 'Payload'])
    return {
      type: 'queryResponse',
      ltime: r.uint('LTime', LTIME_MAX),
      id: r.uint('ID', UINT32_MAX),
      from: r.text('From'),
      flags: r.uint('Flags', UINT32_MAX),
      payload: r.bytes('Payload'),
    }
  },
  value => ({ type: 'conflictResponse', member: value === null ? undefined : decodeConflictMember(value) }),
  value => ({ type: 'keyRequest', key: new WireRecord(value, ['Key']).bytes('Key') }),
  value => {
    const r = new WireRecord(value, ['Result', 'Message', 'Keys', 'PrimaryKey'])
    return {
      type: 'keyResponse',
      keys: r.get('Keys') === undefined ? undefined : r.list('Keys').map(key => asText(key)),
      message: r.text('Message'),
      primaryKey: r.text('PrimaryKey'),
      result: r.bool('Result'),
    }
  },
  (value, rest) => {
    const r = new WireRecord(value, ['DestAddr', 'DestName'])
    const to = new WireRecord(r.get('DestAddr'), ['IP', 'Port', 'Zone'])
    return {
      type: 'relay',
      addr: to.bytes('IP'),
      port: to.uint('Port', UINT16_MAX),
      zone: to.text('Zone'),
      destName: r.text('DestName'),
      inner: rest,
    }
  },
]

function decodeQuery(value: Decoded): QueryMessage {
  const r = new WireRecord(value, [
    'LTime',
    'ID',
    'Addr',
    'Port',
    'SourceNode',
    'Filters',
    'Flags',
    'RelayFactor',
    'Timeout',
    'Name',
    'Payload',
  ])
  return {
    type: 'query',
    ltime: r.uint('LTime', LTIME_MAX),
    id: r.uint('ID', UINT32_MAX),
    addr: r.bytes('Addr'),
    port: r.uint('Port', UINT16_MAX),
    sourceNode: r.text('SourceNode'),
    filters: r.list('Filters').map(filter => (filter === null ? new Uint8Array(0) : asBytes(filter))),
    flags: r.uint('Flags', UINT32_MAX),
    relayFactor: r.uint('RelayFactor', UINT8_MAX),
    timeoutNs: r.cappedUint('Timeout', TIMEOUT_NS_MAX),
    name: r.text('Name'),
    payload: r.bytes('Payload'),
  }
}

function decodeConflictMember(value: Decoded): ConflictMember {
  const r = new WireRecord(value, [
    'Name',
    'Addr',
    'Port',
    'Tags',
    'Status',
    'ProtocolMin',
    'ProtocolMax',
    'ProtocolCur',
    'DelegateMin',
    'DelegateMax',
    'DelegateCur',
  ])
  const version = (name: string) => r.uint(name, UINT8_MAX)
  return {
    name: r.text('Name'),
    addr: r.bytes('Addr'),
    port: r.uint('Port', UINT16_MAX),
    tags: Object.fromEntries(Array.from(r.map('Tags'), ([tag, text]) => [tag, asText(text)])),
    status: r.uint('Status', UINT8_MAX),
    versions: [
      version('ProtocolMin'),
      version('ProtocolMax'),
      version('ProtocolCur'),
      version('DelegateMin'),
      version('DelegateMax'),
      version('DelegateCur'),
    ],
  }
}

function decodePushPull(value: Decoded): PushPullState {
  const r = new WireRecord(value, ['LTime', 'StatusLTimes', 'LeftMembers', 'EventLTime', 'Events', 'QueryLTime'])
  const statusLTimes = new Map<string, LTime>()
  for (const [name, ltime] of r.map('StatusLTimes'))
    statusLTimes.set(name, ltime === null ? 0 : asUint(ltime, LTIME_MAX))
  return {
    type: 'pushPull',
    ltime: r.uint('LTime', LTIME_MAX),
    eventLTime: r.uint('EventLTime', LTIME_MAX),
    queryLTime: r.uint('QueryLTime', LTIME_MAX),
    leftMembers: r.list('LeftMembers').map(name => asText(name)),
    statusLTimes,
    events: r.list('Events').map(slot => (slot === null ? undefined : decodeEventsAt(slot))),
  }
}

function decodeEventsAt(value: Decoded): EventsAt {
  const r = new WireRecord(value, ['LTime', 'Events'])
  return {
    ltime: r.uint('LTime', LTIME_MAX),
    events: r.list('Events').map(event => {
      const e = new WireRecord(event, ['Name', 'Payload'])
      return { name: e.text('Name'), payload: e.bytes('Payload') }
    }),
  }
}
