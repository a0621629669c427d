import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { messageOf } from '../../../../base/index.ts'
import type { Multicast } from '../discovery.ts'

export interface MulticastConfig {
  /** The only network interface to use; undefined: all that have an address, except loopback. */
  readonly interface: string | undefined
  readonly ipv4: boolean
  readonly ipv6: boolean
}

export interface MulticastListener {
  /** @returns what to answer, to whoever asked */
  asked(packet: Uint8Array): Uint8Array | undefined
  answered(packet: Uint8Array): void
}

const MDNS_PORT = 5353
const GROUP_4 = '224.0.0.251'
const GROUP_6 = 'ff02::fb'
/** Until the next question; a flood of questions does not make a flood of answers. */
const ANSWERS_MAX = 1_000

interface Link {
  readonly family: 4 | 6
  /** Of the interface. */
  readonly name: string
  readonly ip: string
  /** What questions are sent to and come in at: of IPv6 for each link. */
  readonly group: string
  /** Of the socket where they come in: another one once an interface has been made anew under its old name. */
  readonly key: string
}

/**
 * Questions go out of a port of their own on every link, so that answers come to us and not to another program that listens
 * on mDNS's port as well; questions of others come in at that port, which is shared. Links come and go: what there is is
 * looked up for every question, and what cannot be opened is tried again then.
 */
export class MulticastSockets implements Multicast {
  readonly #config: MulticastConfig
  readonly #listener: MulticastListener
  /** Where questions come in: one for IPv4, one for each link of IPv6. */
  readonly #servers = new Map<string, Socket>()
  /** How often the socket of IPv4 has joined its group on a link. */
  #joins = 0
  #asking: Socket[] = []
  #answersLeft = 0
  #closed = false

  constructor(config: MulticastConfig, listener: MulticastListener) {
    this.#config = config
    this.#listener = listener
  }

  async ask(packet: Uint8Array): Promise<{ links: number; failures: string[] }> {
    if (this.#closed) return { links: 0, failures: [] }
    this.#answersLeft = ANSWERS_MAX
    for (const socket of this.#asking.splice(0)) socket.close()
    const links = linksOf(this.#config)
    this.#closeGone(links)
    const failures = new Set<string>()
    const failed = (failure: unknown) => void failures.add(messageOf(failure))
    let asked = 0
    for (const link of links) {
      await this.#listen(link).catch(failed)
      await this.#askOn(link, packet).then(() => asked++, failed)
    }
    return { links: asked, failures: [...failures] }
  }

  close(): void {
    this.#closed = true
    for (const socket of [...this.#asking.splice(0), ...this.#servers.values()]) socket.close()
    this.#servers.clear()
  }

  async #askOn(link: Link, packet: Uint8Array): Promise<void> {
    const socket = open(link, message => this.#listener.answered(message))
    try {
      socket.bind(0)
      await once(socket, 'listening')
      if (this.#closed) return void socket.close()
      socket.setMulticastInterface(link.family === 4 ? link.ip : `::%${link.name}`)
      await sent(socket, packet, link.group)
    } catch (failure) {
      socket.close()
      throw failure
    }
    if (this.#closed) socket.close()
    else this.#asking.push(socket)
  }

  async #listen(link: Link): Promise<void> {
    const socket = this.#servers.get(link.key) ?? (await this.#open(link))
    try {
      if (link.family === 6) return socket.addMembership(GROUP_6, `::%${link.name}`)
      socket.addMembership(GROUP_4, link.ip)
      this.#joins++
    } catch (failure) {
      if (!isThere(failure)) throw failure
    }
  }

  /**
   * A host of containers has a new interface every minute. IPv4's one socket remembers links that are gone, and has room for
   * twenty (igmp_max_memberships): once it has joined on more links than there are, it starts afresh.
   */
  #closeGone(links: readonly Link[]): void {
    const isStale = this.#joins > links.filter(({ family }) => family === 4).length
    for (const [key, socket] of this.#servers)
      if (!links.some(link => link.key === key) || (isStale && key === GROUP_4)) {
        this.#servers.delete(key)
        socket.close()
      }
  }

  /** Bound to the group, so that what is sent to this host alone still reaches another program at the same port. */
  async #open(link: Link): Promise<Socket> {
    const socket = open(link, (message, from) => this.#answer(socket, message, from))
    this.#servers.set(link.key, socket)
    if (link.family === 4) this.#joins = 0
    try {
      socket.bind(MDNS_PORT, link.group)
      await once(socket, 'listening')
      return socket
    } catch (failure) {
      this.#servers.delete(link.key)
      socket.close()
      throw failure
    }
  }

  #answer(socket: Socket, message: Uint8Array, from: RemoteInfo): void {
    const answer = this.#answersLeft > 0 && from.port > 0 ? this.#listener.asked(message) : undefined
    if (answer === undefined || this.#closed) return
    this.#answersLeft--
    socket.send(answer, from.port, from.address, () => undefined) // who asked asks again
  }
}

function open(link: Link, receive: (message: Uint8Array, from: RemoteInfo) => void): Socket {
  const socket = createSocket({
    type: link.family === 4 ? 'udp4' : 'udp6',
    reuseAddr: true,
    ipv6Only: link.family === 6,
  })
  socket.on('message', receive)
  socket.on('error', () => undefined) // what could not be bound or sent is told where it was asked for
  return socket
}

function sent(socket: Socket, packet: Uint8Array, group: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(packet, MDNS_PORT, group, failure => (failure === null ? resolve() : reject(failure)))
  })
}

/** One per interface and family. */
function linksOf({ interface: only, ipv4, ipv6 }: MulticastConfig): Link[] {
  const links: Link[] = []
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    const usable = addresses.filter(one => (only === undefined ? !one.internal : only === name))
    const four = usable.find(one => one.family === 'IPv4')
    const six = usable.find(one => one.family === 'IPv6' && one.address.startsWith('fe80:'))
    if (ipv4 && four !== undefined) links.push({ family: 4, name, ip: four.address, group: GROUP_4, key: GROUP_4 })
    const group = `${GROUP_6}%${name}`
    if (ipv6 && six?.family === 'IPv6')
      links.push({ family: 6, name, ip: six.address, group, key: `${group} ${six.scopeid}` })
  }
  return links
}

function isThere(failure: unknown): boolean {
  return failure instanceof Error && 'code' in failure && failure.code === 'EADDRINUSE'
}
