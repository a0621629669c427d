import { CodecError } from '../codec/index.ts'
import { bytesEqual, unmapped } from './bytes.ts'
import type { ConflictLostEvent } from './events.ts'
import type { LTime } from './lamport.ts'
import { type SerfMember, STATUSES } from './member.ts'
import { type ConflictResponse, decodeSerfMessage, encodeSerfMessage } from './messages.ts'

/** Who keeps a name that two nodes claim: the one whose address the majority of those who answer know (Serf's conflict query). */
export class NameVote {
  readonly #name: string
  /** Of the query that asks. */
  readonly ltime: LTime
  #responses = 0
  #matching = 0
  /** The other claimant is there. */
  #hasRival = false

  constructor(name: string, ltime: LTime) {
    this.#name = name
    this.ltime = ltime
  }

  /** What we know of the name that is asked about. */
  static ballot(member: SerfMember | undefined): Uint8Array {
    return encodeSerfMessage({ type: 'conflictResponse', member: member === undefined ? undefined : claimOf(member) })
  }

  /** One answer; what is not a ballot does not count. */
  count(payload: Uint8Array, self: SerfMember | undefined): void {
    const ballot = readBallot(payload)
    if (ballot === undefined || self === undefined) return
    this.#responses++
    const claim = ballot.member
    if (claim?.port === self.port && bytesEqual(unmapped(claim.addr), unmapped(self.addr))) this.#matching++
  }

  /** The other claimant has answered at its address. */
  rivalAnswered(): void {
    this.#hasRival = true
  }

  /** Why no vote can be lost: nobody else can say whose the name is, or there is no rival to lose it to. */
  get undecided(): string | undefined {
    if (!this.#hasRival) return 'another node had our name, and does not answer any more; we keep it'
    if (this.#responses === 0) return 'another node claims our name, and nobody else can say whose it is; we keep it'
    return undefined
  }

  /**
   * A majority of those who answered must know the name at our address. An undecided vote is not lost (in Serf it is, and
   * whoever starts a second node of one name shuts down the first), and neither is one against a shadow: a node that is back
   * under its name at another address, where others still hold the dead one.
   */
  lost(): ConflictLostEvent | undefined {
    if (this.undecided !== undefined) return undefined
    const responses = this.#responses
    const matching = this.#matching
    if (matching >= Math.floor(responses / 2) + 1) return undefined
    return { kind: 'conflict-lost', name: this.#name, responses, matching }
  }
}

function claimOf(m: SerfMember): NonNullable<ConflictResponse['member']> {
  const versions = [m.protocolMin, m.protocolMax, m.protocolCur, m.delegateMin, m.delegateMax, m.delegateCur] as const
  return { name: m.name, addr: m.addr, port: m.port, tags: m.tags, status: STATUSES.indexOf(m.status), versions }
}

function readBallot(payload: Uint8Array): ConflictResponse | undefined {
  try {
    const message = decodeSerfMessage(payload)
    return message.type === 'conflictResponse' ? message : undefined
  } catch (failure) {
    if (failure instanceof CodecError) return undefined
    throw failure
  }
}
