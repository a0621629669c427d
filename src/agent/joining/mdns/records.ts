/**
 * What Serf's discovery says on the network: DNS messages for the service `_serf_NAME._tcp.local`, answered by each agent with
 * its own address, as Serf does it (RFC 6762). Whoever is on the link may send anything: all that is read is checked.
 */
import { createHash } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import { type Answer, decode, encode } from 'dns-packet'
import { type Address, formatAddress, ipFromBytes, ipToBytes } from '../../../base/index.ts'
import { isLabel, serviceOf } from './cluster-name.ts'

/** This agent, as others find it. */
export interface Advertised {
  readonly cluster: string
  /** The name of the node. */
  readonly node: string
  /** As the ring knows it. */
  readonly at: Address
}

/** One frame; an agent's answer takes 400 bytes. RFC 6762 allows 9000, which names that point at names make costly to read. */
const PACKET_BYTES_MAX = 1500
/** More than any agent has; a packet that claims more is read up to here. */
const ADDRESSES_MAX = 32
/** RFC 6762, section 6.7: what is answered to a port other than 5353 may be kept for ten seconds. */
const TTL_S = 10
const AUTHORITATIVE = 1 << 10

/** The question that finds the agents of a cluster. @param id any number of 16 bits; answers repeat it */
export function question(cluster: string, id: number): Uint8Array {
  return encode({ type: 'query', id: id & 0xffff, questions: [{ name: serviceOf(cluster), type: 'PTR', class: 'IN' }] })
}

/** @returns what to answer, or undefined when this is no question for us, or no question at all. Never throws. */
export function answerTo(packet: Uint8Array, own: Advertised): Uint8Array | undefined {
  const query = read(packet)
  if (query === undefined || query.type !== 'query') return undefined
  const service = serviceOf(own.cluster)
  const instance = instanceOf(own)
  const asked = query.questions?.find(({ name, type }) => {
    const types = same(name, service) ? SERVICE_TYPES : same(name, instance) ? INSTANCE_TYPES : []
    return types.includes(type)
  })
  if (asked === undefined) return undefined
  const flags = AUTHORITATIVE
  const answers = recordsOf(own, service, instance)
  return encode({ type: 'response', id: query.id ?? 0, flags, questions: [{ ...asked, class: 'IN' }], answers })
}

/**
 * The agents that an answer tells of. Never throws.
 * @param loopback whether 127.0.0.0/8 means anything to us: only to who is there, too
 */
export function addressesIn(packet: Uint8Array, cluster: string, loopback: boolean): Address[] {
  const response = read(packet)
  if (response === undefined || response.type !== 'response') return []
  const records = [...(response.answers ?? []), ...(response.additionals ?? [])]
  const ips = ipsByName(records)
  const found = new Map<string, Address>()
  for (const record of records) {
    if (record.type !== 'SRV' || !isInstance(record.name, cluster)) continue
    const { port, target } = record.data
    for (const ip of [target, record.name].flatMap(name => ips.get(name.toLowerCase()) ?? [])) {
      const at = { ip, port }
      if (port > 0 && isUsable(ip, loopback)) found.set(formatAddress(at), at)
      if (found.size === ADDRESSES_MAX) return [...found.values()]
    }
  }
  return [...found.values()]
}

/** `ANY` is a question only. */
const SERVICE_TYPES: readonly string[] = ['PTR', 'ANY']
const INSTANCE_TYPES: readonly string[] = ['SRV', 'TXT', 'A', 'AAAA', 'ANY']

/** A name that DNS cannot carry is cut, with a digest so that two of them stay two. */
function instanceOf({ node, cluster }: Advertised): string {
  const fits = node.split('.').every(isLabel) && Buffer.byteLength(node) <= 100
  const digest = createHash('sha256').update(node).digest('hex').slice(0, 12)
  const name = fits ? node : `${node.replace(/[^A-Za-z0-9_-]/g, '-').slice(0, 40)}-${digest}`
  return `${name}.${serviceOf(cluster)}`
}

/** In the order in which Serf's client wants them: it looks at the last record of a packet, which has to complete the entry. */
function recordsOf({ at, cluster }: Advertised, service: string, instance: string): Answer[] {
  const common = { ttl: TTL_S, class: 'IN' } as const
  const address = isIPv4(at.ip)
    ? ({ ...common, type: 'A', name: instance, data: at.ip } as const)
    : ({ ...common, type: 'AAAA', name: instance, data: at.ip } as const)
  return [
    { ...common, type: 'PTR', name: service, data: instance },
    { ...common, type: 'SRV', name: instance, data: { priority: 10, weight: 1, port: at.port, target: instance } },
    address,
    { ...common, type: 'TXT', name: instance, data: `Serf '${cluster}' cluster` },
  ]
}

function read(packet: Uint8Array): ReturnType<typeof decode> | undefined {
  if (packet.length > PACKET_BYTES_MAX) return undefined
  try {
    return decode(Buffer.from(packet.buffer, packet.byteOffset, packet.length))
  } catch {
    return undefined // whatever it is, it is not for us; the link may be full of it
  }
}

function ipsByName(records: readonly Answer[]): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const record of records) {
    if (record.type !== 'A' && record.type !== 'AAAA') continue
    const bytes = ipToBytes(record.data)
    const ip = bytes && ipFromBytes(bytes)
    if (ip === undefined) continue
    const name = record.name.toLowerCase()
    found.set(name, [...(found.get(name) ?? []), ip])
  }
  return found
}

function isInstance(name: string, cluster: string): boolean {
  const service = `.${serviceOf(cluster)}`
  return name.length > service.length && same(name.slice(-service.length), service)
}

/** Somewhere that an agent can be: no group, no "here", no link-local address whose link is not told. */
function isUsable(ip: string, loopback: boolean): boolean {
  if (isIPv6(ip)) return !/^(ff|fe[89ab])/i.test(ip) && ip !== '::' && (loopback || ip !== '::1')
  const first = Number(ip.split('.')[0])
  return first > 0 && first < 224 && (loopback || first !== 127)
}

/** DNS knows no case. */
function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}
