/** Serf's view of a member: `failed` may return, `left` said goodbye, `leaving` is on its way. */
export type SerfStatus = 'none' | 'alive' | 'leaving' | 'left' | 'failed'

/** The six version numbers a member announces; memberlist's own, then Serf's (called delegate on the wire). Each 0 to 255. */
export interface MemberProtocol {
  readonly min: number
  readonly max: number
  readonly current: number
  readonly delegateMin: number
  readonly delegateMax: number
  readonly delegateCurrent: number
}

/** One member as Serf's users see it. A snapshot: it does not change after it has been handed out. */
export interface SerfMember {
  readonly name: string
  /** Text of `addr`. */
  readonly ip: string
  /** 4 or 16 bytes, exactly as announced. */
  readonly addr: Uint8Array
  readonly port: number
  readonly tags: Readonly<Record<string, string>>
  readonly status: SerfStatus
  readonly protocol: MemberProtocol
  /** Lamport time of the last intent that changed `status`. */
  readonly statusLTime: number
}
