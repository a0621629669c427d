/**
 * memberlist's messages as values. Field names are the wire's, in camelCase; the ids are the first byte of each message.
 * Addresses stay raw bytes (4 or 16): peers compare them bytewise, so what was received is what is passed on.
 */

/** Ids on the wire; the numbers are memberlist's and final. */
export const MessageType = {
  ping: 0,
  indirectPing: 1,
  ack: 2,
  suspect: 3,
  alive: 4,
  dead: 5,
  pushPull: 6,
  compound: 7,
  user: 8,
  compress: 9,
  encrypt: 10,
  nack: 11,
  crc: 12,
  err: 13,
  label: 244,
} as const

/** The six version bytes of a member: memberlist's minimum, maximum, current, then the host's. */
export type Versions = readonly [pMin: number, pMax: number, pCur: number, dMin: number, dMax: number, dCur: number]

/** Where answers to a ping go; all absent in messages of very old peers. */
export interface Source {
  readonly sourceAddr?: Uint8Array
  readonly sourcePort?: number
  readonly sourceNode?: string
}

export interface Ping extends Source {
  readonly type: 'ping'
  readonly seqNo: number
  /** The name the prober believes it talks to; empty: whoever you are. */
  readonly node: string
}

export interface IndirectPing extends Source {
  readonly type: 'indirectPing'
  readonly seqNo: number
  readonly target: Uint8Array
  /** 0: the receiver's own bind port. */
  readonly port: number
  readonly node: string
  readonly nack: boolean
}

export interface Ack {
  readonly type: 'ack'
  readonly seqNo: number
  readonly payload: Uint8Array | undefined
}

export interface Nack {
  readonly type: 'nack'
  readonly seqNo: number
}

export interface Suspect {
  readonly type: 'suspect'
  readonly incarnation: number
  readonly node: string
  readonly from: string
}

export interface Alive {
  readonly type: 'alive'
  readonly incarnation: number
  readonly node: string
  readonly addr: Uint8Array
  /** 0: the receiver's own bind port. */
  readonly port: number
  readonly meta: Uint8Array
  /** Undefined when absent or not exactly six bytes; `vsnBytes` tells which. */
  readonly vsn: Versions | undefined
  /** How many bytes Vsn had: 0 absent, 6 sound; anything else must never be passed on (it kills old peers). */
  readonly vsnBytes: number
}

export interface Dead {
  readonly type: 'dead'
  readonly incarnation: number
  readonly node: string
  /** Equal to `node`: it left on purpose. */
  readonly from: string
}

export interface User {
  readonly type: 'user'
  readonly body: Uint8Array
}

export interface Err {
  readonly type: 'err'
  readonly error: string
}

/** One entry of a push/pull. */
export interface PushNode {
  readonly name: string
  readonly addr: Uint8Array
  readonly port: number
  readonly meta: Uint8Array
  readonly incarnation: number
  /** 0 alive, 1 suspect, 2 dead, 3 left; others are ignored by the merge. */
  readonly state: number
  readonly vsn: Versions | undefined
  readonly vsnBytes: number
}

export interface PushPull {
  readonly type: 'pushPull'
  readonly join: boolean
  readonly nodes: readonly PushNode[]
  /** The host's state; empty: none. */
  readonly userState: Uint8Array
}

/** What one part of a packet can be once all framing is off. */
export type PacketMessage = Ping | IndirectPing | Ack | Nack | Suspect | Alive | Dead | User
/** What one direction of a stream can carry. */
export type StreamMessage = Ping | Ack | PushPull | User | Err
