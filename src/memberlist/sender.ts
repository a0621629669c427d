import type { Address } from '../base/index.ts'
import { retransmitLimit } from './broadcast-queue.ts'
import type { Host } from './effects.ts'
import { addressOf, type Member, understandsCrc } from './member.ts'
import type { Shared } from './membership.ts'
import type { PacketMessage } from './messages.ts'
import { COMPOUND_PART_BYTES, PACKET_BYTES_MAX } from './wire/packet.ts'

const COMPOUND_OVERHEAD_BYTES = COMPOUND_PART_BYTES

/** Puts packets together: a message with gossip riding on it, gossip alone, or exactly the given messages. */
export class Sender {
  readonly #shared: Shared
  readonly #host: Host
  /** The encoded user message of each body, so that a body sent often is copied once. */
  readonly #wrapped = new WeakMap<Uint8Array, Uint8Array>()

  constructor(shared: Shared, host: Host) {
    this.#shared = shared
    this.#host = host
  }

  /** The message first, then whatever gossip still fits. */
  withGossip(to: Address, member: Member | undefined, message: PacketMessage): void {
    const first = this.#shared.encode(message)
    this.#send(to, member, [first, ...this.#gossip(PACKET_BYTES_MAX - first.length)])
  }

  /** These messages and nothing else. */
  exactly(member: Member, messages: readonly PacketMessage[]): void {
    const parts = messages.map(message => this.#shared.encode(message))
    this.#send(addressOf(member), member, parts)
  }

  /** False, and nothing sent, when there is nothing to tell. */
  gossipTo(member: Member): boolean {
    const parts = this.#gossip(PACKET_BYTES_MAX)
    if (parts.length === 0) return false
    this.#send(addressOf(member), member, parts)
    return true
  }

  #send(to: Address, member: Member | undefined, parts: readonly Uint8Array[]): void {
    const crc = member !== undefined && understandsCrc(member)
    this.#shared.emit({ kind: 'send', to, parts, crc, node: member?.name })
  }

  /** Membership first; what room is left belongs to the host, whose bodies each cost one byte more for their type. */
  #gossip(bytes: number): Uint8Array[] {
    const { queue, config, table } = this.#shared
    const budget = bytes - COMPOUND_OVERHEAD_BYTES - config.packetOverheadBytes
    if (budget <= 0) return []
    const limit = retransmitLimit(config.retransmitMult, table.size)
    const parts = queue.fill(COMPOUND_OVERHEAD_BYTES, budget, limit)
    const free = parts.reduce((left, part) => left - part.length - COMPOUND_OVERHEAD_BYTES, budget)
    if (free <= COMPOUND_OVERHEAD_BYTES + 1) return parts
    for (const body of this.#host.broadcasts(COMPOUND_OVERHEAD_BYTES + 1, free)) parts.push(this.#userPart(body))
    return parts
  }

  #userPart(body: Uint8Array): Uint8Array {
    const known = this.#wrapped.get(body)
    if (known !== undefined) return known
    const part = this.#shared.encode({ type: 'user', body })
    this.#wrapped.set(body, part)
    return part
  }
}
