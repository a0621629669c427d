import type { Socket } from 'node:dgram'
import type { Address, Random } from '../../base/index.ts'
import type { Effect } from '../effects.ts'
import type { Keyring } from '../keyring.ts'
import { openPacket, sealPacket } from '../wire/packet.ts'

export interface PacketsConfig {
  readonly keyring: Keyring | undefined
  readonly label: string | undefined
  readonly compress: boolean
  readonly random: Random
  /** @param retired the key, when it was one that is retired */
  readonly received: (parts: Uint8Array[], from: Address, retired: Uint8Array | undefined) => void
  /** It cannot be read. */
  readonly refused: (thrown: unknown, from: Address) => void
  /** @param node the member it was for; undefined: for nobody in particular, or the socket itself has failed */
  readonly notSent: (failure: unknown, node: string | undefined) => void
}

/** Opens the datagrams that come, and seals those that go. */
export class Packets {
  readonly #socket: Socket
  readonly #config: PacketsConfig
  #isClosed = false

  constructor(socket: Socket, config: PacketsConfig) {
    this.#socket = socket
    this.#config = config
    socket.on('message', (packet, { address: ip, port }) => this.#receive(packet, { ip, port }))
    socket.on('error', failure => config.notSent(failure, undefined))
  }

  /** @param key instead of the ring's primary one */
  send({ to, parts, crc, node }: Omit<Extract<Effect, { kind: 'send' }>, 'kind'>, key?: Uint8Array): void {
    if (this.#isClosed) return
    const { keyring, label, compress, random, notSent } = this.#config
    try {
      for (const packet of sealPacket(parts, { crc, compress, keyring, key, label, random })) {
        this.#socket.send(packet, to.port, to.ip, failure => {
          if (failure !== null) notSent(failure, node)
        })
      }
    } catch (thrown) {
      notSent(thrown, node)
    }
  }

  /** Nothing is sent any more; the socket is the caller's. */
  close(): void {
    this.#isClosed = true
  }

  #receive(packet: Uint8Array, from: Address): void {
    const { keyring, label, received, refused } = this.#config
    let parts: Uint8Array[]
    let retired: Uint8Array | undefined
    const onRetired = (key: Uint8Array) => {
      retired = key
    }
    try {
      parts = openPacket(packet, { keyring, label, onRetired })
    } catch (thrown) {
      return refused(thrown, from)
    }
    received(parts, from, retired)
  }
}
